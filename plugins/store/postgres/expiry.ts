import type { UserKey } from '../../../src/core/glossary.ts';
import { lockUsers, saveCounters } from './counters.ts';
import type { Database } from './database.ts';
import { type Counters, isExpiryDue } from './rows.ts';
import type { Statement, Transaction } from './statement.ts';

/** Visible and still to expire, in the words of the partial index notifications_expiring. */
const expiring = `n.tenant_id = $1 AND n.user_id = $2 AND n.position > 0 AND n.expires_at_ms IS NOT NULL AND n.in_app_status = 'pending'
  AND n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AND n.deleted_at_ms IS NULL`;

/** Rows are locked in the order of their ids, as outcomes do. */
const expire: Statement = {
  name: 'expire',
  text: `
WITH due AS MATERIALIZED (
  SELECT n.id FROM notify.notifications n WHERE ${expiring} AND n.expires_at_ms <= $3 ORDER BY n.id FOR UPDATE
), gone AS (
  UPDATE notify.notifications n SET in_app_status = 'suppressed', in_app_reason = 'expired'
  FROM due WHERE n.tenant_id = $1 AND n.id = due.id AND n.in_app_status = 'pending'
  RETURNING n.position
)
SELECT count(*) AS items, count(*) FILTER (WHERE position > $4) AS unseen FROM gone`,
};

const nextExpiry: Statement = {
  name: 'next_expiry',
  text: `SELECT min(n.expires_at_ms) AS next FROM notify.notifications n WHERE ${expiring}`,
};

/**
 * Takes out of a locked inbox what has expired before a stream took it.
 * @returns the counters after it
 */
export async function expireLocked(
  tx: Transaction,
  owner: UserKey,
  counters: Counters,
  nowMs: number,
): Promise<Counters> {
  if (!isExpiryDue(counters, nowMs)) return counters;
  const key = [owner.tenantId, owner.userId];
  const [gone] = await tx.run(expire, [...key, nowMs, counters.seenPosition]);
  const [next] = await tx.run(nextExpiry, key);
  const items = Number(gone?.items);
  const after: Counters = {
    ...counters,
    unread: counters.unread - items,
    unseen: counters.unseen - Number(gone?.unseen),
    version: counters.version + (items > 0 ? 1 : 0),
    nextExpiryMs: next?.next == null ? undefined : BigInt(next.next),
  };
  await saveCounters(tx, owner, after);
  return after;
}

/** The same for an inbox that somebody looks at. */
export async function expireInbox(db: Database, owner: UserKey, nowMs: number): Promise<void> {
  await db.transaction(async (tx) => {
    for (const counters of (await lockUsers(tx, [owner], 'skip')).values())
      await expireLocked(tx, owner, counters, nowMs);
  });
}
