import type { Delivery, EpochMs } from '../../src/core/glossary.ts';
import type { Outcome } from '../../src/core/outbox.ts';
import { mayMove } from '../../src/core/status.ts';
import type { NewDelivery, NewNotification } from '../../src/core/store.ts';

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
  if (row.deliveries.every(({ status }) => status === 'suppressed')) return 0n;
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

/** A delivery after an outcome: the same object where the outcome comes too late to count. */
export function afterOutcome(delivery: Delivery, outcome: Outcome): Delivery {
  const { status } = outcome;
  const isRetry = status === 'pending' && delivery.status === 'pending';
  if (!isRetry && !mayMove(delivery.status, status)) return delivery;
  const reached = status === 'delivered' || status === 'acked';
  return {
    ...delivery,
    status,
    reason: outcome.reason,
    provider: outcome.attempts.at(-1)?.provider ?? delivery.provider,
    attempts: delivery.attempts + outcome.attempts.length,
    providerMessageId: outcome.providerMessageId || delivery.providerMessageId,
    deliveredAtMs: reached && delivery.deliveredAtMs === 0n ? outcome.atMs : delivery.deliveredAtMs,
    ackAtMs: status === 'acked' ? outcome.atMs : delivery.ackAtMs,
    dueAtMs: status === 'pending' ? outcome.dueAtMs : 0n,
  };
}
