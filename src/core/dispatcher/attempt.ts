import type { Ambient } from '../ambient.ts';
import { type ChannelProvider, DeliveryError, type Diversion, type SendReceipt } from '../channel.ts';
import type { Delivery, Notification } from '../glossary.ts';

/** What one attempt came to. */
export interface AttemptResult {
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly provider: string;
  readonly providerMessageId: string;
  /** What the provider told of one that it took, for the delivery's log. */
  readonly detail: string;
  /** What the sandbox did with it; undefined: nothing. */
  readonly diverted?: Diversion | undefined;
  /** Undefined: the provider took it. */
  readonly failure: AttemptFailure | undefined;
}

export interface AttemptFailure {
  readonly code: string;
  /** For the delivery's log: without secrets and texts. */
  readonly detail: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  /** For the service's log. */
  readonly cause: unknown;
}

/** What the log keeps of a provider's words. */
const longestDetail = 300;

/**
 * Hands one delivery to its provider, once. Never rejects.
 * @param signal aborts it; a provider that does not listen is left behind
 */
export async function attemptDelivery(
  provider: ChannelProvider,
  notification: Notification,
  delivery: Delivery,
  ambient: Pick<Ambient, 'clock'>,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<AttemptResult> {
  const { clock } = ambient;
  const startedAtMs = clock.now();
  const abort = new AbortController();
  const stop = () => abort.abort();
  options.signal.addEventListener('abort', stop, { once: true });
  const cancel = clock.after(options.timeoutMs, stop);
  const stopped = new Promise<never>((_, reject) => {
    abort.signal.addEventListener('abort', () =>
      reject(
        options.signal.aborted
          ? new DeliveryError('interrupted', 'this server stopped before the provider answered', {
              retryable: true,
            })
          : new DeliveryError('timeout', 'the provider did not answer in time', { retryable: true }),
      ),
    );
  });
  let receipt: SendReceipt = { providerMessageId: '' };
  let failure: AttemptFailure | undefined;
  try {
    const sent = provider.send(
      {
        tenantId: notification.tenantId,
        userId: notification.userId,
        id: notification.id,
        deliveryId: delivery.id,
        destination: delivery.destination,
        createdAtMs: notification.createdAtMs,
        content: notification,
      },
      { signal: abort.signal, idempotencyKey: delivery.id },
    );
    receipt = await Promise.race([sent, stopped]);
  } catch (error) {
    failure = failureOf(error);
  } finally {
    cancel();
    options.signal.removeEventListener('abort', stop);
  }
  const durationMs = Math.max(0, clock.now() - startedAtMs);
  const { providerMessageId, detail = '', diverted } = receipt;
  return { startedAtMs, durationMs, provider: provider.name, providerMessageId, detail, diverted, failure };
}

function failureOf(error: unknown): AttemptFailure {
  if (error instanceof DeliveryError)
    return {
      code: error.code,
      detail: error.message.slice(0, longestDetail),
      retryable: error.retryable,
      retryAfterMs: error.retryAfterMs,
      cause: error,
    };
  // what else a provider throws may quote anything
  return {
    code: 'provider_error',
    detail: 'the provider failed in an unexpected way; the log has the cause',
    retryable: true,
    retryAfterMs: undefined,
    cause: error,
  };
}
