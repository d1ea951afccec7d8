import {
  type Address,
  type DestinationLookUp,
  deadReason,
  type KnownDestinations,
  markedChannels,
} from '../addresses.ts';
import type { Providers } from '../channel.ts';
import type { Channel, Device, DeviceType, Reason } from '../glossary.ts';
import type { NewDelivery, NewNotification } from '../store.ts';
import type { NotifyCommand } from './command.ts';

/** Device types whose tokens are destinations of a push channel. */
const pushDevices: Partial<Record<Channel, readonly DeviceType[]>> = {
  web_push: ['browser'],
  mobile_push: ['android', 'ios'],
};

/** The channels of a call that something can be sent on; in-app, which needs nobody to send it, is not among them. */
export const sendableChannels = (command: NotifyCommand, providers: Providers): Channel[] =>
  providers.size === 0
    ? []
    : [...providers.keys()].filter(
        (channel) =>
          channel !== 'in_app' && (command.channels.length === 0 || command.channels.includes(channel)),
      );

/**
 * Which users' records and devices a call has to know: of those for whom it brings no address itself.
 * @param channels of sendableChannels
 */
export function lookUpsOf(
  { tenantId, addresses }: NotifyCommand,
  userIds: readonly string[],
  channels: readonly Channel[],
): DestinationLookUp[] {
  if (channels.length === 0) return [];
  return userIds.flatMap((userId) => {
    const given = addresses.get(userId);
    const open = given === undefined ? channels : channels.filter((channel) => given[channel] === undefined);
    if (open.length === 0) return [];
    return [{ tenantId, userId, devices: open.some((channel) => pushDevices[channel] !== undefined) }];
  });
}

/**
 * The request's address, else the one of the user's record, else the user's devices. A request's address '' keeps the row and
 * suppresses the sending.
 */
export function destinationsOf(
  channel: Channel,
  userId: string,
  given: string | undefined,
  known: KnownDestinations | undefined,
): readonly string[] {
  if (channel === 'in_app') return [userId];
  if (given !== undefined) return given === '' ? [] : [given];
  const recorded = known?.addresses[channel];
  if (recorded !== undefined) return [recorded];
  const types = pushDevices[channel];
  return types === undefined || known === undefined ? [] : tokensOf(known.devices, types);
}

const tokensOf = (devices: readonly Pick<Device, 'deviceType' | 'token'>[], types: readonly DeviceType[]) => [
  ...new Set(devices.filter(({ deviceType }) => types.includes(deviceType)).map(({ token }) => token)),
];

/** The addresses that planned deliveries would go to, as far as they may be dead; each once. */
export function addressesToCheck(rows: readonly NewNotification[]): Address[] {
  const byKey = new Map<string, Address>();
  for (const { tenantId, deliveries } of rows)
    for (const delivery of deliveries) {
      if (!mayBeDead(delivery)) continue;
      const { channel, destination: address } = delivery;
      byKey.set(keyOf(channel, address), { tenantId, channel, address });
    }
  return [...byKey.values()];
}

/**
 * The same rows, with what would go to a dead address suppressed.
 * @param addresses of addressesToCheck, and why each is dead
 */
export function suppressDead(
  rows: readonly NewNotification[],
  addresses: readonly Address[],
  reasons: readonly (Reason | undefined)[],
): readonly NewNotification[] {
  const dead = new Set(
    addresses
      .filter((_, i) => reasons[i] !== undefined)
      .map(({ channel, address }) => keyOf(channel, address)),
  );
  if (dead.size === 0) return rows;
  return rows.map((row) => ({
    ...row,
    deliveries: row.deliveries.map((delivery) =>
      mayBeDead(delivery) && dead.has(keyOf(delivery.channel, delivery.destination))
        ? { ...delivery, status: 'suppressed', reason: deadReason }
        : delivery,
    ),
  }));
}

const mayBeDead = ({ channel, status, provider, destination }: NewDelivery): boolean =>
  markedChannels.has(channel) && status === 'pending' && provider !== '' && destination !== '';

const keyOf = (channel: Channel, address: string): string => `${channel} ${address}`;
