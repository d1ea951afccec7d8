import type { Delivery } from '../../../src/core/glossary.ts';
import type { Cancel, Cancelled, InboxMoved } from '../../../src/core/outbox.ts';
import type { Row } from './row.ts';
import { stopped, withoutInApp } from './suppression.ts';
import type { Tables } from './tables.ts';
import type { UserInbox } from './user-inbox.ts';

/** Stops what has not gone out of a notification, see Outbox.cancelNotification. */
export function cancelNotification(tables: Tables, cancel: Cancel): Cancelled {
  const { tenantId, notificationId, userIds } = cancel;
  const inboxes =
    userIds.length > 0
      ? userIds.map((userId) => tables.inboxes.get({ tenantId, userId }))
      : [...tables.inboxes.ofTenant(tenantId)];
  const changes: InboxMoved[] = [];
  let cancelled = 0;
  for (const inbox of new Set(inboxes)) {
    const row = inbox?.stored(notificationId);
    if (inbox === undefined || row === undefined) continue;
    const { channels, deliveries } = stopDeliveries(tables, row);
    const { inApp, left } = cancelItem(inbox, row, deliveries, cancel);
    tables.schedule(inbox.row(row.id));
    cancelled += channels + (inApp ? 1 : 0);
    if (left)
      changes.push({ ...inbox.owner, appeared: [], removedIds: [row.id], summary: tables.summary(inbox) });
  }
  return { cancelled, changes };
}

/**
 * Stops what providers have not begun to send.
 * @returns on how many channels something was stopped, and the row's deliveries as they are now
 */
function stopDeliveries({ outbox }: Tables, row: Row): { channels: number; deliveries: Delivery[] } {
  const channels = new Set<string>();
  const deliveries = row.deliveries.map((delivery) => {
    const isFree = delivery.channel !== 'in_app' && !outbox.isLeased(delivery.id);
    if (!isFree || delivery.status !== 'pending') return delivery;
    channels.add(delivery.channel);
    const after = stopped(delivery, 'cancelled');
    outbox.settle(after);
    return after;
  });
  return { channels: channels.size, deliveries };
}

/**
 * Stops the item itself.
 * @param deliveries its deliveries, with those that were stopped replaced
 * @returns whether the in-app delivery was stopped, and whether the item left the inbox
 */
function cancelItem(
  inbox: UserInbox,
  row: Row,
  deliveries: readonly Delivery[],
  { retract, atMs }: Pick<Cancel, 'retract' | 'atMs'>,
): { inApp: boolean; left: boolean } {
  if (row.deletedAtMs !== 0n || row.inApp?.status === 'suppressed') {
    inbox.setDeliveries(row, deliveries, false);
    return { inApp: false, left: false };
  }
  const stops = row.position === 0 && row.snoozedUntilMs === 0n;
  const hides = retract && !stops;
  const inApp = row.inApp?.status === 'pending' && (stops || hides);
  if (stops || hides) row.dueAtMs = 0n;
  if (hides) row.deletedAtMs = atMs;
  inbox.setDeliveries(row, inApp ? withoutInApp(deliveries, 'cancelled') : deliveries, false);
  if (hides) inbox.countChange();
  return { inApp, left: hides };
}
