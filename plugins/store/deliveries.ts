import type { Delivery, EpochMs, Reason } from '../../src/core/glossary.ts';
import type { Outcome } from '../../src/core/outbox.ts';
import { type Receipt, statusOf } from '../../src/core/receipts/receipt.ts';
import { mayMove, mayReceive } from '../../src/core/status.ts';
import type { NewDelivery, NewNotification } from '../../src/core/store.ts';
import { decisiveLoss, type Loss, mayBeOf } from './losses.ts';

/**
 * A delivery as it is stored first.
 * @param dueAtMs when it is due, or the end of the caller's lease on it, where a provider can be asked to send it
 */
export function newDelivery(delivery: NewDelivery, row: NewNotification, dueAtMs: EpochMs): Delivery {
  const due = isSendable(delivery);
  return {
    id: delivery.id,
    channel: delivery.channel,
    destination: delivery.destination,
    provider: delivery.provider,
    status: delivery.status,
    reason: delivery.reason,
    attempts: 0,
    providerMessageId: '',
    deliveredAtMs: 0n,
    ackAtMs: 0n,
    dueAtMs: due ? dueAtMs : 0n,
    firstDueAtMs: due ? row.appearsAtMs || row.createdAtMs : 0n,
    openedAtMs: 0n,
    clickedAtMs: 0n,
  };
}

/** Whether a provider can be asked to send this. In-app never is: streams take it from the inbox. */
export const isSendable = (
  delivery: Pick<Delivery, 'status' | 'channel' | 'destination' | 'provider'>,
): boolean =>
  delivery.status === 'pending' &&
  delivery.channel !== 'in_app' &&
  delivery.destination !== '' &&
  delivery.provider !== '';

/**
 * An item whose deliveries were under way at its expiry is looked at again after so long, in milliseconds: what is handed back or put
 * off meanwhile is stopped then. Its due time is past its expiry, which says that the item itself has been dealt with.
 */
export const expiryLookMs = 5_000;

/** Whether a row is in the inbox from the start. */
export const isVisible = (row: NewNotification): boolean =>
  row.appearsAtMs === 0n &&
  !row.deliveries.some((delivery) => delivery.channel === 'in_app' && delivery.status === 'suppressed');

/** When something is due with a new item itself: it appears, or expires; 0n: nothing is. */
export function itemDueAtMs(row: NewNotification): EpochMs {
  const isStopped = row.deliveries.every(({ status }) => status === 'suppressed');
  // one that goes to dead addresses alone still appears in the inbox when it is time
  if (isStopped && (row.appearsAtMs === 0n || row.deliveries.some(({ channel }) => channel === 'in_app')))
    return 0n;
  return row.appearsAtMs || row.content.expiresAtMs;
}

/**
 * Gives each delivery that is pending for want of a destination the next one that a repeat brings for its channel.
 * @param dueAtMs as of newDelivery
 * @returns the deliveries in the same order; those that took nothing are the same objects
 */
export function adoptDestinations(
  stored: readonly Delivery[],
  brought: readonly NewDelivery[],
  due: { readonly dueAtMs: EpochMs; readonly firstDueAtMs: EpochMs },
): Delivery[] {
  const left = brought.filter(({ destination, status }) => destination !== '' && status === 'pending');
  return stored.map((delivery) => {
    if (delivery.status !== 'pending' || delivery.reason !== 'no_destination') return delivery;
    const at = left.findIndex(({ channel }) => channel === delivery.channel);
    const found = left[at];
    if (found === undefined) return delivery;
    left.splice(at, 1);
    const { destination, provider, reason } = found;
    if (provider === '') return { ...delivery, destination, provider, reason };
    return { ...delivery, destination, provider, reason: '', ...(delivery.channel === 'in_app' ? {} : due) };
  });
}

/**
 * A delivery after an outcome: the same object where the outcome comes too late to count.
 * The token of an outcome that has one must be the delivery's.
 * @param losses what receipts said of it while it was under way
 */
export function afterOutcome(delivery: Delivery, outcome: Outcome, losses: readonly Loss[] = []): Delivery {
  const isRetry = outcome.status === 'pending' && delivery.status === 'pending';
  const moves = isRetry || mayMove(delivery.status, outcome.status);
  // a receipt was faster than the outcome of the attempt that holds the lease: that was made all the same
  if (!moves && outcome.leaseToken === undefined) return delivery;
  const loss = moves ? decisiveLoss(losses, outcome) : undefined;
  const { status, reason } = moves ? (loss ? lostBy(loss) : outcome) : delivery;
  const { provider = delivery.provider } = outcome.attempts.at(-1) ?? {};
  const reached = outcome.status === 'delivered' || outcome.status === 'acked';
  return {
    ...delivery,
    status,
    reason,
    provider,
    attempts: delivery.attempts + outcome.attempts.length,
    providerMessageId:
      outcome.providerMessageId ||
      (isNewMessage(outcome, provider, delivery) ? '' : delivery.providerMessageId),
    deliveredAtMs: reached && delivery.deliveredAtMs === 0n ? outcome.atMs : delivery.deliveredAtMs,
    ackAtMs: moves && status === 'acked' ? outcome.atMs : delivery.ackAtMs,
    dueAtMs: status === 'pending' ? outcome.dueAtMs : 0n,
  };
}

/** Whether an attempt made the id that is stored that of another message: this one's is not known. */
const isNewMessage = ({ status, attempts }: Outcome, provider: string, delivery: Delivery): boolean =>
  attempts.length > 0 && (status === 'delivered' || provider !== delivery.provider);

/** What a loss makes of its delivery. */
export const lostBy = ({ reason }: Pick<Loss, 'reason'>) =>
  ({ status: 'failed', reason, dueAtMs: 0n }) as const;

/**
 * A delivery after a receipt that is no repeat, see ReceiptLog: the same object where that says nothing new.
 * @param isUnderWay whether somebody holds a lease on it
 */
export function afterReceipt(delivery: Delivery, receipt: Receipt, isUnderWay: boolean): Delivery {
  const { kind, atMs } = receipt;
  const status = statusOf(receipt);
  const isTaken = mayBeOf(receipt, delivery);
  const moves = mayReceive(delivery.status, status, { isTaken, isUnderWay });
  const after = {
    ...delivery,
    ...(moves && { status, reason: reasonAfter(delivery, receipt), dueAtMs: 0n }),
    ...(status === 'acked' && {
      deliveredAtMs: delivery.deliveredAtMs || atMs,
      ackAtMs: earlier(delivery.ackAtMs, atMs),
    }),
    ...(kind === 'opened' && { openedAtMs: earlier(delivery.openedAtMs, atMs) }),
    ...(kind === 'clicked' && { clickedAtMs: earlier(delivery.clickedAtMs, atMs) }),
  };
  const isNews =
    moves ||
    after.ackAtMs !== delivery.ackAtMs ||
    after.openedAtMs !== delivery.openedAtMs ||
    after.clickedAtMs !== delivery.clickedAtMs;
  return isNews ? after : delivery;
}

/** What has arrived says no more why it was thought not to; that a sandbox sent it elsewhere is still so. */
const reasonAfter = (delivery: Delivery, receipt: Receipt): Reason =>
  delivery.status === 'delivered' && statusOf(receipt) === 'acked' ? delivery.reason : receipt.reason;

/** Whether the delivery's log keeps the receipt between the two: not one that only tells an earlier time. */
export const isKept = (before: Delivery, after: Delivery): boolean =>
  before.status !== after.status ||
  (before.openedAtMs === 0n && after.openedAtMs !== 0n) ||
  (before.clickedAtMs === 0n && after.clickedAtMs !== 0n);

const earlier = (a: EpochMs, b: EpochMs): EpochMs => (a === 0n || b < a ? b : a);
