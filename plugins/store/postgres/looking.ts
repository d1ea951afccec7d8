import type { UserKey } from '../../../src/core/glossary.ts';
import type { Database } from './database.ts';
import { expireInbox } from './expiry.ts';
import { type Counters, isExpiryDue, noCounters, toCounters } from './rows.ts';
import type { Row, Statement, Value } from './statement.ts';

/**
 * Runs a statement that answers a user's counters, and beside them what was asked for, or no row for a user whom nothing was
 * stored for; once more where something had to expire before.
 */
export async function lookAt(
  db: Database,
  owner: UserKey,
  nowMs: number,
  statement: Statement,
  values: readonly Value[],
): Promise<{ rows: Row[]; counters: Readonly<Counters> }> {
  let rows = await db.read(statement, values);
  let counters = rows[0] === undefined ? noCounters : toCounters(rows[0]);
  if (isExpiryDue(counters, nowMs)) {
    await expireInbox(db, owner, nowMs);
    rows = await db.read(statement, values);
    counters = rows[0] === undefined ? noCounters : toCounters(rows[0]);
  }
  return { rows, counters };
}
