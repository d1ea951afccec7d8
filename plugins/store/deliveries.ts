import type { Delivery } from '../../src/core/glossary.ts';
import { mayMove } from '../../src/core/status.ts';
import type { NewDelivery, Outcome } from '../../src/core/store.ts';

/** A delivery as it is stored first. */
export const newDelivery = (delivery: NewDelivery): Delivery => ({
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
});

/** Whether a provider can be asked to send this now. In-app never is: streams take it from the inbox. */
export const isSendable = (delivery: Delivery): boolean =>
  delivery.status === 'pending' &&
  delivery.channel !== 'in_app' &&
  delivery.destination !== '' &&
  delivery.provider !== '';

const none: readonly string[] = [];

/** The ids of those that can be sent now. */
export const sendable = (deliveries: readonly Delivery[]): readonly string[] =>
  deliveries.some(isSendable) ? deliveries.filter(isSendable).map(({ id }) => id) : none;

/** Whether a row with these deliveries is in the inbox from the start. */
export const isVisible = (deliveries: readonly { channel: string; status: string }[]): boolean =>
  !deliveries.some((delivery) => delivery.channel === 'in_app' && delivery.status === 'suppressed');

/**
 * Gives each delivery that is pending for want of a destination the next one that a repeat brings for its channel.
 * @returns the deliveries in the same order; those that took nothing are the same objects
 */
export function adoptDestinations(stored: readonly Delivery[], brought: readonly NewDelivery[]): Delivery[] {
  const left = brought.filter(({ destination, status }) => destination !== '' && status === 'pending');
  return stored.map((delivery) => {
    if (delivery.status !== 'pending' || delivery.reason !== 'no_destination') return delivery;
    const at = left.findIndex(({ channel }) => channel === delivery.channel);
    const found = left[at];
    if (found === undefined) return delivery;
    left.splice(at, 1);
    const { destination, provider, reason } = found;
    return { ...delivery, destination, provider, reason: provider === '' ? reason : '' };
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
    attempts: delivery.attempts + outcome.attempts,
    providerMessageId: outcome.providerMessageId || delivery.providerMessageId,
    deliveredAtMs: reached && delivery.deliveredAtMs === 0n ? outcome.atMs : delivery.deliveredAtMs,
    ackAtMs: status === 'acked' ? outcome.atMs : delivery.ackAtMs,
  };
}
