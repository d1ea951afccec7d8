import type { UserKey } from '../../../src/core/glossary.ts';
import type { Cancel, Cancelled, InboxMoved } from '../../../src/core/outbox.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { plainArray, textArray } from './arrays.ts';
import { lockUsers, saveAllCounters } from './counters.ts';
import type { Database } from './database.ts';
import { countersOf, keysOf, ownerOf } from './item-keys.ts';
import { type Counters, toSummary } from './rows.ts';
import { settings } from './settings.ts';
import type { Row, Statement, Transaction } from './statement.ts';

/** A notification's recipients, by user id; from a user on. */
const ofEverybody: Statement = {
  name: 'cancel_everybody',
  text: `
SELECT n.tenant_id, n.user_id, n.id FROM notify.notifications n
WHERE n.tenant_id = $1 AND n.notification_id = $2 AND n.user_id > $3 ORDER BY n.user_id LIMIT $4`,
};

const ofSome: Statement = {
  name: 'cancel_some',
  text: `
SELECT n.tenant_id, n.user_id, n.id FROM unnest($3::text[]) AS k (user_id)
JOIN notify.notifications n ON n.tenant_id = $1 AND n.notification_id = $2 AND n.user_id = k.user_id`,
};

/** What is under way goes out: its holder cannot be stopped. */
const stopDeliveries: Statement = {
  name: 'cancel_deliveries',
  text: `
UPDATE notify.deliveries d SET status = 'suppressed', reason = 'cancelled', due_at_ms = NULL, updated_at_ms = $3
FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, item_id)
WHERE d.tenant_id = k.tenant_id AND d.item_id = k.item_id AND d.status = 'pending' AND d.lease_token IS NULL
RETURNING d.item_id, d.channel`,
};

const lockItems: Statement = {
  name: 'cancel_lock',
  text: `
SELECT n.tenant_id, n.user_id, n.id, n.position, n.in_app_status, n.deleted_at_ms IS NOT NULL AS is_deleted,
  n.snoozed_until_ms IS NOT NULL AS is_snoozed, n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AS is_unread
FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, id)
JOIN notify.notifications n ON n.tenant_id = k.tenant_id AND n.id = k.id
ORDER BY n.id FOR UPDATE OF n`,
};

const takeOut: Statement = {
  name: 'cancel_items',
  text: `
UPDATE notify.notifications n SET
  in_app_status = CASE WHEN k.stops AND n.in_app_status IS NOT NULL THEN 'suppressed' ELSE n.in_app_status END,
  in_app_reason = CASE WHEN k.stops AND n.in_app_status IS NOT NULL THEN 'cancelled' ELSE n.in_app_reason END,
  deleted_at_ms = CASE WHEN k.hides THEN $5 ELSE n.deleted_at_ms END,
  due_at_ms = NULL
FROM unnest($1::text[], $2::uuid[], $3::boolean[], $4::boolean[]) AS k (tenant_id, id, stops, hides)
WHERE n.tenant_id = k.tenant_id AND n.id = k.id`,
};

/** See Outbox. In parts, each a transaction of its own: what is cancelled stays so. */
export async function cancelNotification(db: Database, cancel: Cancel): Promise<Cancelled> {
  let cancelled = 0;
  const changes: InboxMoved[] = [];
  for await (const items of itemsOf(db, cancel)) {
    const part = await db.transaction((tx) => cancelItems(tx, items, cancel));
    cancelled += part.cancelled;
    changes.push(...part.changes);
  }
  return { cancelled, changes };
}

async function* itemsOf(db: Database, { tenantId, notificationId, userIds }: Cancel): AsyncGenerator<Row[]> {
  const size = settings.itemsPerCancel;
  if (userIds.length > 0) {
    for (let from = 0; from < userIds.length; from += size) {
      const some = textArray(userIds.slice(from, from + size));
      yield await db.read(ofSome, [tenantId, notificationId, some]);
    }
    return;
  }
  for (let after = ''; ; ) {
    const items = await db.read(ofEverybody, [tenantId, notificationId, after, size]);
    yield items;
    if (items.length < size) return;
    after = items.at(-1)?.user_id ?? '';
  }
}

async function cancelItems(tx: Transaction, items: readonly Row[], cancel: Cancel): Promise<Cancelled> {
  if (items.length === 0) return { cancelled: 0, changes: [] };
  const users = await lockUsers(tx, items.map(ownerOf), 'skip');
  const rows = await tx.run(lockItems, keysOf(items));
  const stopped = new Set<string>();
  for (const { item_id, channel } of await tx.run(stopDeliveries, [...keysOf(rows), cancel.atMs]))
    stopped.add(`${item_id} ${channel}`);

  const out: { row: Row; stops: boolean; hides: boolean }[] = [];
  const left = new Map<string, { owner: UserKey; ids: string[] }>();
  for (const row of rows) {
    if (row.is_deleted === 't') continue;
    const isVisible = Number(row.position) > 0;
    const isOut = row.in_app_status === 'suppressed';
    // an item that has appeared stays, unless it is retracted
    const stops = !isOut && !isVisible && row.is_snoozed !== 't';
    const hides = cancel.retract && !isOut && !stops;
    if (!stops && !hides) continue;
    if (row.in_app_status === 'pending') stopped.add(`${row.id} in_app`);
    out.push({ row, stops: stops || row.in_app_status === 'pending', hides });
    if (!hides) continue;
    const owner = ownerOf(row);
    leave(countersOf(users, owner), row, isVisible);
    const ids = left.get(userKey(owner))?.ids ?? [];
    left.set(userKey(owner), { owner, ids: [...ids, row.id ?? ''] });
  }
  if (out.length > 0)
    await tx.run(takeOut, [
      ...keysOf(out.map(({ row }) => row)),
      plainArray(out.map(({ stops }) => stops)),
      plainArray(out.map(({ hides }) => hides)),
      cancel.atMs,
    ]);
  await saveAllCounters(
    tx,
    [...left.values()].map(({ owner }) => [owner, countersOf(users, owner)]),
  );
  const changes = [...left.values()].map(({ owner, ids }) => ({
    ...owner,
    appeared: [],
    removedIds: ids,
    summary: toSummary(countersOf(users, owner)),
  }));
  return { cancelled: stopped.size, changes };
}

/** Takes a visible item out of the counts. */
function leave(counters: Counters, row: Row, isVisible: boolean): void {
  counters.version += 1;
  if (!isVisible || row.is_unread !== 't' || row.in_app_status === null) return;
  counters.unread -= 1;
  if (Number(row.position) > counters.seenPosition) counters.unseen -= 1;
}
