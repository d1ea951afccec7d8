import type { Advanced, InboxMoved } from '../../../src/core/outbox.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { expiryLookMs } from '../deliveries.ts';
import { plainArray, textArray } from './arrays.ts';
import { lockUsers, saveAllCounters } from './counters.ts';
import type { Database } from './database.ts';
import { databaseNow, type StoreClock } from './database-clock.ts';
import { countersOf, keysOf, ownerOf } from './item-keys.ts';
import { type Counters, type Item, itemJson, toNotification, toSummary } from './rows.ts';
import { settings } from './settings.ts';
import type { Row, Statement, Transaction } from './statement.ts';

/** As the scan of deliveries: one hop for each tenant. */
const scan: Statement = {
  name: 'items_scan',
  text: `
WITH RECURSIVE tenants AS (
  (
    SELECT n.tenant_id, n.due_at_ms, 1 AS place FROM notify.notifications n
    WHERE n.due_at_ms IS NOT NULL AND n.tenant_id > $1 ORDER BY n.tenant_id, n.due_at_ms LIMIT 1
  ) UNION ALL (
    SELECT n.*, t.place + 1 FROM tenants t CROSS JOIN LATERAL (
      SELECT n.tenant_id, n.due_at_ms FROM notify.notifications n
      WHERE n.due_at_ms IS NOT NULL AND n.tenant_id > t.tenant_id ORDER BY n.tenant_id, n.due_at_ms LIMIT 1
    ) n
    WHERE t.place < $2
  )
)
SELECT c.now_ms, t.tenant_id, t.due_at_ms
FROM (SELECT ${databaseNow} AS now_ms) c LEFT JOIN tenants t ON true`,
};

const candidates: Statement = {
  name: 'items_due',
  text: `
SELECT n.* FROM unnest($1::text[]) AS w (tenant_id)
CROSS JOIN LATERAL (
  SELECT n.tenant_id, n.user_id, n.id FROM notify.notifications n
  WHERE n.tenant_id = w.tenant_id AND n.due_at_ms <= $2 ORDER BY n.due_at_ms LIMIT $3
) n`,
};

/** Their users are locked: whoever was faster has moved the due time. */
const lockItems: Statement = {
  name: 'items_lock',
  text: `
SELECT n.tenant_id, n.user_id, n.id, n.position, n.due_at_ms, n.expires_at_ms, n.snoozed_until_ms,
  n.in_app_id IS NOT NULL AS has_in_app, n.in_app_status, n.deleted_at_ms IS NOT NULL AS is_deleted,
  n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AS is_unread, n.other_deliveries > 0 AS has_others
FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, id)
JOIN notify.notifications n ON n.tenant_id = k.tenant_id AND n.id = k.id
WHERE n.due_at_ms <= $3
ORDER BY n.due_at_ms, n.id FOR UPDATE OF n`,
};

const moveItems: Statement = {
  name: 'items_move',
  text: `
UPDATE notify.notifications n SET
  position = k.position, due_at_ms = k.due_at_ms, snoozed_until_ms = NULL,
  in_app_status = CASE WHEN k.expired THEN 'suppressed' ELSE n.in_app_status END,
  in_app_reason = CASE WHEN k.expired THEN 'expired' ELSE n.in_app_reason END
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::boolean[])
  AS k (tenant_id, id, position, due_at_ms, expired)
WHERE n.tenant_id = k.tenant_id AND n.id = k.id`,
};

/** What is under way is not stopped. Answers the items that have some of that. */
const expireDeliveries: Statement = {
  name: 'items_expire',
  text: `
WITH over AS (SELECT * FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, item_id)), expired AS (
  UPDATE notify.deliveries d SET status = 'suppressed', reason = 'expired', due_at_ms = NULL, updated_at_ms = $3
  FROM over k
  WHERE d.tenant_id = k.tenant_id AND d.item_id = k.item_id AND d.status = 'pending' AND d.lease_token IS NULL
  RETURNING d.tenant_id, d.id
)
SELECT DISTINCT d.tenant_id, d.item_id
FROM over k JOIN notify.deliveries d ON d.tenant_id = k.tenant_id AND d.item_id = k.item_id
WHERE d.status = 'pending' AND (d.tenant_id, d.id) NOT IN (SELECT e.tenant_id, e.id FROM expired e)`,
};

const readItems: Statement = {
  name: 'items_read',
  text: `
SELECT n.tenant_id, n.user_id, ${itemJson} AS item
FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, id)
JOIN notify.notifications n ON n.tenant_id = k.tenant_id AND n.id = k.id
ORDER BY n.position`,
};

/** What becomes of one item. */
interface Move {
  readonly row: Row;
  readonly position: number;
  readonly dueAtMs: bigint | undefined;
  readonly kind: 'appears' | 'leaves' | 'stays';
  /** Whether its in-app delivery is suppressed by this. */
  readonly expires: boolean;
  /** Whether its other deliveries have expired. */
  readonly isOver: boolean;
}

/** See Outbox. */
export async function advanceItems(db: Database, clock: StoreClock, limit: number): Promise<Advanced> {
  const askedAtMs = clock.ask();
  const tenants = await db.read(scan, ['', settings.pairsPerScan]);
  clock.correct(Number(tenants[0]?.now_ms), askedAtMs);
  const nowMs = BigInt(clock.now());
  let nextDueInMs: number | undefined;
  const due: string[] = [];
  for (const { tenant_id, due_at_ms } of tenants) {
    if (tenant_id == null) continue;
    const dueAtMs = BigInt(due_at_ms ?? 0);
    if (dueAtMs <= nowMs) due.push(tenant_id);
    else nextDueInMs = Math.min(nextDueInMs ?? Number.POSITIVE_INFINITY, Number(dueAtMs - nowMs));
  }
  if (due.length === 0) return { changes: [], more: false, nextDueInMs };
  const share = Math.max(1, Math.floor(limit / due.length));
  const found = await db.read(candidates, [textArray(due), nowMs, share]);
  const changes = await db.transaction((tx) => advanceLocked(tx, found, nowMs));
  return { changes, more: found.length >= share, nextDueInMs };
}

/** Does what is due with some items. Locks their users first. */
export async function advanceLocked(
  tx: Transaction,
  items: readonly Row[],
  nowMs: bigint,
): Promise<InboxMoved[]> {
  const users = await lockUsers(tx, items.map(ownerOf), 'skip');
  const rows = await tx.run(lockItems, [...keysOf(items), nowMs]);
  if (rows.length === 0) return [];
  const versions = new Map([...users].map(([key, { version }]) => [key, version]));
  const moves = rows.map((row) => moveOf(row, countersOf(users, ownerOf(row)), nowMs));
  const over = moves.filter(({ isOver, row }) => isOver && row.has_others === 't').map(({ row }) => row);
  const underWay = over.length > 0 ? await tx.run(expireDeliveries, [...keysOf(over), nowMs]) : [];
  const isUnderWay = ({ tenant_id, id }: Row) =>
    underWay.some((item) => item.tenant_id === tenant_id && item.item_id === id);
  await tx.run(moveItems, [
    ...keysOf(rows),
    plainArray(moves.map(({ position }) => position)),
    plainArray(moves.map(({ row, dueAtMs }) => (isUnderWay(row) ? nowMs + BigInt(expiryLookMs) : dueAtMs))),
    plainArray(moves.map(({ expires }) => expires)),
  ]);
  const owners = new Map(rows.map((row) => [userKey(ownerOf(row)), ownerOf(row)]));
  const changed = [...owners.values()]
    .map((owner) => [owner, countersOf(users, owner)] as const)
    .filter(([owner, { version }]) => version !== versions.get(userKey(owner)));
  await saveAllCounters(tx, changed);
  return changesOf(tx, moves, users);
}

/** Decides, and moves the counters of its user. */
function moveOf(row: Row, counters: Counters, nowMs: bigint): Move {
  const position = Number(row.position);
  const expiresAtMs = row.expires_at_ms == null ? undefined : BigInt(row.expires_at_ms);
  const isOver = expiresAtMs !== undefined && expiresAtMs <= nowMs;
  const isPending = row.in_app_status === 'pending';
  const hasInApp = row.has_in_app === 't';
  const counts = hasInApp && row.is_unread === 't' && row.in_app_status !== 'suppressed';
  const done = { row, position, dueAtMs: undefined, kind: 'stays', expires: false, isOver } as const;
  // it was dealt with at its expiry
  const isAgain = isOver && position > 0 && BigInt(row.due_at_ms ?? 0) > expiresAtMs;
  if (row.is_deleted === 't' || isAgain) return done;

  if (position === 0) {
    const isSnoozed = row.snoozed_until_ms != null;
    if (row.in_app_status === 'suppressed') return done;
    if (isOver && (isPending || !(hasInApp || isSnoozed))) return { ...done, expires: isPending };
    counters.newestPosition += 1;
    counters.version += 1;
    if (counts) {
      counters.unread += 1;
      counters.unseen += 1;
    }
    const dueAtMs = isOver ? undefined : expiresAtMs;
    const mayExpire = dueAtMs !== undefined && isPending && counts;
    if (mayExpire && (counters.nextExpiryMs === undefined || dueAtMs < counters.nextExpiryMs))
      counters.nextExpiryMs = dueAtMs;
    return { ...done, position: counters.newestPosition, dueAtMs, kind: 'appears' };
  }

  if (!isOver) return { ...done, dueAtMs: expiresAtMs };
  // somebody who looked at the inbox was faster: the streams have not been told
  if (row.in_app_status === 'suppressed') return { ...done, kind: 'leaves' };
  if (!(isPending && counts)) return done;
  counters.version += 1;
  counters.unread -= 1;
  if (position > counters.seenPosition) counters.unseen -= 1;
  return { ...done, kind: 'leaves', expires: true };
}

async function changesOf(
  tx: Transaction,
  moves: readonly Move[],
  users: ReadonlyMap<string, Counters>,
): Promise<InboxMoved[]> {
  const appeared = moves.filter(({ kind }) => kind === 'appears').map(({ row }) => row);
  const items = appeared.length > 0 ? await tx.run(readItems, keysOf(appeared)) : [];
  const owners = new Map(
    moves.filter(({ kind }) => kind !== 'stays').map(({ row }) => [userKey(ownerOf(row)), ownerOf(row)]),
  );
  return [...owners].map(([key, owner]) => {
    const counters = countersOf(users, owner);
    const isTheirs = (row: Row) => userKey(ownerOf(row)) === key;
    return {
      ...owner,
      appeared: items
        .filter(isTheirs)
        .map(({ item }) => toNotification(owner, JSON.parse(item ?? '') as Item, counters.seenPosition)),
      removedIds: moves
        .filter(({ kind, row }) => kind === 'leaves' && isTheirs(row))
        .map(({ row }) => row.id ?? ''),
      summary: toSummary(counters),
    };
  });
}
