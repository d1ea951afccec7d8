import { isUuid } from '../../../src/core/ambient.ts';
import type { DeliveryPage, DeliveryQuery, DeliveryRecord } from '../../../src/core/delivery-log.ts';
import { notFound } from '../../../src/core/errors.ts';
import type { Database } from './database.ts';
import { toAttempt } from './outcomes.ts';
import { toReceipt } from './receipts.ts';
import { type JsonDelivery, toDelivery, usualInAppProvider } from './rows.ts';
import type { Row, Statement, Value } from './statement.ts';

/** A delivery as `JsonDelivery`: of the table, and of a notification's own columns. */
const other = `json_build_array(d.ordinal, d.id, d.channel, d.destination, d.provider, d.status, d.reason, d.attempts,
  d.provider_message_id, d.delivered_at_ms::text, d.ack_at_ms::text, d.due_at_ms::text, d.first_due_at_ms::text,
  d.opened_at_ms::text, d.clicked_at_ms::text)`;
const inApp = `json_build_array(n.in_app_ordinal, n.in_app_id, 'in_app', coalesce(n.in_app_destination, n.user_id),
  coalesce(n.in_app_provider, '${usualInAppProvider}'), n.in_app_status, coalesce(n.in_app_reason, ''), 0,
  coalesce(n.in_app_message_id, ''), n.in_app_delivered_at_ms::text, n.in_app_ack_at_ms::text, NULL, NULL, NULL, NULL)`;

const one: Statement = {
  name: 'delivery',
  text: `
SELECT n.user_id, n.id, n.notification_id, n.created_at_ms, ${other} AS delivery, array_to_json(d.attempt_log) AS log,
  array_to_json(d.receipt_log) AS receipts
FROM notify.deliveries d JOIN notify.notifications n ON n.tenant_id = d.tenant_id AND n.id = d.item_id
WHERE d.tenant_id = $1 AND d.id = $2`,
};

/** An in-app delivery has its notification's id. */
const oneInApp: Statement = {
  name: 'delivery_in_app',
  text: `
SELECT n.user_id, n.id, n.notification_id, n.created_at_ms, ${inApp} AS delivery, '[]' AS log, '[]' AS receipts
FROM notify.notifications n WHERE n.tenant_id = $1 AND n.id = $2 AND n.in_app_id = $2`,
};

/** See DeliveryLog. @throws NotifyError not_found */
export async function getDelivery(
  db: Database,
  tenantId: string,
  deliveryId: string,
): Promise<DeliveryRecord> {
  if (!isUuid(deliveryId)) throw notFound('delivery of this tenant');
  const [row] = await db.read(one, [tenantId, deliveryId]);
  const [found] = row === undefined ? await db.read(oneInApp, [tenantId, deliveryId]) : [row];
  if (found === undefined) throw notFound('delivery of this tenant');
  const log = (JSON.parse(found.log ?? '[]') as string[]).map(toAttempt);
  const receipts = (JSON.parse(found.receipts ?? '[]') as string[]).map(toReceipt);
  return { ...toRecord(tenantId, found), log, receipts };
}

/**
 * See DeliveryLog. Notifications are walked from the newest id on, and ids tell when they were made (UUIDv7): so a time is a range
 * of the primary key. Where a user or a notification is named, its index leads there, and the times are only compared.
 */
export async function listDeliveries(db: Database, query: DeliveryQuery): Promise<DeliveryPage> {
  const { after, limit, channel } = query;
  const values: Value[] = [query.tenantId];
  const parameter = (value: Value): string => {
    values.push(value);
    return `$${values.length}`;
  };
  const items: string[] = [];
  if (query.userId !== '') items.push(`n.user_id = ${parameter(query.userId)}`);
  if (query.notificationId !== '') items.push(`n.notification_id = ${parameter(query.notificationId)}`);
  const isNamed = items.length > 0;
  if (query.sinceMs > 0n) {
    items.push(`n.created_at_ms >= ${parameter(query.sinceMs)}`);
    if (!isNamed) items.push(`n.id >= ${parameter(firstIdOf(query.sinceMs))}::uuid`);
  }
  if (query.untilMs > 0n) {
    items.push(`n.created_at_ms < ${parameter(query.untilMs)}`);
    if (!isNamed) items.push(`n.id < ${parameter(firstIdOf(query.untilMs))}::uuid`);
  }
  const deliveries: string[] = [];
  if (channel !== undefined) deliveries.push(`l.channel = ${parameter(channel)}`);
  if (query.status !== undefined) deliveries.push(`l.status = ${parameter(query.status)}`);
  if (after !== undefined) {
    const id = parameter(after.id);
    items.push(`n.id <= ${id}::uuid`);
    deliveries.push(`(n.id < ${id}::uuid OR l.ordinal > ${parameter(after.ordinal)})`);
  }
  // a channel's deliveries are sought among those only: most notifications have none of it
  const hasOthers = channel !== undefined && channel !== 'in_app' ? ['n.other_deliveries > 0'] : [];
  const text = `
SELECT n.user_id, n.id, n.notification_id, n.created_at_ms, l.delivery
FROM notify.notifications n CROSS JOIN LATERAL (
  SELECT n.in_app_ordinal AS ordinal, 'in_app' AS channel, n.in_app_status AS status, ${inApp} AS delivery
  WHERE n.in_app_id IS NOT NULL
  UNION ALL
  SELECT d.ordinal, d.channel, d.status, ${other} FROM notify.deliveries d
  WHERE n.other_deliveries > 0 AND d.tenant_id = n.tenant_id AND d.item_id = n.id
) l
WHERE ${['n.tenant_id = $1', ...items, ...hasOthers, ...deliveries].join(' AND ')}
ORDER BY n.id DESC, l.ordinal LIMIT ${parameter(limit + 1)}`;
  const name = `deliveries_${shapeOf(query)}`;
  const rows = (await db.read({ name, text }, values)).map((row) => ({
    record: toRecord(query.tenantId, row),
    ordinal: (JSON.parse(row.delivery ?? '') as JsonDelivery)[0],
  }));
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    deliveries: page.map(({ record }) => record),
    next: rows.length > limit && last ? { id: last.record.id, ordinal: last.ordinal } : undefined,
  };
}

/** One name for each text. */
function shapeOf(query: DeliveryQuery): string {
  const { userId, notificationId, sinceMs, untilMs, channel, status, after } = query;
  const kind = channel === undefined ? 0 : channel === 'in_app' ? 1 : 2;
  const given = [userId !== '', notificationId !== '', sinceMs > 0n, untilMs > 0n, status, after];
  return `${given.map((value) => (value ? '1' : '0')).join('')}${kind}`;
}

/** The smallest UUIDv7 of a millisecond (RFC 9562 §5.7). */
function firstIdOf(ms: bigint): string {
  const time = ms.toString(16).padStart(12, '0').slice(-12);
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

const toRecord = (tenantId: string, row: Row): DeliveryRecord => ({
  tenantId,
  userId: row.user_id ?? '',
  id: row.id ?? '',
  notificationId: row.notification_id ?? '',
  createdAtMs: BigInt(row.created_at_ms ?? 0),
  delivery: toDelivery(JSON.parse(row.delivery ?? '') as JsonDelivery),
  log: [],
  receipts: [],
});
