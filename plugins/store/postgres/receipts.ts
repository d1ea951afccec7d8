import { isUuid } from '../../../src/core/ambient.ts';
import {
  type KeptReceipt,
  type Receipt,
  type ReceiptKind,
  type ReceivedDelivery,
  statusOf,
} from '../../../src/core/receipts/receipt.ts';
import { plainArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';
import { inRounds } from './rounds.ts';
import type { Statement, Value } from './statement.ts';

const given = `unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
  $10::int[], $11::text[], $12::text[], $13::text[])
  AS r (tenant_id, item_id, id, channel, kind, status, reason, at_ms, entry, place, provider, message_id, told)`;
const isMeant = `d.tenant_id = r.tenant_id AND d.item_id = r.item_id AND d.id = r.id AND d.channel = r.channel`;

/** As isRepeated has it (losses.ts), of a loss. */
const isNew = `NOT EXISTS (
  SELECT FROM unnest(d.receipt_log) AS l (entry)
  WHERE l.entry = r.entry OR l.entry LIKE r.told)`;
const mayBeTaken = `d.provider = r.provider AND (r.message_id = '' OR d.provider_message_id IN ('', r.message_id))`;
/** As mayReceive has it (status.ts). */
const moves = `(CASE r.status WHEN 'acked' THEN d.status <> 'acked' ELSE
  (d.status = 'pending' AND d.lease_token IS NULL OR d.status = 'delivered' AND ${mayBeTaken}) AND ${isNew} END)`;
/** A loss under a lease waits for its outcome. */
const waits = `(r.status = 'failed' AND d.status = 'pending' AND d.lease_token IS NOT NULL AND ${isNew})`;
/** Of a time that receipts of some kind tell: whether this one is the first of it, and whether it is earlier. */
const isFirst = (kind: string, column: string) => `(r.kind = '${kind}' AND ${column} IS NULL)`;
const isEarlier = (kinds: string, column: string) => `(${kinds} AND r.at_ms < ${column})`;
const keeps = `(${moves} OR ${waits} OR ${isFirst('opened', 'd.opened_at_ms')} OR ${isFirst('clicked', 'd.clicked_at_ms')})`;
const ofKind = (kind: string, column: string) =>
  `CASE WHEN r.kind = '${kind}' THEN least(${column}, r.at_ms) ELSE ${column} END`;

/** The lease stays with its holder, see outcomes.ts. What says nothing new writes nothing. */
const write: Statement = {
  name: 'receipts',
  text: `
WITH known AS (
  SELECT r.place, d.destination FROM ${given} JOIN notify.deliveries d ON ${isMeant}
), written AS (
  UPDATE notify.deliveries d SET
    status = CASE WHEN ${moves} THEN r.status ELSE d.status END,
    reason = CASE WHEN ${moves} AND NOT (r.status = 'acked' AND d.status = 'delivered') THEN r.reason ELSE d.reason END,
    due_at_ms = CASE WHEN ${moves} THEN NULL ELSE d.due_at_ms END,
    delivered_at_ms = CASE WHEN r.status = 'acked' THEN coalesce(d.delivered_at_ms, r.at_ms) ELSE d.delivered_at_ms END,
    ack_at_ms = CASE WHEN r.status = 'acked' THEN least(d.ack_at_ms, r.at_ms) ELSE d.ack_at_ms END,
    opened_at_ms = ${ofKind('opened', 'd.opened_at_ms')},
    clicked_at_ms = ${ofKind('clicked', 'd.clicked_at_ms')},
    receipt_log = CASE WHEN ${keeps} THEN d.receipt_log || r.entry ELSE d.receipt_log END,
    losses = CASE WHEN ${waits} THEN d.losses || json_build_array(r.provider, r.message_id, r.reason)::text ELSE d.losses END,
    updated_at_ms = CASE WHEN ${moves} THEN r.at_ms ELSE d.updated_at_ms END
  FROM ${given}
  WHERE ${isMeant} AND (${keeps} OR ${isEarlier("r.status = 'acked'", 'd.ack_at_ms')}
    OR ${isEarlier("r.kind = 'opened'", 'd.opened_at_ms')} OR ${isEarlier("r.kind = 'clicked'", 'd.clicked_at_ms')})
)
SELECT place, destination FROM known`,
};

/** Writes the receipts of some calls, see ReceiptLog. */
export async function recordReceipts(
  db: Database,
  receipts: readonly Receipt[],
): Promise<(ReceivedDelivery | undefined)[]> {
  const received = receipts.map((): ReceivedDelivery | undefined => undefined);
  const placed = receipts.map((receipt, place) => ({ ...receipt, place }));
  for (const round of inRounds(placed.filter(({ id, deliveryId }) => isUuid(id) && isUuid(deliveryId))))
    for (const { place, destination } of await db.write(write, valuesOf(round)))
      received[Number(place)] = { destination: destination ?? '' };
  return received;
}

const valuesOf = (receipts: readonly (Receipt & { readonly place: number })[]): Value[] => [
  textArray(receipts.map(({ tenantId }) => tenantId)),
  plainArray(receipts.map(({ id }) => id)),
  plainArray(receipts.map(({ deliveryId }) => deliveryId)),
  textArray(receipts.map(({ channel }) => channel)),
  textArray(receipts.map(({ kind }) => kind)),
  textArray(receipts.map(statusOf)),
  textArray(receipts.map(({ reason }) => reason)),
  plainArray(receipts.map(({ atMs }) => atMs)),
  textArray(receipts.map(receiptText)),
  plainArray(receipts.map(({ place }) => place)),
  textArray(receipts.map(({ provider }) => provider)),
  textArray(receipts.map(({ providerMessageId = '' }) => providerMessageId)),
  textArray(receipts.map(toldText)),
];

/** How a receipt is kept, see receipt_log in drizzle/schema.ts. */
const receiptText = ({ atMs, provider, kind, reason, detail, providerMessageId = '' }: KeptReceipt): string =>
  JSON.stringify([
    Number(atMs),
    provider,
    kind,
    reason,
    detail,
    ...(providerMessageId === '' ? [] : [providerMessageId]),
  ]);

/**
 * What LIKE finds another loss of the message by, in how a receipt is kept: whatever time, reason and words that one has. Undefined: it
 * names no message. Inside a text of JSON no quote stands bare, so that no text looks like this.
 */
function toldText({ provider, providerMessageId = '', kind }: KeptReceipt): string | undefined {
  if (providerMessageId === '') return undefined;
  const literal = (text: string) => JSON.stringify(text).replaceAll(/[\\%_]/g, '\\$&');
  return `%,${literal(provider)},${literal(kind)},%,${literal(providerMessageId)}]`;
}

export function toReceipt(text: string): KeptReceipt {
  const [atMs, provider, kind, reason, detail, providerMessageId = ''] = JSON.parse(text) as [
    number,
    string,
    ReceiptKind,
    string,
    string,
    string?,
  ];
  const id = providerMessageId === '' ? {} : { providerMessageId };
  return { atMs: BigInt(atMs), provider, ...id, kind, reason, detail };
}
