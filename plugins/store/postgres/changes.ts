import { notFound } from '../../../src/core/errors.ts';
import type { UserKey } from '../../../src/core/glossary.ts';
import { type InboxChange, type InboxChanged, namedIds } from '../../../src/core/store.ts';
import { lockUsers, saveAllCounters } from './counters.ts';
import type { Database } from './database.ts';
import { expireLocked } from './expiry.ts';
import { type Counters, named, noCounters, toSummary, unread } from './rows.ts';
import type { Row, Statement, Transaction, Value } from './statement.ts';

type ItemChange = Exclude<Extract<InboxChange, { readonly id: string }>, { readonly kind: 'snooze' }>;

/**
 * Sets or clears a time of one item that is in the inbox. It answers what the item counts as beside the column itself:
 * unread where nothing else speaks against it.
 */
const itemStatement = (
  kind: ItemChange['kind'],
  assignment: string,
  condition: string,
  others: string,
): Statement => ({
  name: `change_${kind}`,
  text: `
UPDATE notify.notifications n SET ${assignment}
WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.id = $3 AND ${named} AND ${condition}
RETURNING n.id, n.position, n.position > 0 AND n.in_app_id IS NOT NULL AND ${others} AS counts,
  CASE WHEN n.in_app_status = 'pending' THEN n.expires_at_ms END AS expires_at_ms`,
});

const items: Readonly<Record<ItemChange['kind'], Statement>> = {
  read: itemStatement('read', 'read_at_ms = $4', 'n.read_at_ms IS NULL', 'n.archived_at_ms IS NULL'),
  unread: itemStatement(
    'unread',
    'read_at_ms = NULL',
    'n.read_at_ms IS NOT NULL',
    'n.archived_at_ms IS NULL',
  ),
  archive: itemStatement(
    'archive',
    'archived_at_ms = $4',
    'n.archived_at_ms IS NULL',
    'n.read_at_ms IS NULL',
  ),
  unarchive: itemStatement(
    'unarchive',
    'archived_at_ms = NULL',
    'n.archived_at_ms IS NOT NULL',
    'n.read_at_ms IS NULL',
  ),
  delete: itemStatement(
    'delete',
    'deleted_at_ms = $4',
    'true',
    'n.read_at_ms IS NULL AND n.archived_at_ms IS NULL',
  ),
};

const find: Statement = {
  name: 'change_find',
  text: `
SELECT n.deleted_at_ms, ${named} AS listed FROM notify.notifications n
WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.id = $3`,
};

const lockItem: Statement = {
  name: 'snooze_find',
  text: `
SELECT n.position, n.snoozed_until_ms, n.expires_at_ms, n.in_app_status,
  n.in_app_id IS NOT NULL AND n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AS counts
FROM notify.notifications n WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.id = $3 AND ${named} FOR UPDATE`,
};

const setSnooze: Statement = {
  name: 'snooze',
  text: `
UPDATE notify.notifications n SET position = $4, snoozed_until_ms = $5, due_at_ms = $6
WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.id = $3`,
};

/** Rows are locked in the order of their ids, as outcomes do. */
const readUpTo: Statement = {
  name: 'change_read_up_to',
  text: `
WITH due AS MATERIALIZED (
  SELECT n.id FROM notify.notifications n
  WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.position <= $3 AND ${unread}
  ORDER BY n.id FOR UPDATE
), done AS (
  UPDATE notify.notifications n SET read_at_ms = $4
  FROM due WHERE n.tenant_id = $1 AND n.id = due.id AND n.read_at_ms IS NULL
  RETURNING n.id, n.position
)
SELECT count(*) AS items, count(*) FILTER (WHERE position > $5) AS unseen,
  CASE WHEN count(*) <= ${namedIds} THEN string_agg(id::text, ',') END AS ids
FROM done`,
};

const countUnread: Statement = {
  name: 'change_seen_up_to',
  text: `
SELECT count(*) AS items FROM notify.notifications n
WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.position > $3 AND n.position <= $4 AND ${unread}`,
};

/** What a change came to: the counters after it without the version, and the items; for the seen position a number. */
interface Done {
  readonly counters: Counters;
  readonly changed: number;
  readonly ids: readonly string[] | undefined;
}

/** @throws NotifyError not_found */
export async function changeInbox(
  db: Database,
  owner: UserKey,
  change: InboxChange,
  nowMs: number,
): Promise<InboxChanged> {
  return db.transaction(async (tx) => {
    const [locked] = (await lockUsers(tx, [owner], 'skip')).values();
    if (locked === undefined) {
      if ('id' in change) throw notFound();
      return { changed: 0, ids: [], summary: toSummary(noCounters) };
    }
    const before = await expireLocked(tx, owner, locked, nowMs);
    const { changed, ids, counters } = await apply(tx, owner, change, before, nowMs);
    if (changed === 0) return { changed, ids, summary: toSummary(before) };
    const after = { ...counters, version: before.version + 1 };
    await saveAllCounters(tx, [[owner, after]]);
    // an item marked unread may have expired meanwhile
    return { changed, ids, summary: toSummary(await expireLocked(tx, owner, after, nowMs)) };
  });
}

async function apply(
  tx: Transaction,
  owner: UserKey,
  change: InboxChange,
  before: Counters,
  nowMs: number,
): Promise<Done> {
  switch (change.kind) {
    case 'read_up_to':
      return applyReadUpTo(tx, owner, change, before);
    case 'seen_up_to':
      return applySeenUpTo(tx, owner, change.position, before);
    case 'snooze':
      return applySnooze(tx, owner, change, before, nowMs);
    default:
      return applyToItem(tx, owner, change, before);
  }
}

async function applyToItem(
  tx: Transaction,
  owner: UserKey,
  change: ItemChange,
  before: Counters,
): Promise<Done> {
  const values: Value[] = [owner.tenantId, owner.userId, change.id];
  const [row] = await tx.run(items[change.kind], 'atMs' in change ? [...values, change.atMs] : values);
  if (row === undefined) {
    const [found] = await tx.run(find, values);
    const isThere = change.kind === 'delete' ? found?.deleted_at_ms != null : found?.listed === 't';
    if (!isThere) throw notFound();
    return { counters: before, changed: 0, ids: [] };
  }
  return { counters: afterItem(change.kind, row, before), changed: 1, ids: [row.id ?? ''] };
}

function afterItem(kind: ItemChange['kind'], row: Row, before: Counters): Counters {
  if (row.counts !== 't') return before;
  const comesBack = kind === 'unread' || kind === 'unarchive';
  const step = comesBack ? 1 : -1;
  const expiresAtMs = comesBack && row.expires_at_ms != null ? BigInt(row.expires_at_ms) : undefined;
  const isNext =
    expiresAtMs !== undefined && (before.nextExpiryMs === undefined || expiresAtMs < before.nextExpiryMs);
  return {
    ...before,
    unread: before.unread + step,
    unseen: before.unseen + (Number(row.position) > before.seenPosition ? step : 0),
    nextExpiryMs: isNext ? expiresAtMs : before.nextExpiryMs,
  };
}

/** Hides an item, or brings a hidden one back where its time is over. Its new position is the user's newest. */
async function applySnooze(
  tx: Transaction,
  owner: UserKey,
  { id, untilMs }: Extract<InboxChange, { readonly kind: 'snooze' }>,
  before: Counters,
  nowMs: number,
): Promise<Done> {
  const key: Value[] = [owner.tenantId, owner.userId, id];
  const [row] = await tx.run(lockItem, key);
  if (row === undefined) throw notFound();
  const isSnoozed = row.snoozed_until_ms != null;
  const isOver = untilMs <= nowMs;
  if (isOver ? !isSnoozed : row.snoozed_until_ms === String(untilMs))
    return { counters: before, changed: 0, ids: [] };
  const step = row.counts === 't' ? 1 : 0;
  if (isOver) {
    const newestPosition = before.newestPosition + 1;
    await tx.run(setSnooze, [...key, newestPosition, null, row.expires_at_ms ?? null]);
    const counters = {
      ...before,
      newestPosition,
      unread: before.unread + step,
      unseen: before.unseen + step,
    };
    return { counters: withExpiry(counters, row), changed: 1, ids: [id] };
  }
  await tx.run(setSnooze, [...key, 0, untilMs, untilMs]);
  if (isSnoozed) return { counters: before, changed: 1, ids: [id] };
  const unseen = Number(row.position) > before.seenPosition ? step : 0;
  return {
    counters: { ...before, unread: before.unread - step, unseen: before.unseen - unseen },
    changed: 1,
    ids: [id],
  };
}

/** An item that comes back is to expire again. */
function withExpiry(counters: Counters, { expires_at_ms, in_app_status, counts }: Row): Counters {
  if (expires_at_ms == null || in_app_status !== 'pending' || counts !== 't') return counters;
  const expiresAtMs = BigInt(expires_at_ms);
  const isNext = counters.nextExpiryMs === undefined || expiresAtMs < counters.nextExpiryMs;
  return isNext ? { ...counters, nextExpiryMs: expiresAtMs } : counters;
}

async function applyReadUpTo(
  tx: Transaction,
  owner: UserKey,
  change: Extract<InboxChange, { readonly kind: 'read_up_to' }>,
  before: Counters,
): Promise<Done> {
  if (before.unread === 0) return { counters: before, changed: 0, ids: [] };
  const { tenantId, userId } = owner;
  const [row] = await tx.run(readUpTo, [tenantId, userId, change.position, change.atMs, before.seenPosition]);
  const changed = Number(row?.items);
  return {
    counters: {
      ...before,
      unread: before.unread - changed,
      unseen: before.unseen - Number(row?.unseen),
    },
    changed,
    ids: changed === 0 ? [] : row?.ids?.split(','),
  };
}

async function applySeenUpTo(
  tx: Transaction,
  owner: UserKey,
  position: number,
  before: Counters,
): Promise<Done> {
  const target = Math.min(position, before.newestPosition);
  if (target <= before.seenPosition) return { counters: before, changed: 0, ids: [] };
  let { unseen } = before;
  // everything that is unread past the newest position was seen by that: nothing to count
  if (target === before.newestPosition) unseen = 0;
  else {
    const [row] = await tx.run(countUnread, [owner.tenantId, owner.userId, before.seenPosition, target]);
    unseen -= Number(row?.items);
  }
  return { counters: { ...before, unseen, seenPosition: target }, changed: 1, ids: [] };
}
