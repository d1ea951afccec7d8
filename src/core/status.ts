import type { Channel, Delivery, DeliveryStatus, EpochMs, Notification } from './glossary.ts';

/** What a notification shows on the wire: a delivery's status, or read. */
export type WireStatus = DeliveryStatus | 'read';

/** From worst to best, as the public contract merges them. */
const rank: Record<DeliveryStatus, number> = {
  suppressed: 0,
  failed: 1,
  pending: 2,
  delivered: 3,
  acked: 4,
};

/**
 * Whether an outcome may move a delivery from one status to another. It never moves backwards: pending may become anything,
 * delivered only acked, and the three others are final.
 */
export function mayMove(from: DeliveryStatus, to: DeliveryStatus): boolean {
  return from === 'pending' ? to !== 'pending' : from === 'delivered' && to === 'acked';
}

/**
 * Whether a receipt may. A provider knows more than its answer told: what has arrived is acked whatever was thought of it before, what
 * it took may be lost on the way, and nothing undoes an arrival.
 * @param message.isTaken where it is delivered: whether the receipt may be of the message that was taken. An earlier one, perhaps by
 *   another provider, is not what was taken in the end
 * @param message.isUnderWay where it is pending: whether another may be sent at the moment, whose outcome is waited for
 */
export function mayReceive(
  from: DeliveryStatus,
  to: Extract<DeliveryStatus, 'acked' | 'failed'>,
  message: { readonly isTaken: boolean; readonly isUnderWay: boolean },
): boolean {
  if (to === 'acked') return from !== 'acked';
  return from === 'pending' ? !message.isUnderWay : from === 'delivered' && message.isTaken;
}

/** The best of some statuses; pending for none. */
export function bestStatus(statuses: Iterable<DeliveryStatus>): DeliveryStatus {
  let best: DeliveryStatus | undefined;
  for (const status of statuses) if (best === undefined || rank[status] > rank[best]) best = status;
  return best ?? 'pending';
}

/** A notification's status on the wire: read if it is read, else the best of its deliveries. */
export function wireStatus(notification: Pick<Notification, 'readAtMs' | 'deliveries'>): WireStatus {
  if (notification.readAtMs !== 0n) return 'read';
  return bestStatus(notification.deliveries.map((d) => d.status));
}

/** The earliest of the deliveries' times under `pick`, 0n where none is set. */
export function earliest(deliveries: readonly Delivery[], pick: (d: Delivery) => EpochMs): EpochMs {
  let first = 0n;
  for (const delivery of deliveries) {
    const at = pick(delivery);
    if (at !== 0n && (first === 0n || at < first)) first = at;
  }
  return first;
}

/** A notification's channel on the wire: in_app when that is among its channels, else the first. */
export function wireChannel(deliveries: readonly Delivery[]): Channel {
  return inAppOf(deliveries)?.channel ?? deliveries[0]?.channel ?? 'in_app';
}

/** The in-app delivery, which streams and the unread counter concern. */
export function inAppOf(deliveries: readonly Delivery[]): Delivery | undefined {
  return deliveries.find((d) => d.channel === 'in_app');
}

/** The distinct channels, in order. */
export function channelsOf(deliveries: readonly Delivery[]): Channel[] {
  return [...new Set(deliveries.map((d) => d.channel))];
}
