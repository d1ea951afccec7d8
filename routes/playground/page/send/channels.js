import { boot, byId, entered, make } from '../dom.js';
import { user } from '../identity.js';

/** What a channel is called, and its address, with one to begin with. */
const channelForms = {
  in_app: { label: 'In-app' },
  email: { label: 'Email', address: 'Email address', value: `${user}@example.com`, inputMode: 'email' },
  sms: { label: 'SMS', address: 'Phone number (SMS)', value: '+15550100', inputMode: 'tel' },
  whatsapp: { label: 'WhatsApp', address: 'Phone number (WhatsApp)', value: '+15550101', inputMode: 'tel' },
  web_push: {
    label: 'Web push',
    address: 'Web push subscription',
    value: `browser-of-${user}`,
    hasDevices: true,
  },
  mobile_push: {
    label: 'Mobile push',
    address: 'Mobile push token',
    value: `phone-of-${user}`,
    hasDevices: true,
  },
  webhook: { label: 'Webhook', address: 'Webhook address', value: '' },
  chat: { label: 'Chat', address: 'Chat address', value: 'general' },
};

export const channelLabel = (channel) => channelForms[channel]?.label ?? channel;

/** Channels that have a provider here, in the order of the form. */
const ways = Object.keys(channelForms).filter((channel) => boot.providers[channel] !== undefined);

/** Where the sandbox keeps everything, no test provider is given anything. */
export const testWays =
  boot.sandbox === 'capture' ? [] : ways.filter((channel) => boot.providers[channel] === 'test');

export const hasMailbox = testWays.length > 0 || (boot.sandbox !== '' && ways.length > 0);

/** Puts the form's channels into a request. Without a provider there is no choice, and in-app goes by itself. */
export function addWays(request) {
  if (ways.length === 0) return;
  const chosen = ['in_app', ...ways].filter((channel) => byId(`way-${channel}`).checked);
  request.channels = chosen.map((channel) => `DELIVERY_CHANNEL_${channel.toUpperCase()}`);
  const byChannel = {};
  for (const channel of chosen) {
    const address = channel === 'in_app' ? '' : entered(`address-${channel}`).trim();
    if (address) byChannel[channel] = address;
  }
  if (Object.keys(byChannel).length > 0)
    request.addresses = Object.fromEntries(request.userIds.map((id) => [id, { byChannel }]));
}

export function setUpWays() {
  byId('send-by').hidden = ways.length === 0;
  byId('no-providers').hidden = ways.length > 0;
  byId('words-hint').hidden = testWays.length === 0;
  for (const channel of ['in_app', ...ways]) {
    const { label, address, value, inputMode = '', hasDevices } = channelForms[channel];
    const box = make('input', {
      type: 'checkbox',
      id: `way-${channel}`,
      checked: channel === 'in_app',
      data: { testid: `way-${channel}` },
    });
    byId('ways').append(make('label', { className: 'check' }, box, label));
    if (channel === 'in_app') continue;
    const input = make('input', {
      className: 'control',
      id: `address-${channel}`,
      // a real provider knows nobody of these names
      value: hasDevices && boot.providers[channel] !== 'test' ? '' : value,
      inputMode,
      autocomplete: 'off',
      autocapitalize: 'none',
      spellcheck: false,
      placeholder: hasDevices ? 'empty: the devices that the user registered' : 'no address',
      data: { testid: `address-${channel}` },
    });
    const by = boot.providers[channel] === 'test' ? '' : `, by ${boot.providers[channel]}`;
    const words = `${address}${by}${boot.sandbox === '' ? '' : ', behind the sandbox'}`;
    const field = make('div', { className: 'field' }, make('label', { htmlFor: input.id }, words), input);
    field.hidden = true;
    byId('addresses').append(field);
    box.addEventListener('change', () => {
      field.hidden = !box.checked;
    });
  }
}
