import { diversions } from '../channel.ts';
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

/** What is known of the provider beside this attempt. */
export interface ProviderHealth {
  /** How long it has been down since the delivery was due first: its horizon is so much longer. */
  readonly downMs: number;
  /** While it is down: when it is probed. The delivery waits for that, however long. */
  readonly probeAtMs: number | undefined;
}

const healthy: ProviderHealth = { downMs: 0, probeAtMs: undefined };

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
  { downMs, probeAtMs }: ProviderHealth = healthy,
): Outcome {
  const { failure } = result;
  if (failure === undefined) return withAttempt(job, result, nowMs, 'delivered', result.diverted ?? '');
  if (!failure.retryable) return withAttempt(job, result, nowMs, 'failed', failure.code);
  const { delivery, notification } = job;
  const waitMs =
    probeAtMs === undefined
      ? backoffMs(delivery.attempts + 1, retry, random)
      : Math.max(0, probeAtMs - nowMs);
  const pauseMs = Math.max(waitMs, failure.retryAfterMs ?? 0);
  const dueAtMs = BigInt(nowMs + Math.ceil(pauseMs));
  const horizonMs = delivery.firstDueAtMs + BigInt((retry.forMs[delivery.channel] ?? 0) + downMs);
  const { expiresAtMs } = notification;
  // at its expiry it is looked at again, and stopped
  const isWaiting = probeAtMs !== undefined;
  if (expiresAtMs !== 0n && (isWaiting || expiresAtMs < horizonMs) && dueAtMs >= expiresAtMs)
    return { ...withAttempt(job, result, nowMs, 'pending', failure.code), dueAtMs: expiresAtMs };
  if (dueAtMs > horizonMs && !isWaiting) return withAttempt(job, result, nowMs, 'failed', failure.code);
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
      detail: result.failure?.detail ?? (result.diverted ? diversions[result.diverted] : result.detail),
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
