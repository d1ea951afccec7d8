import type { UserKey } from '../../../src/core/glossary.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { plainArray, textArray } from './arrays.ts';
import { type Counters, counterColumns, toCounters } from './rows.ts';
import type { Row, Statement, Transaction, Value } from './statement.ts';

/** Locks users' rows one after the other, in the order of the keys. */
const lock: Statement = {
  name: 'lock_users',
  text: `
SELECT u.*
FROM unnest($1::text[], $2::text[]) AS k (tenant_id, user_id)
CROSS JOIN LATERAL (
  SELECT u.tenant_id, u.user_id, ${counterColumns} FROM notify.users u
  WHERE u.tenant_id = k.tenant_id AND u.user_id = k.user_id FOR UPDATE
) u`,
};

const addMissing: Statement = {
  name: 'add_users',
  text: `
INSERT INTO notify.users (tenant_id, user_id)
SELECT k.tenant_id, k.user_id FROM unnest($1::text[], $2::text[]) AS k (tenant_id, user_id)
ON CONFLICT DO NOTHING`,
};

/**
 * Has inboxes that nothing came into yet begin above those that were erased. Not done in adding: an INSERT that waits for
 * somebody to erase the same user has read the floor before that.
 */
const begin: Statement = {
  name: 'begin_inboxes',
  text: `
UPDATE notify.users u
SET newest_position = f.floor, version = f.floor, seen_position = f.floor, oldest_resumable = f.floor
FROM unnest($1::text[], $2::text[]) AS k (tenant_id, user_id)
JOIN notify.inbox_floors f ON f.tenant_id = k.tenant_id
WHERE u.tenant_id = k.tenant_id AND u.user_id = k.user_id AND u.newest_position = 0 AND u.version = 0`,
};

/** How often users are added: more than once only where somebody is erased between being found there and being locked. */
const addings = 5;

const save: Statement = {
  name: 'save_counters',
  text: `
UPDATE notify.users SET version = $3, unread = $4, unseen = $5, seen_position = $6, next_expiry_ms = $7
WHERE tenant_id = $1 AND user_id = $2`,
};

/**
 * Locks the rows of some users until the transaction ends.
 *
 * Everyone locks users before anything else, and in one order, so that no two transactions wait for each other. That is why
 * rows are not simply added where they are missing: by then others are locked. The transaction starts afresh, adds the
 * missing ones first, and then locks all.
 * @param missing `add` creates rows for users who have none; `hold` does so for a transaction that takes them away again
 * @returns the counters by userKey; with `skip` some may be missing
 */
export async function lockUsers(
  tx: Transaction,
  owners: readonly UserKey[],
  missing: 'add' | 'hold' | 'skip',
): Promise<Map<string, Counters>> {
  const sorted = sortedUsers(owners);
  const values = [
    textArray(sorted.map(({ tenantId }) => tenantId)),
    textArray(sorted.map(({ userId }) => userId)),
  ];
  let rows = await tx.run(lock, values);
  for (let times = 0; missing !== 'skip' && rows.length < sorted.length && times < addings; times++) {
    await tx.restart();
    rows = await inTurn(tx, [
      [addMissing, values],
      ...(missing === 'add' ? [[begin, values] as const] : []),
      [lock, values],
    ]);
  }
  return new Map(rows.map((row) => [rowKey(row), toCounters(row)]));
}

/**
 * Locks users as `lock` does and counts new items in, in one go: to lock first and to update later cost a second visit of
 * each row, and a second record in the log.
 */
const countIn: Statement = {
  name: 'count_in',
  text: `
UPDATE notify.users u SET newest_position = u.newest_position + k.visible, version = u.version + k.visible,
  unread = u.unread + k.in_app, unseen = u.unseen + k.in_app, next_expiry_ms = least(u.next_expiry_ms, k.next_expiry_ms)
FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::bigint[]) AS k (tenant_id, user_id, visible, in_app, next_expiry_ms)
WHERE u.tenant_id = k.tenant_id AND u.user_id = k.user_id
RETURNING u.tenant_id, u.user_id, ${counterColumns}`,
};

/** What is to come into one inbox. */
export interface Incoming {
  /** Items that are visible from the start. */
  visible: number;
  /** Those of them that have an in-app delivery. */
  inApp: number;
  /** When the first of these expires. */
  nextExpiryMs: bigint | undefined;
}

/**
 * Locks users as lockUsers does, adds those who are missing, and counts new items in.
 * @returns the counters by userKey, as they were before
 */
export async function countItemsIn(
  tx: Transaction,
  owners: readonly UserKey[],
  incoming: ReadonlyMap<string, Incoming>,
): Promise<Map<string, Counters>> {
  const sorted = sortedUsers(owners);
  const keys = [
    textArray(sorted.map(({ tenantId }) => tenantId)),
    textArray(sorted.map(({ userId }) => userId)),
  ];
  const items = sorted.map((owner) => incoming.get(userKey(owner)));
  const values = [
    ...keys,
    plainArray(items.map((item) => item?.visible ?? 0)),
    plainArray(items.map((item) => item?.inApp ?? 0)),
    plainArray(items.map((item) => item?.nextExpiryMs)),
  ];
  let rows = await tx.run(countIn, values);
  for (let times = 0; rows.length < sorted.length && times < addings; times++) {
    await tx.restart();
    rows = await inTurn(tx, [
      [addMissing, keys],
      [begin, keys],
      [countIn, values],
    ]);
  }
  const users = new Map<string, Counters>();
  for (const row of rows) {
    const key = rowKey(row);
    const counters = toCounters(row);
    const { visible = 0, inApp = 0 } = incoming.get(key) ?? {};
    counters.newestPosition -= visible;
    counters.version -= visible;
    counters.unread -= inApp;
    counters.unseen -= inApp;
    users.set(key, counters);
  }
  return users;
}

/** Runs statements one after the other, with one wait for all of them. @returns the rows of the last */
async function inTurn(
  tx: Transaction,
  statements: readonly (readonly [statement: Statement, values: readonly Value[]])[],
): Promise<Row[]> {
  const answers = statements.map(([statement, values]) => tx.run(statement, values));
  // the first that failed says why; the others' errors follow from it
  await Promise.allSettled(answers);
  return (await Promise.all(answers)).at(-1) ?? [];
}

/** Writes the counters of a user whose row is locked. It gives no positions: saveAllCounters does. */
export async function saveCounters(tx: Transaction, owner: UserKey, counters: Counters): Promise<void> {
  const { version, unread, unseen, seenPosition, nextExpiryMs } = counters;
  await tx.run(save, [
    owner.tenantId,
    owner.userId,
    version,
    unread,
    unseen,
    seenPosition,
    nextExpiryMs ?? null,
  ]);
}

const saveAll: Statement = {
  name: 'save_all_counters',
  text: `
UPDATE notify.users u SET newest_position = k.newest_position, version = k.version, unread = k.unread, unseen = k.unseen,
  seen_position = k.seen_position, next_expiry_ms = k.next_expiry_ms
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
  AS k (tenant_id, user_id, newest_position, version, unread, unseen, seen_position, next_expiry_ms)
WHERE u.tenant_id = k.tenant_id AND u.user_id = k.user_id`,
};

/** Writes the counters of users whose rows are locked, their newest positions too. */
export async function saveAllCounters(
  tx: Transaction,
  users: readonly (readonly [owner: UserKey, counters: Counters])[],
): Promise<void> {
  if (users.length === 0) return;
  await tx.run(saveAll, [
    textArray(users.map(([{ tenantId }]) => tenantId)),
    textArray(users.map(([{ userId }]) => userId)),
    plainArray(users.map(([, { newestPosition }]) => newestPosition)),
    plainArray(users.map(([, { version }]) => version)),
    plainArray(users.map(([, { unread }]) => unread)),
    plainArray(users.map(([, { unseen }]) => unseen)),
    plainArray(users.map(([, { seenPosition }]) => seenPosition)),
    plainArray(users.map(([, { nextExpiryMs }]) => nextExpiryMs)),
  ]);
}

/** Each user once, in the order in which everyone locks. */
export function sortedUsers(owners: readonly UserKey[]): UserKey[] {
  if (owners.length < 2) return [...owners];
  const byKey = new Map(owners.map((owner) => [userKey(owner), owner]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, owner]) => owner);
}

/** The userKey of whoever a row is of. */
export const rowKey = (row: Row): string =>
  userKey({ tenantId: row.tenant_id ?? '', userId: row.user_id ?? '' });
