/** The types of NOTIFY_SANDBOX and NOTIFY_SANDBOX_ALLOW. No address is quoted: some of them are secrets. */
import { InvalidValue } from './invalid.ts';
import { fromText, pairs, type SentChannel, sentChannels, split, url } from './types.ts';

/** What becomes of messages that are not allowed to go where they are addressed to. */
export type SandboxRule =
  | { readonly kind: 'capture' }
  /** By channel; what is sent on others is captured. */
  | { readonly kind: 'redirect'; readonly to: Readonly<Partial<Record<SentChannel, string>>> };

/** `capture`, or `redirect:email=qa@example.com,sms=+15550100`, each an address that its channel could have. */
export const sandboxRule = fromText((value): SandboxRule => {
  if (value.toLowerCase() === 'capture') return { kind: 'capture' };
  const [, addresses] = /^redirect:(.+)$/i.exec(value) ?? [];
  if (addresses === undefined)
    throw new InvalidValue('is no sandbox; use capture, or redirect:email=qa@example.com,sms=+15550100');
  const to = addressesOf(addresses);
  for (const [channel, address] of to) {
    const wrong = wrongAddress[channel](address);
    if (wrong !== undefined) throw new InvalidValue(`${channel} ${wrong}`);
  }
  return { kind: 'redirect', to: Object.fromEntries(to) };
});

function addressesOf(text: string): ReadonlyMap<SentChannel, string> {
  try {
    return pairs(text, sentChannels);
  } catch {
    // its own words quote
    throw new InvalidValue(
      `must be redirect:channel=address,… with each channel once; the channels are ${sentChannels.join(', ')}`,
    );
  }
}

/** Addresses that still get theirs; `@example.com` is everybody of that mail domain. */
export const sandboxAllow = fromText((value): readonly string[] => {
  const list = split(value);
  if (list.some((item) => item.includes('*')))
    throw new InvalidValue('has a * in it; write each address, or @example.com for a whole mail domain');
  return list;
});

const webUrl = url('https', 'http');

const wrongAddress: Readonly<Record<SentChannel, (address: string) => string | undefined>> = {
  email: (address) =>
    /^[^\s@<>,;:()"]+@[^\s@<>,;:()"]+$/.test(address)
      ? undefined
      : 'needs one address, such as qa@example.com',
  sms: wrongNumber,
  whatsapp: wrongNumber,
  web_push: () =>
    'cannot be redirected: a subscription belongs to one browser, with keys of its own; leave it out, and it is captured',
  mobile_push: (address) =>
    /^[\x21-\x7e]{20,}$/.test(address) && !address.includes('@')
      ? undefined
      : "needs a device's push token; leave it out, and it is captured",
  webhook: (address) =>
    webUrl.safeParse(address).success ? undefined : 'needs a URL that begins with https:// or http://',
  chat: (address) =>
    /[\s\p{Cc}]/u.test(address) ? 'needs one address of the chat, without spaces' : undefined,
};

function wrongNumber(address: string): string | undefined {
  return /^\+[1-9]\d{5,14}$/.test(address)
    ? undefined
    : 'needs a number in international form, such as +15550100';
}
