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
  /** The id that the provider gave the message, as of SendReceipt; absent where it does not say. */
  readonly providerMessageId?: string;
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
   * timed out may have succeeded; what was delivered keeps its reason. Of each kind the earliest time is kept. So repeats change nothing,
   * and every order comes to the same, but for the reason of one that is lost, which is the first.
   *
   * A loss is of the message that it names, by its provider and that one's id; where either side knows no id, of the provider's last.
   * - Delivered becomes failed where that message is the one that was taken: another provider may have taken it after an attempt whose end
   *   is not known, and so may the same one.
   * - Pending becomes failed where nobody holds a lease.
   * - Under a lease it waits, since another send may be under way. It decides with the outcome, unless somebody took another message; or
   *   when the lease is handed back. With a holder that died it is forgotten: what that one did last is not known.
   * - What the log has already is not told twice: neither of two repeats, nor of what an operator has had sent again.
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
