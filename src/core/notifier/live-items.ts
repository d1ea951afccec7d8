import type { Clock } from '../ambient.ts';
import type { LiveHub } from '../live/hub.ts';
import { inAppOf } from '../status.ts';
import type { StoredOutcome } from '../store.ts';
import type { Freshening } from './fresh.ts';

/**
 * Tells the live sessions of new items' users, and waits a little for one to take each.
 * @param live new items of users who have a session
 * @param confirmTimeoutMs how long it waits at most, in milliseconds
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
    hub.publish(notification);
  }
  if (waits.length === 0) return;
  const cancel = clock.after(confirmTimeoutMs, () => {
    for (const giveUp of giveUps) giveUp();
  });
  await Promise.all(waits);
  cancel();
}
