import type { Ids } from '../ambient.ts';
import { type ChannelProvider, type Providers, thoseFor } from '../channel.ts';
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

const pushChannels = Object.keys(pushDevices) as Channel[];

/** Whether a call needs to know the users' devices at all. */
export const needsDevices = (command: NotifyCommand, providers: Providers): boolean =>
  pushChannels.some(
    (channel) =>
      providers.has(channel) && (command.channels.length === 0 || command.channels.includes(channel)),
  );

/** What the deliveries of one user's notification depend on. */
export interface Planned {
  readonly userId: string;
  /** The notification's. */
  readonly id: string;
  /** Without repeats; empty: every channel that has both a provider and a destination. */
  readonly channels: readonly Channel[];
  readonly addresses: NotifyCommand['addresses'];
  readonly devices: readonly Device[];
  readonly expired: boolean;
}

/**
 * The deliveries of one user's notification.
 *
 * Named channels are stored whatever is missing: without a destination or a provider they stay pending with the
 * reason, and nothing polls them. Without named channels, those that have both are taken.
 */
export function planDeliveries(planned: Planned, providers: Providers, ids: Ids): NewDelivery[] {
  const { id, expired } = planned;
  const named = planned.channels.length > 0;
  const deliveries: NewDelivery[] = [];
  for (const channel of named ? planned.channels : channels) {
    const ofChannel = providers.get(channel) ?? noProviders;
    if (!named && channel !== 'in_app' && ofChannel.length === 0) continue;
    const found = destinationsOf(planned, channel);
    if (!named && found.length === 0) continue;
    for (const destination of found.length > 0 ? found : ['']) {
      const provider =
        channel === 'in_app' ? inAppProvider : (thoseFor(ofChannel, destination)[0]?.name ?? '');
      const reason = destination === '' ? 'no_destination' : provider === '' ? 'no_provider' : '';
      deliveries.push({
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
  return deliveries;
}

const noProviders: readonly ChannelProvider[] = [];

/** The request's address, else the user's devices. An address given as '' keeps the row and suppresses the sending. */
function destinationsOf({ userId, addresses, devices }: Planned, channel: Channel): readonly string[] {
  if (channel === 'in_app') return [userId];
  const given = addresses.get(userId)?.[channel];
  if (given !== undefined) return given === '' ? [] : [given];
  const types = pushDevices[channel];
  if (types === undefined) return [];
  return [...new Set(devices.filter((d) => types.includes(d.deviceType)).map((d) => d.token))];
}
