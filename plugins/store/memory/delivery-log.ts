import type { DeliveryPage, DeliveryQuery, DeliveryRecord } from '../../../src/core/delivery-log.ts';
import { notFound } from '../../../src/core/errors.ts';
import type { Delivery } from '../../../src/core/glossary.ts';
import type { Row } from './row.ts';

/** See DeliveryLog. It looks at every row: the memory store is small. @throws NotifyError not_found */
export function findDelivery(rows: readonly Row[], deliveryId: string): DeliveryRecord {
  for (const row of rows)
    for (const delivery of row.deliveries) if (delivery.id === deliveryId) return recordOf(row, delivery);
  throw notFound('delivery of this tenant');
}

/** See DeliveryLog. */
export function pageOfDeliveries(rows: readonly Row[], query: DeliveryQuery): DeliveryPage {
  const { after, limit } = query;
  const found = rows
    .filter((row) => matches(row, query) && (after === undefined || row.id <= after.id))
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .flatMap((row) =>
      row.deliveries.map((delivery, ordinal) => ({ ordinal, record: recordOf(row, delivery) })),
    )
    .filter(({ ordinal, record: { id, delivery } }) => {
      if (after !== undefined && id === after.id && ordinal <= after.ordinal) return false;
      if (query.channel !== undefined && query.channel !== delivery.channel) return false;
      return query.status === undefined || query.status === delivery.status;
    });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    deliveries: page.map(({ record }) => record),
    next: found.length > limit && last ? { id: last.record.id, ordinal: last.ordinal } : undefined,
  };
}

function matches(row: Row, { userId, notificationId, sinceMs, untilMs }: DeliveryQuery): boolean {
  if (userId !== '' && row.owner.userId !== userId) return false;
  if (notificationId !== '' && row.content.notificationId !== notificationId) return false;
  return row.createdAtMs >= sinceMs && (untilMs === 0n || row.createdAtMs < untilMs);
}

const recordOf = (row: Row, delivery: Delivery): DeliveryRecord => ({
  ...row.owner,
  id: row.id,
  notificationId: row.content.notificationId,
  createdAtMs: row.createdAtMs,
  delivery,
  log: [],
  receipts: [],
});
