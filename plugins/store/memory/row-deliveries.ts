import type { Delivery } from '../../../src/core/glossary.ts';
import type { DeliveryRef } from '../../../src/core/outbox.ts';
import type { Row } from './row.ts';
import type { Tables } from './tables.ts';
import type { UserInbox } from './user-inbox.ts';

/** A delivery of a row, by its id. */
export const deliveryOf = (row: Row, deliveryId: string): Delivery | undefined =>
  row.deliveries.find((delivery) => delivery.id === deliveryId);

/** Replaces one delivery of a row. */
export function replaceDelivery(inbox: UserInbox, row: Row, delivery: Delivery): void {
  inbox.setDeliveries(
    row,
    row.deliveries.map((other) => (other.id === delivery.id ? delivery : other)),
  );
}

/**
 * Changes a part of a delivery.
 * @returns the delivery as it is then; undefined where there is none
 */
export function changeDelivery(
  { inboxes }: Tables,
  ref: DeliveryRef,
  change: Partial<Delivery>,
): Delivery | undefined {
  const inbox = inboxes.get(ref);
  const row = inbox?.row(ref.id);
  const delivery = row && deliveryOf(row, ref.deliveryId);
  if (inbox === undefined || row === undefined || delivery === undefined) return undefined;
  const changed = { ...delivery, ...change };
  replaceDelivery(inbox, row, changed);
  return changed;
}
