import type { KnownDestinations } from '../addresses.ts';
import type { Ambient, Ids } from '../ambient.ts';
import { type ChannelProvider, type Providers, thoseFor } from '../channel.ts';
import { type Channel, channels } from '../glossary.ts';
import type { NewDelivery, NewNotification } from '../store.ts';
import type { NotifyCommand } from './command.ts';
import { destinationsOf } from './destinations.ts';

/** The in-app channel's provider, in logs and metric labels. */
export const inAppProvider = 'in_app_realtime';

/** Users' records and devices, by user id. */
export type Known = ReadonlyMap<string, KnownDestinations | undefined>;

export const nothingKnown: Known = new Map();

/**
 * A call's notifications with their deliveries, one for each user.
 * @param userIds those that the call names, without repeats
 */
export function planNotifications(
  command: NotifyCommand,
  userIds: readonly string[],
  known: Known,
  providers: Providers,
  { ids, clock }: Pick<Ambient, 'ids' | 'clock'>,
): NewNotification[] {
  const { tenantId, content, addresses } = command;
  const named = distinct(command.channels);
  const createdAtMs = BigInt(clock.now());
  const expired = content.expiresAtMs !== 0n && content.expiresAtMs <= createdAtMs;
  const appearsAtMs = command.sendAtMs > createdAtMs ? command.sendAtMs : 0n;
  return userIds.map((userId) => {
    const id = ids.next();
    return {
      tenantId,
      userId,
      id,
      content,
      createdAtMs,
      appearsAtMs,
      deliveries: planDeliveries(
        { channels: named, addresses, userId, id, known: known.get(userId), expired },
        providers,
        ids,
      ),
    };
  });
}

/** What the deliveries of one user's notification depend on. */
interface Planned {
  readonly userId: string;
  /** The notification's. */
  readonly id: string;
  /** Without repeats; empty: every channel that has both a provider and a destination. */
  readonly channels: readonly Channel[];
  readonly addresses: NotifyCommand['addresses'];
  /** The user's record and devices; undefined where the call does not need them. */
  readonly known: KnownDestinations | undefined;
  readonly expired: boolean;
}

/**
 * The deliveries of one user's notification.
 *
 * Named channels are stored whatever is missing: without a destination or a provider they stay pending with the
 * reason, and nothing polls them. Without named channels, those that have both are taken, and those that have a provider and
 * the address '', which keeps the row.
 */
function planDeliveries(planned: Planned, providers: Providers, ids: Ids): NewDelivery[] {
  const { id, userId, known, expired } = planned;
  const given = planned.addresses.get(userId);
  const named = planned.channels.length > 0;
  const deliveries: NewDelivery[] = [];
  for (const channel of named ? planned.channels : channels) {
    const ofChannel = providers.get(channel) ?? noProviders;
    if (!named && channel !== 'in_app' && ofChannel.length === 0) continue;
    const found = destinationsOf(channel, userId, given?.[channel], known);
    if (!named && found.length === 0 && given?.[channel] !== '') continue;
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

/** Without repeats, in order. */
export const distinct = <T>(items: readonly T[]): readonly T[] =>
  items.length > 1 ? [...new Set(items)] : items;
