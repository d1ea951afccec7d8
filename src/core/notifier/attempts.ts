import pLimit from 'p-limit';
import type { Ambient } from '../ambient.ts';
import { type ChannelProvider, DeliveryError } from '../channel.ts';
import type { Delivery, Notification } from '../glossary.ts';
import type { Outcome } from '../store.ts';

/** An attempt that a provider has not answered by then is aborted and counts as a transient failure. */
export const attemptTimeoutMs = 30_000;

/** Attempts under way at once, per provider. */
export const attemptsPerProvider = 32;

/** What an operator sees of an attempt. */
export type AttemptObserver = (attempt: {
  readonly channel: string;
  readonly provider: string;
  /** delivered, pending (will be tried again) or failed. */
  readonly status: string;
  readonly durationMs: number;
  /** For the log only. */
  readonly error: unknown;
}) => void;

/** Hands deliveries to their providers, with bounded concurrency, and says what became of each. Never rejects. */
export class Attempts {
  readonly #limits = new Map<ChannelProvider, ReturnType<typeof pLimit>>();
  readonly #ambient: Ambient;
  readonly #observe: AttemptObserver;
  readonly #underWay = new Set<Promise<Outcome>>();

  constructor(ambient: Ambient, observe: AttemptObserver) {
    this.#ambient = ambient;
    this.#observe = observe;
  }

  /** One attempt of one delivery. */
  attempt(provider: ChannelProvider, notification: Notification, delivery: Delivery): Promise<Outcome> {
    let limit = this.#limits.get(provider);
    if (limit === undefined) {
      limit = pLimit(attemptsPerProvider);
      this.#limits.set(provider, limit);
    }
    const outcome = limit(() => this.#send(provider, notification, delivery));
    this.#underWay.add(outcome);
    return outcome.finally(() => this.#underWay.delete(outcome));
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #send(provider: ChannelProvider, notification: Notification, delivery: Delivery): Promise<Outcome> {
    const { clock } = this.#ambient;
    const startedMs = clock.now();
    const abort = new AbortController();
    const cancel = clock.after(attemptTimeoutMs, () => abort.abort());
    const timedOut = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () =>
        reject(new DeliveryError('timeout', 'the provider did not answer in time', { retryable: true })),
      );
    });
    let status: Outcome['status'] = 'delivered';
    let reason = '';
    let providerMessageId = '';
    let failure: unknown;
    try {
      const sent = provider.send(
        {
          tenantId: notification.tenantId,
          userId: notification.userId,
          id: notification.id,
          deliveryId: delivery.id,
          destination: delivery.destination,
          content: notification,
        },
        { signal: abort.signal, idempotencyKey: delivery.id },
      );
      // a provider that ignores the signal is left behind
      providerMessageId = (await Promise.race([sent, timedOut])).providerMessageId;
    } catch (error) {
      failure = error;
      reason = error instanceof DeliveryError ? error.code : 'provider_error';
      status = error instanceof DeliveryError && !error.retryable ? 'failed' : 'pending';
    } finally {
      cancel();
    }
    this.#observe({
      channel: delivery.channel,
      provider: provider.name,
      status,
      durationMs: clock.now() - startedMs,
      error: failure,
    });
    return {
      tenantId: notification.tenantId,
      userId: notification.userId,
      id: notification.id,
      deliveryId: delivery.id,
      status,
      reason,
      providerMessageId,
      atMs: BigInt(clock.now()),
      attempts: 1,
    };
  }
}
