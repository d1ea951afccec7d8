import type { Delivery, DeliveryStatus, Notification, Reason } from '../glossary.ts';
import type { Outcome } from '../outbox.ts';
import type { AttemptResult } from './attempt.ts';
import { backoffMs } from './backoff.ts';
import type { RetrySettings } from './settings.ts';

/** A delivery that this process holds. */
export interface Job {
  readonly notification: Notification;
  readonly delivery: Delivery;
  readonly leaseToken: string;
  /** Leases of it that ran out before. */
  readonly crashes: number;
}

/**
 * What becomes of a delivery after an attempt: delivered; failed for good; or tried again after a pause, as long as its horizon
 * reaches. Where the provider named a time, not before that.
 */
export function outcomeOf(
  job: Job,
  result: AttemptResult,
  retry: RetrySettings,
  nowMs: number,
  random: () => number,
): Outcome {
  const { failure } = result;
  if (failure === undefined) return withAttempt(job, result, nowMs, 'delivered', '');
  if (!failure.retryable) return withAttempt(job, result, nowMs, 'failed', failure.code);
  const { delivery, notification } = job;
  const pauseMs = Math.max(backoffMs(delivery.attempts + 1, retry, random), failure.retryAfterMs ?? 0);
  const dueAtMs = BigInt(nowMs + Math.ceil(pauseMs));
  const horizonMs = delivery.firstDueAtMs + BigInt(retry.forMs[delivery.channel] ?? 0);
  const { expiresAtMs } = notification;
  // at its expiry it is looked at again, and stopped
  if (expiresAtMs !== 0n && expiresAtMs < horizonMs && dueAtMs >= expiresAtMs)
    return { ...withAttempt(job, result, nowMs, 'pending', failure.code), dueAtMs: expiresAtMs };
  if (dueAtMs > horizonMs) return withAttempt(job, result, nowMs, 'failed', failure.code);
  return { ...withAttempt(job, result, nowMs, 'pending', failure.code), dueAtMs };
}

/** Why a delivery must not be attempted; undefined: it may. */
export function verdictOf(job: Job, crashLimit: number, nowMs: number): Outcome | undefined {
  const { expiresAtMs } = job.notification;
  if (expiresAtMs !== 0n && expiresAtMs <= nowMs) return outcome(job, nowMs, 'suppressed', 'expired');
  // whoever attempts it dies of it
  if (job.crashes >= crashLimit) return outcome(job, nowMs, 'failed', 'poison');
  return undefined;
}

function withAttempt(
  job: Job,
  result: AttemptResult,
  nowMs: number,
  status: DeliveryStatus,
  reason: Reason,
): Outcome {
  return {
    ...outcome(job, nowMs, status, reason),
    providerMessageId: result.providerMessageId,
    attempt: {
      startedAtMs: BigInt(result.startedAtMs),
      durationMs: result.durationMs,
      provider: result.provider,
      // a try that is to be repeated has failed all the same
      status: status === 'pending' ? 'failed' : status,
      reason,
      detail: result.failure?.detail ?? '',
    },
  };
}

const outcome = (
  { notification, delivery, leaseToken }: Job,
  nowMs: number,
  status: DeliveryStatus,
  reason: Reason,
): Outcome => ({
  tenantId: notification.tenantId,
  userId: notification.userId,
  id: notification.id,
  deliveryId: delivery.id,
  status,
  reason,
  providerMessageId: '',
  atMs: BigInt(nowMs),
  attempt: undefined,
  leaseToken,
  dueAtMs: 0n,
});
