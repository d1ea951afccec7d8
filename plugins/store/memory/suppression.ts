import type { Delivery } from '../../../src/core/glossary.ts';

/** An item's deliveries, its in-app one suppressed for a reason. */
export const withoutInApp = (deliveries: readonly Delivery[], reason: 'expired' | 'cancelled'): Delivery[] =>
  deliveries.map((delivery) =>
    delivery.channel === 'in_app' ? { ...delivery, status: 'suppressed', reason } : delivery,
  );

/** A delivery by a provider that is stopped, and not due any more. */
export const stopped = (delivery: Delivery, reason: 'expired' | 'cancelled'): Delivery => ({
  ...delivery,
  status: 'suppressed',
  reason,
  dueAtMs: 0n,
});
