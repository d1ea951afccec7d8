import type { Notification } from '../glossary.ts';
import { inAppOf } from '../status.ts';
import type { ItemEvent } from './events.ts';

/** Whether streams carry this item. One that was archived while it was snoozed comes back to the archive. */
export const isStreamed = (notification: Notification): boolean =>
  notification.position > 0 &&
  notification.archivedAtMs === 0n &&
  inAppOf(notification.deliveries) !== undefined;

/**
 * An item as a stream shows it: what reaches a client has been delivered by that.
 * @param nowMs UTC epoch milliseconds, of the delivery that this is
 */
export function itemEvent(notification: Notification, nowMs: number): ItemEvent {
  if (inAppOf(notification.deliveries)?.status !== 'pending')
    return { kind: 'notification', notification, first: false };
  const deliveredAtMs = BigInt(nowMs);
  const deliveries = notification.deliveries.map((delivery) =>
    delivery.channel === 'in_app'
      ? {
          ...delivery,
          status: 'delivered' as const,
          reason: '',
          deliveredAtMs,
        }
      : delivery,
  );
  return { kind: 'notification', notification: { ...notification, deliveries }, first: true };
}
