import { deadReason } from '../addresses.ts';
import { diversions } from '../channel.ts';
import type { Attempt, Delivery, DeliveryStatus, Notification, Reason } from '../glossary.ts';
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

/** What is known beside the attempts of the providers that the delivery may go by. */
export interface ProviderHealth {
  /** How many there are. */
  readonly providers: number;
  /** How long all of them have been down since the delivery was due first: its horizon is so much longer. */
  readonly downMs: number;
  /** While all of them are down: when the first is probed. The delivery waits for that, however long. */
  readonly probeAtMs: number | undefined;
}

const healthy: ProviderHealth = { providers: 1, downMs: 0, probeAtMs: undefined };

/**
 * What becomes of a delivery that some providers were asked to send, one after the other: the last one's word counts. Delivered;
 * failed for good; or tried again after a pause, as long as its horizon reaches. Not before the time that all of them named.
 * @param results at least one
 */
export function outcomeOf(
  job: Job,
  results: readonly AttemptResult[],
  retry: RetrySettings,
  nowMs: number,
  random: () => number,
  { providers, downMs, probeAtMs }: ProviderHealth = healthy,
): Outcome {
  const last = results.at(-1);
  const told = (status: DeliveryStatus, reason: Reason): Outcome => ({
    ...outcome(job, nowMs, status, reason),
    providerMessageId: last?.providerMessageId ?? '',
    attempts: results.map(attemptOf),
  });
  const failure = last?.failure;
  if (failure === undefined) return told('delivered', last?.diverted ?? '');
  if (!failure.retryable) return told('failed', failure.code);
  const { delivery, notification } = job;
  const { expiresAtMs } = notification;
  if (hasExpired(job, nowMs)) return told('suppressed', 'expired');
  // each round asks all of them: the pauses grow with the rounds
  const rounds = Math.floor(delivery.attempts / providers) + 1;
  const waitMs = probeAtMs === undefined ? backoffMs(rounds, retry, random) : Math.max(0, probeAtMs - nowMs);
  const namedMs = Math.min(...results.map((result) => result.failure?.retryAfterMs ?? 0));
  const dueAtMs = BigInt(nowMs + Math.ceil(Math.max(waitMs, namedMs)));
  const horizonMs = delivery.firstDueAtMs + BigInt((retry.forMs[delivery.channel] ?? 0) + downMs);
  // at its expiry it is looked at again, and stopped
  const isWaiting = probeAtMs !== undefined;
  if (expiresAtMs !== 0n && (isWaiting || expiresAtMs < horizonMs) && dueAtMs >= expiresAtMs)
    return { ...told('pending', failure.code), dueAtMs: expiresAtMs };
  if (dueAtMs > horizonMs && !isWaiting) return told('failed', failure.code);
  return { ...told('pending', failure.code), dueAtMs };
}

/**
 * Why a delivery must not be attempted; undefined: it may.
 * @param results of providers that were asked before
 * @param isDead nobody is reached at its address any more, as has been found since it was accepted
 */
export function verdictOf(
  job: Job,
  results: readonly AttemptResult[],
  { crashLimit, isDead }: { readonly crashLimit: number; readonly isDead: boolean },
  nowMs: number,
): Outcome | undefined {
  const attempts = results.map(attemptOf);
  if (hasExpired(job, nowMs)) return { ...outcome(job, nowMs, 'suppressed', 'expired'), attempts };
  if (isDead) return { ...outcome(job, nowMs, 'suppressed', deadReason), attempts };
  // whoever attempts it dies of it
  if (job.crashes >= crashLimit) return { ...outcome(job, nowMs, 'failed', 'poison'), attempts };
  return undefined;
}

const hasExpired = ({ notification: { expiresAtMs } }: Job, nowMs: number): boolean =>
  expiresAtMs !== 0n && expiresAtMs <= nowMs;

/** As the delivery's log has it: a try that is to be repeated has failed all the same. */
const attemptOf = ({
  startedAtMs,
  durationMs,
  provider,
  detail,
  diverted,
  failure,
}: AttemptResult): Attempt => ({
  startedAtMs: BigInt(startedAtMs),
  durationMs,
  provider,
  status: failure === undefined ? 'delivered' : 'failed',
  reason: failure?.code ?? diverted ?? '',
  detail: failure?.detail ?? (diverted ? diversions[diverted] : detail),
});

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
  attempts: [],
  leaseToken,
  dueAtMs: 0n,
});
