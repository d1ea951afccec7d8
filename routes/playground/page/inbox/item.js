import { int64 } from '../dom.js';

const isInApp = (item) =>
  item.channels?.length > 0
    ? item.channels.includes('DELIVERY_CHANNEL_IN_APP')
    : item.channel === 'DELIVERY_CHANNEL_IN_APP';

export const isRead = (item) => int64(item.readAtMs) !== 0n || item.status === 'DELIVERY_STATUS_READ';

export const isUnread = (item) => isInApp(item) && !isRead(item) && int64(item.archivedAtMs) === 0n;

/** The order of the inbox. */
export function byNewest(a, b) {
  const order = int64(b.position) - int64(a.position) || int64(b.createdAtMs) - int64(a.createdAtMs);
  return order > 0n ? 1 : order < 0n ? -1 : 0;
}

/** An item as it is once it was read, or with 0 no more. */
export const withRead = (item, readAtMs) => ({
  ...item,
  readAtMs: String(readAtMs),
  status:
    readAtMs > 0
      ? 'DELIVERY_STATUS_READ'
      : int64(item.deliveredAtMs) > 0n
        ? 'DELIVERY_STATUS_DELIVERED'
        : 'DELIVERY_STATUS_PENDING',
});
