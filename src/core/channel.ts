import type { Channel, Content, Reason, UserKey } from './glossary.ts';

/**
 * One way to send on a channel. A provider keeps its own connections and never retries: the dispatcher does.
 * `send` may be called many times at once.
 */
export interface ChannelProvider {
  readonly channel: Channel;
  /** As in logs and metric labels: smtp, ses, twilio … */
  readonly name: string;
  /**
   * Hands one message over.
   * @throws DeliveryError; anything else counts as retryable
   */
  send(message: ChannelMessage, options: SendOptions): Promise<SendReceipt>;
  close?(): Promise<void>;
}

export interface ChannelMessage extends UserKey {
  /** The store's id of the notification. */
  readonly id: string;
  readonly deliveryId: string;
  readonly destination: string;
  readonly content: Content;
}

export interface SendOptions {
  /** Aborted at the attempt's time limit or at shutdown. */
  readonly signal: AbortSignal;
  /** The delivery's id: stable over retries, for providers that can drop a duplicate. */
  readonly idempotencyKey: string;
}

export interface SendReceipt {
  /** '' where the provider gives none. */
  readonly providerMessageId: string;
}

/**
 * Codes that say that a destination is dead for good: a browser's subscription has gone, an app was removed. The device is then
 * forgotten.
 */
export const deadDestination: ReadonlySet<Reason> = new Set(['subscription_gone', 'unregistered_token']);

/** A provider did not take a message. The public text says why without quoting the message or a secret. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  /** A stable word for results, log and metrics. */
  readonly code: Reason;

  constructor(
    code: Reason,
    publicText: string,
    options: { retryable: boolean; retryAfterMs?: number; cause?: unknown },
  ) {
    super(publicText, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable;
    this.retryAfterMs = options.retryAfterMs;
  }
}
