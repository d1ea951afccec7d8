import type { EpochMs } from '../../../../src/core/glossary.ts';
import { userKey } from '../../../../src/core/user-key.ts';
import { plainArray, textArray } from '../arrays.ts';
import { lockUsers } from '../counters.ts';
import { isStored } from '../key-lookup.ts';
import type { Statement, Transaction } from '../statement.ts';
import type { ImportedItem } from './items.ts';

/** What became of an item. */
export type Written =
  | 'copied'
  /** Its key is stored already: that stays as it is. */
  | 'known'
  /** Another notification of the tenant has its id. */
  | 'taken';

const columns = [
  ['id', 'uuid'],
  ['tenant_id', 'text'],
  ['user_id', 'text'],
  ['notification_id', 'text'],
  ['created_at_ms', 'bigint'],
  ['read_at_ms', 'bigint'],
  ['in_app_id', 'uuid'],
  ['in_app_status', 'text'],
  ['in_app_reason', 'text'],
  ['in_app_delivered_at_ms', 'bigint'],
  ['in_app_ack_at_ms', 'bigint'],
  ['in_app_ordinal', 'smallint'],
  ['other_deliveries', 'smallint'],
  ['type', 'text'],
  ['subject_ref', 'text'],
  ['subject_type', 'text'],
  ['title', 'text'],
  ['body', 'text'],
] as const;

/** Beside the columns: the user's newest position before the batch, and an array's text. */
const given = [...columns, ['base', 'bigint'], ['channels', 'text']] as const;
const names = columns.map(([name]) => name);

/**
 * Stores what is new among items whose users are locked, and moves the counters. Like creating, it runs with a snapshot that
 * is younger than the locks.
 *
 * Whether an id is there is asked as a key is, see key-lookup.ts.
 */
const insert: Statement = {
  name: 'import_items',
  text: `
WITH given AS MATERIALIZED (
  SELECT g.*, ${isStored('g')} AS known, coalesce((
      SELECT n.id FROM notify.notifications n WHERE n.tenant_id = g.tenant_id AND n.id >= g.id ORDER BY n.id LIMIT 1
    ) = g.id, false) AS taken
  FROM unnest(${given.map(([, type], i) => `$${i + 1}::${type}[]`).join(', ')})
    WITH ORDINALITY AS g (${given.map(([name]) => name).join(', ')}, ord)
), fresh AS MATERIALIZED (
  SELECT g.*, row_number() OVER (PARTITION BY g.tenant_id, g.user_id ORDER BY g.ord) AS step
  FROM given g WHERE NOT g.known AND NOT g.taken
), inserted AS (
  INSERT INTO notify.notifications (${names.join(', ')}, channels, position)
  SELECT ${names.map((name) => `f.${name}`).join(', ')}, f.channels::text[], f.base + f.step FROM fresh f
), counted AS (
  INSERT INTO notify.users AS u (tenant_id, user_id, newest_position, version, unread, unseen)
  SELECT f.tenant_id, f.user_id, count(*), count(*), count(f.in_app_id) FILTER (WHERE f.read_at_ms IS NULL),
    count(f.in_app_id) FILTER (WHERE f.read_at_ms IS NULL)
  FROM fresh f GROUP BY f.tenant_id, f.user_id
  ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    newest_position = u.newest_position + excluded.newest_position,
    version = u.version + excluded.version,
    unread = u.unread + excluded.unread,
    unseen = u.unseen + excluded.unseen
)
SELECT CASE WHEN g.known THEN 'known' WHEN g.taken THEN 'taken' ELSE 'copied' END AS written FROM given g ORDER BY g.ord`,
};

/** Without a due time, so nothing ever sends them. */
const insertDeliveries: Statement = {
  name: 'import_deliveries',
  text: `
INSERT INTO notify.deliveries (tenant_id, id, user_id, item_id, ordinal, channel, destination, provider, status, reason,
  delivered_at_ms, ack_at_ms, created_at_ms, updated_at_ms)
SELECT g.tenant_id, g.id, g.user_id, g.item_id, g.ordinal, g.channel, '', '', g.status, g.reason, g.delivered_at_ms,
  g.ack_at_ms, g.created_at_ms, greatest(g.created_at_ms, g.delivered_at_ms, g.ack_at_ms)
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::smallint[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::bigint[], $11::bigint[])
  AS g (tenant_id, id, user_id, item_id, ordinal, channel, status, reason, delivered_at_ms, ack_at_ms, created_at_ms)`,
};

/** Stores some items, each user's in the order of their creation. @returns what became of each */
export async function writeItems(tx: Transaction, items: readonly ImportedItem[]): Promise<Written[]> {
  const users = await lockUsers(tx, items, 'add');
  const inApp = items.map(({ deliveries }) => {
    const at = deliveries.findIndex(({ channel }) => channel === 'in_app');
    return { at, delivery: deliveries[at] };
  });
  const rows = await tx.run(insert, [
    plainArray(items.map(({ id }) => id)),
    textArray(items.map(({ tenantId }) => tenantId)),
    textArray(items.map(({ userId }) => userId)),
    textArray(items.map(({ notificationId }) => notificationId)),
    plainArray(items.map(({ createdAtMs }) => createdAtMs)),
    plainArray(items.map(({ readAtMs }) => orNull(readAtMs))),
    plainArray(inApp.map(({ delivery }) => delivery?.id)),
    textArray(inApp.map(({ delivery }) => delivery?.status)),
    textArray(inApp.map(({ delivery }) => delivery?.reason || undefined)),
    plainArray(inApp.map(({ delivery }) => orNull(delivery?.deliveredAtMs))),
    plainArray(inApp.map(({ delivery }) => orNull(delivery?.ackAtMs))),
    plainArray(inApp.map(({ at }) => Math.max(at, 0))),
    plainArray(items.map(({ deliveries }, i) => deliveries.length - (inApp[i]?.delivery ? 1 : 0))),
    // as Notify has it where a producer gives no type
    textArray(items.map(({ subjectType }) => subjectType)),
    textArray(items.map(({ subjectRef }) => subjectRef)),
    textArray(items.map(({ subjectType }) => subjectType)),
    textArray(items.map(({ title }) => title)),
    textArray(items.map(({ body }) => body)),
    plainArray(items.map((item) => users.get(userKey(item))?.newestPosition)),
    textArray(items.map(({ deliveries }) => `{${deliveries.map(({ channel }) => channel).join(',')}}`)),
  ]);
  const written = rows.map((row) => row.written as Written);
  await writeDeliveries(
    tx,
    items.filter((_, i) => written[i] === 'copied'),
  );
  return written;
}

/** Stores the deliveries on other channels than in-app. */
async function writeDeliveries(tx: Transaction, items: readonly ImportedItem[]): Promise<void> {
  const others = items.flatMap((item) =>
    item.deliveries
      .map((delivery, ordinal) => ({ item, delivery, ordinal }))
      .filter(({ delivery }) => delivery.channel !== 'in_app'),
  );
  if (others.length === 0) return;
  await tx.run(insertDeliveries, [
    textArray(others.map(({ item }) => item.tenantId)),
    plainArray(others.map(({ delivery }) => delivery.id)),
    textArray(others.map(({ item }) => item.userId)),
    plainArray(others.map(({ item }) => item.id)),
    plainArray(others.map(({ ordinal }) => ordinal)),
    textArray(others.map(({ delivery }) => delivery.channel)),
    textArray(others.map(({ delivery }) => delivery.status)),
    textArray(others.map(({ delivery }) => delivery.reason)),
    plainArray(others.map(({ delivery }) => orNull(delivery.deliveredAtMs))),
    plainArray(others.map(({ delivery }) => orNull(delivery.ackAtMs))),
    plainArray(others.map(({ item }) => item.createdAtMs)),
  ]);
}

const orNull = (at: EpochMs | undefined): EpochMs | undefined => at || undefined;
