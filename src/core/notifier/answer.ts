import type { Channel, Delivery, Notification } from '../glossary.ts';
import { bestStatus } from '../status.ts';
import type { StoredOutcome } from '../store.ts';
import type { NotifyAnswer, NotifyCommand, NotifyResult } from './command.ts';
import type { Fresh } from './fresh.ts';

/** What a call answers of the rows that are stored: counts per (user, channel), and results where they were asked for. */
export function answer(
  stored: readonly StoredOutcome[],
  fresh: Fresh,
  { returnResults }: Pick<NotifyCommand, 'returnResults'>,
): NotifyAnswer {
  const counts = { delivered: 0, pending: 0, failed: 0, suppressed: 0 };
  const results: NotifyResult[] = [];
  for (const { notification, created, appearsAtMs } of stored)
    for (const { channel, status, reason, dueAtMs } of bestByChannel(notification, fresh)) {
      counts[status === 'acked' ? 'delivered' : status] += 1;
      if (returnResults)
        results.push({
          userId: notification.userId,
          id: notification.id,
          channel,
          status,
          reason,
          created,
          // a scheduled item's in-app delivery is due when the item appears
          dueAtMs: channel === 'in_app' && status === 'pending' ? appearsAtMs : dueAtMs,
        });
    }
  const { delivered, pending, failed, suppressed } = counts;
  return { delivered, pending, failed, suppressed, results };
}

/** What an answer tells of a delivery. */
type Best = Pick<Delivery, 'channel' | 'status' | 'reason' | 'dueAtMs'>;

/** The best delivery of each channel, in the order of the channels. */
function bestByChannel({ deliveries }: Notification, fresh: Fresh): Iterable<Best> {
  if (deliveries.length === 1 && fresh.size === 0) return deliveries;
  const best = new Map<Channel, Best>();
  for (const delivery of deliveries) {
    const { channel } = delivery;
    const { status, reason, dueAtMs } = fresh.get(delivery.id) ?? delivery;
    const before = best.get(channel);
    if (before === undefined || bestStatus([before.status, status]) !== before.status)
      best.set(channel, { channel, status, reason, dueAtMs });
  }
  return best.values();
}
