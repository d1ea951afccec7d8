import type { Clock } from '../ambient.ts';
import type { LiveHub } from '../live/hub.ts';
import { inAppOf } from '../status.ts';
import type { StoredOutcome } from '../store.ts';
import type { Freshening } from './fresh.ts';

/**
 * Tells the live sessions of new items' users, over several turns of the event loop where they are many, and waits a little for one
 * to take each.
 * @param live new items of users who have a session
 * @param confirmTimeoutMs how long it waits at most once all are told, in milliseconds
 */
export async function goLive(
  hub: LiveHub,
  clock: Clock,
  confirmTimeoutMs: number,
  live: readonly StoredOutcome[],
  fresh: Freshening,
): Promise<void> {
  const waits: Promise<void>[] = [];
  const giveUps: (() => void)[] = [];
  // before any is told: a stream that reads the store meanwhile takes some sooner than they are told
  for (const { notification } of live) {
    const inApp = inAppOf(notification.deliveries);
    if (inApp !== undefined && notification.position > 0)
      waits.push(
        new Promise((resolve) => {
          const giveUp = hub.whenTaken(notification.id, () => {
            fresh.set(inApp.id, { status: 'delivered', reason: '', dueAtMs: 0n });
            resolve();
          });
          giveUps.push(() => {
            giveUp();
            resolve();
          });
        }),
      );
  }
  for (const { notification, version } of live) {
    const room = hub.pace.room(notification);
    if (room !== undefined) await room;
    hub.publish(notification, version);
  }
  if (waits.length === 0) return;
  const cancel = clock.after(confirmTimeoutMs, () => {
    for (const giveUp of giveUps) giveUp();
  });
  await Promise.all(waits);
  cancel();
}
