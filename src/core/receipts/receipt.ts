import type { Channel, DeliveryStatus, EpochMs, Reason } from '../glossary.ts';

/**
 * - arrived: the recipient's side has it.
 * - opened, clicked: the recipient has read it, or followed a link in it. So it has arrived.
 * - lost: it will not arrive.
 */
export const receiptKinds = ['arrived', 'opened', 'clicked', 'lost'] as const;
export type ReceiptKind = (typeof receiptKinds)[number];

/** What a provider says of a delivery, as the delivery keeps it. */
export interface KeptReceipt {
  /** When it happened, as far as the provider says. */
  readonly atMs: EpochMs;
  readonly provider: string;
  readonly kind: ReceiptKind;
  /** Why it is lost, as a word; '' for the others. */
  readonly reason: Reason;
  /** In more words, without addresses, texts and secrets; '' where there are none. */
  readonly detail: string;
}

/** What a provider says of a delivery after it took it. It may say it late, twice, and in any order. */
export interface Receipt extends KeptReceipt {
  readonly tenantId: string;
  /** The notification's id. */
  readonly id: string;
  readonly deliveryId: string;
  /** A delivery on another channel is not meant. */
  readonly channel: Channel;
  /** Why nothing should be sent to the address any more; undefined: it may be. */
  readonly dead: 'bounced' | 'complained' | undefined;
}

/** What is said of deliveries from outside. A part of every Store. */
export interface ReceiptLog {
  /**
   * Writes receipts, each for itself. One that arrived, was opened or clicked makes its delivery acked, whatever it was: an attempt that
   * timed out may have succeeded; what was delivered keeps its reason. One that is lost makes it failed where it was pending, or
   * delivered by the provider that says so: another one took it after an attempt whose end is not known. It keeps the first reason. Of
   * each kind the earliest time is kept. So repeats change nothing, and every order comes to the same, but for that reason.
   *
   * A delivery that moves is not due any more. The lease of an attempt that is under way stays with its holder, whose outcome then adds
   * the attempt to the log and changes no status.
   * @returns for each, in order, the delivery that it was about; undefined: there is none of that name on that channel
   */
  recordReceipts(receipts: readonly Receipt[]): Promise<(ReceivedDelivery | undefined)[]>;
}

export interface ReceivedDelivery {
  readonly destination: string;
}

/** What a receipt makes of its delivery. */
export const statusOf = ({ kind }: Pick<Receipt, 'kind'>): Extract<DeliveryStatus, 'acked' | 'failed'> =>
  kind === 'lost' ? 'failed' : 'acked';
