import type { Ids } from '../ambient.ts';
import type { Providers } from '../dispatcher/attempts.ts';
import { type Channel, channels, type Device, type DeviceType } from '../glossary.ts';
import type { NewDelivery } from '../store.ts';
import type { NotifyCommand } from './command.ts';

/** The in-app channel's provider, in logs and metric labels. */
export const inAppProvider = 'in_app_realtime';

/** Device types whose tokens are destinations of a push channel. */
const pushDevices: Partial<Record<Channel, readonly DeviceType[]>> = {
  web_push: ['browser'],
  mobile_push: ['android', 'ios'],
};

/** Whether a call needs to know the users' devices at all. */
export const needsDevices = (command: NotifyCommand, providers: Providers): boolean =>
  Object.keys(pushDevices).some(
    (channel) =>
      providers.has(channel as Channel) &&
      (command.channels.length === 0 || command.channels.includes(channel as Channel)),
  );

/**
 * The deliveries of one user's notification.
 *
 * Named channels are stored whatever is missing: without a destination or a provider they stay pending with the
 * reason, and nothing polls them. Without named channels, those that have both are taken.
 */
export function planDeliveries(
  command: NotifyCommand,
  userId: string,
  id: string,
  devices: readonly Device[],
  providers: Providers,
  expired: boolean,
  ids: Ids,
): NewDelivery[] {
  const named = command.channels.length > 0;
  const planned: NewDelivery[] = [];
  for (const channel of named ? command.channels : channels) {
    const provider = channel === 'in_app' ? inAppProvider : (providers.get(channel)?.name ?? '');
    const found = destinationsOf(command, channel, userId, devices);
    if (!named && (provider === '' || found.length === 0)) continue;
    for (const destination of found.length > 0 ? found : ['']) {
      const reason = destination === '' ? 'no_destination' : provider === '' ? 'no_provider' : '';
      planned.push({
        // the in-app delivery is the item: one id for both
        id: channel === 'in_app' ? id : ids.next(),
        channel,
        destination,
        provider,
        status: expired ? 'suppressed' : 'pending',
        reason: expired ? 'expired' : reason,
      });
    }
  }
  return planned;
}

/** The request's address, else the user's devices. An address given as '' keeps the row and suppresses the sending. */
function destinationsOf(
  command: NotifyCommand,
  channel: Channel,
  userId: string,
  devices: readonly Device[],
): readonly string[] {
  if (channel === 'in_app') return [userId];
  const given = command.addresses.get(userId)?.[channel];
  if (given !== undefined) return given === '' ? [] : [given];
  const types = pushDevices[channel];
  if (types === undefined) return [];
  return [...new Set(devices.filter((d) => types.includes(d.deviceType)).map((d) => d.token))];
}
