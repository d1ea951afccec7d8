import { Webhook } from 'standardwebhooks';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  codes,
  DeliveryError,
  type SendOptions,
  type SendReceipt,
} from '../../../src/core/channel.ts';
import { EgressRefused } from '../../../src/core/egress/refused.ts';
import { type Answer, exchange } from '../http/exchange.ts';
import { hosts } from '../http/hosts.ts';
import { retryAfterMs } from '../http/retry-after.ts';
import { transportError } from '../http/transport-error.ts';
import type { OpenProvider } from '../open.ts';
import { webhookPayload } from './payload.ts';

/** What a webhook needs of the service. */
export interface WebhookParts {
  readonly egress: { target(url: string): URL; readonly agent: Dispatcher };
  readonly keys: { of(tenantId: string, url: string): readonly string[] };
  readonly clock: Clock;
}

/** How long a receiver may take, connecting included. */
const timeoutMs = 10_000;
/** Client errors that pass: too slow, a conflict, too early, too many (RFC 9110 §15.5, RFC 8470 §5.2, RFC 6585 §4). */
const passing = [408, 409, 425, 429];

/**
 * Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md): a signed POST to the URL
 * that is the delivery's destination.
 */
export class WebhookProvider implements ChannelProvider {
  readonly channel = 'webhook';
  readonly name = 'webhook';
  readonly servers = hosts();
  readonly #parts: WebhookParts;

  constructor(parts: WebhookParts) {
    this.#parts = parts;
  }

  async send(message: ChannelMessage, { signal, idempotencyKey }: SendOptions): Promise<SendReceipt> {
    const { egress, keys, clock } = this.#parts;
    const url = this.#target(message.destination);
    const body = webhookPayload(message);
    const sentAt = new Date(clock.now());
    const signatures = keys
      .of(message.tenantId, message.destination)
      .map((key) => new Webhook(key).sign(idempotencyKey, sentAt, body));
    const late = new AbortController();
    const cancel = clock.after(timeoutMs, () => late.abort());
    try {
      const answer = await exchange(egress.agent, {
        url,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'notify',
          'webhook-id': idempotencyKey,
          'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
          'webhook-signature': signatures.join(' '),
        },
        body,
        signal: AbortSignal.any([signal, late.signal]),
      });
      const refusal = refusalOf(answer, clock.now());
      if (refusal !== undefined) throw refusal;
      return { providerMessageId: '' };
    } catch (error) {
      if (late.signal.aborted && !signal.aborted)
        throw new DeliveryError(codes.timeout, `the receiver did not answer within ${timeoutMs / 1000} s`, {
          retryable: true,
        });
      throw error;
    } finally {
      cancel();
    }
  }

  /** The configuration has proved the secret's form. */
  async check(): Promise<Checked> {
    return { state: 'ready', note: 'the signing secret is set; every receiver is a server of its own' };
  }

  #target(destination: string): URL {
    try {
      return this.#parts.egress.target(destination);
    } catch (error) {
      throw error instanceof EgressRefused ? transportError(error, neverAborted) : error;
    }
  }
}

const neverAborted = new AbortController().signal;

/** Why a receiver did not take it; undefined: it did. */
function refusalOf({ status, headers }: Answer, nowMs: number): DeliveryError | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 410)
    return new DeliveryError(codes.destinationGone, 'the receiver is gone for good: it answered 410', {
      retryable: false,
    });
  const after = retryAfterMs(headers, nowMs);
  const isRedirect = status >= 300 && status < 400;
  const hint = isRedirect ? '; redirects are not followed, use the URL that it leads to' : '';
  return new DeliveryError(`http_${status}`, `the receiver answered ${status}${hint}`, {
    retryable: status >= 500 || passing.includes(status),
    ...(after !== undefined && { retryAfterMs: after }),
  });
}

/** @throws while the channel has no secret */
export const openWebhook: OpenProvider = async ({ egress, webhookKeys, ambient }) => {
  if (webhookKeys === undefined) throw new Error('NOTIFY_WEBHOOK_SECRET is not set');
  return new WebhookProvider({
    egress: { target: (url) => egress.target(url), agent: await egress.agent() },
    keys: webhookKeys,
    clock: ambient.clock,
  });
};
