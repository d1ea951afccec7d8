import type { Channel, Content, EpochMs, Reason, UserKey } from './glossary.ts';
import type { ReceiptReader } from './receipts/reader.ts';

/**
 * One way to send on a channel. A provider keeps its own connections and never retries: the dispatcher does.
 * `send` may be called many times at once.
 */
export interface ChannelProvider {
  readonly channel: Channel;
  /** As in logs and metric labels: smtp, ses, twilio … */
  readonly name: string;
  /** Where destinations are at many servers, as with webhooks: that one of them is away or slow says nothing of the others. */
  readonly servers?: ServersOfDestinations;
  /** Sends a second that it usually allows, where its documentation says so; an operator's own number wins. */
  readonly usualRate?: number;
  /**
   * Hands one message over.
   * @throws DeliveryError; anything else counts as retryable
   */
  send(message: ChannelMessage, options: SendOptions): Promise<SendReceipt>;
  /**
   * Asks the provider whether it takes our credentials, by a call that sends nothing. Absent where it has none.
   * @throws DeliveryError credentials_rejected or provider_misconfigured, or one that is not retryable: an operator has to act; any
   * other: it could not be asked
   */
  check?(options: CheckOptions): Promise<Checked>;
  /**
   * Whether it can send to a destination at all: FCM knows tokens of its own alone, and so does APNs. Asked where a channel has
   * several providers.
   */
  takes?(destination: string): boolean;
  /** Knows what the provider posts to /v1/receipts/<name>; undefined: it posts nothing, or this is not set up. */
  readonly receipts?: ReceiptReader | undefined;
  close?(): Promise<void>;
}

export interface ServersOfDestinations {
  /** Names the server that a destination is at; '': the provider's own. Must not throw. */
  of(destination: string): string;
  /** How many messages one of them is sent at once, its own excepted: as many as it gets connections. */
  readonly atOnce: number;
}

/** Which providers are active, by channel, in the order in which they are asked. In-app always is: the inbox. */
export type Providers = ReadonlyMap<Channel, readonly ChannelProvider[]>;

/** Those that a destination may go by, in their order: each takes over from the one before. All of them where none takes it. */
export function thoseFor<T extends Pick<ChannelProvider, 'takes'>>(
  providers: readonly T[],
  destination: string,
): readonly T[] {
  if (providers.length < 2) return providers;
  const takers = providers.filter((provider) => provider.takes?.(destination) ?? true);
  return takers.length > 0 ? takers : providers;
}

export interface ChannelMessage extends UserKey {
  /** The store's id of the notification. */
  readonly id: string;
  readonly deliveryId: string;
  readonly destination: string;
  /** When the notification was accepted: the same over retries. */
  readonly createdAtMs: EpochMs;
  readonly content: Content;
  /** What the request or a template says for this channel alone; it wins over the content's title and body. */
  readonly rendered?: RenderedContent | undefined;
}

/** The words of one channel. '' where nothing is said. */
export interface RenderedContent {
  readonly subject: string;
  /** Plain text. */
  readonly body: string;
  readonly html: string;
  /** An address, or `Name <address>`. */
  readonly replyTo: string;
}

export interface SendOptions {
  /** Aborted at the attempt's time limit or at shutdown. */
  readonly signal: AbortSignal;
  /** The delivery's id: stable over retries, for providers that can drop a duplicate. */
  readonly idempotencyKey: string;
}

export interface CheckOptions {
  /** Aborted at the check's time limit or at shutdown. */
  readonly signal: AbortSignal;
}

export interface Checked {
  /** `not_checkable`: it answers, and does not say whether it would send. */
  readonly state: 'ready' | 'not_checkable';
  /** What was found, for an operator; without a secret. */
  readonly note: string;
}

export interface SendReceipt {
  /** '' where the provider gives none. */
  readonly providerMessageId: string;
  /** For the log of attempts: what else is worth knowing, without texts and addresses. */
  readonly detail?: string;
  /** Absent: it went where it is addressed to. */
  readonly diverted?: Diversion;
}

/** What the sandbox (NOTIFY_SANDBOX) did with a message: the delivery's reason, and the words for its log. */
export const diversions = {
  sandbox_captured: 'the sandbox kept it: nothing was sent',
  sandbox_redirected: "the sandbox sent it to its own address in the place of the recipient's",
} as const satisfies Readonly<Record<Reason, string>>;
export type Diversion = keyof typeof diversions;

/**
 * Codes that say that a destination is dead for good: a browser's subscription has gone, an app was removed. The device is then
 * forgotten.
 */
export const deadDestination: ReadonlySet<Reason> = new Set(['subscription_gone', 'unregistered_token']);

/**
 * Codes that mean the same whatever the provider. Beside them a provider has words of its own, and `http_<status>`.
 *
 * - The first four: the provider could not be asked, or gave no whole answer. Retryable; what it did meanwhile is not known.
 * - credentials_rejected, provider_misconfigured: an operator has to act. Retryable: the delivery waits for that.
 * - invalid_destination: it cannot be one of the channel. destination_gone: nobody will ever be reached there again, and
 *   the address is marked as dead.
 * - destination_refused: it leads where this service must not connect to.
 * - sandbox_address_refused: one of the three above, of the address that the sandbox sends to: it says nothing of the recipient's.
 */
export const codes = {
  timeout: 'timeout',
  dnsFailed: 'dns_failed',
  tlsFailed: 'tls_failed',
  connectionFailed: 'connection_failed',
  interrupted: 'interrupted',
  credentialsRejected: 'credentials_rejected',
  misconfigured: 'provider_misconfigured',
  invalidDestination: 'invalid_destination',
  destinationRefused: 'destination_refused',
  destinationGone: 'destination_gone',
  messageRefused: 'message_refused',
  sandboxAddress: 'sandbox_address_refused',
} as const satisfies Readonly<Record<string, Reason>>;

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
