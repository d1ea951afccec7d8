import type { Clock } from '../ambient.ts';
import type { Attempts } from '../dispatcher/attempts.ts';
import type { StoredOutcome } from '../store.ts';
import type { Freshening } from './fresh.ts';

/**
 * Attempts what a call has to attempt, and waits for it up to the limit. Beyond, what has begun goes on, and what has not is
 * handed back: it is due for any replica's dispatcher.
 * @param timeoutMs the limit, in milliseconds
 * @param failed told where handing back fails
 */
export async function attemptFirst(
  attempts: Attempts,
  clock: Clock,
  timeoutMs: number,
  sendable: readonly StoredOutcome[],
  fresh: Freshening,
  failed: (what: string, error: unknown) => void,
): Promise<void> {
  const leaseToken = attempts.lease.token;
  const jobs = sendable.flatMap(({ notification, attempt }) =>
    attempt.flatMap((id) => {
      const delivery = notification.deliveries.find((d) => d.id === id);
      return delivery ? [{ notification, delivery, leaseToken, crashes: 0 }] : [];
    }),
  );
  if (jobs.length === 0) return;
  const outcomes = jobs.map(async (job) => {
    const outcome = await attempts.run(job);
    if (outcome !== undefined) fresh.set(outcome.deliveryId, outcome);
  });
  const inTime = await within(clock, timeoutMs, Promise.all(outcomes));
  if (!inTime) attempts.release(jobs).catch((error: unknown) => failed('release leases', error));
}

/** @returns whether the work was done within a time, in milliseconds */
function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(false));
    void work.then(() => {
      cancel();
      resolve(true);
    });
  });
}
