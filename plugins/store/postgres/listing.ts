import { notFound } from '../../../src/core/errors.ts';
import type { InboxSummary, Notification, UserKey } from '../../../src/core/glossary.ts';
import type { ListQuery, NotificationPage } from '../../../src/core/store.ts';
import { textArray } from './arrays.ts';
import type { Database, Row, Statement, Value } from './database.ts';
import { expireInbox } from './expiry.ts';
import {
  type Counters,
  counterColumns,
  isExpiryDue,
  listed,
  noCounters,
  notificationColumns,
  toCounters,
  toNotification,
  toSummary,
} from './rows.ts';

/** Later than any position. */
const noEnd = 2n ** 63n - 1n;

const one: Statement = {
  name: 'get',
  text: `
SELECT u.seen_position, u.next_expiry_ms, n.*
FROM (
  SELECT ${notificationColumns} FROM notify.notifications n
  WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.id = $3 AND ${listed}
) n
CROSS JOIN notify.users u WHERE u.tenant_id = $1 AND u.user_id = $2`,
};

const counts: Statement = {
  name: 'summary',
  text: `SELECT ${counterColumns} FROM notify.users u WHERE u.tenant_id = $1 AND u.user_id = $2`,
};

/** A page and the counters in one snapshot. Each combination of filters is a statement with a plan of its own. */
const pages = new Map<number, Statement>();

function pageStatement(query: ListQuery): Statement {
  const hasTypes = query.types.length > 0;
  const hasChannels = query.channels.length > 0;
  const shape =
    Number(query.unreadOnly) + 2 * Number(query.archived) + 4 * Number(hasTypes) + 8 * Number(hasChannels);
  let statement = pages.get(shape);
  if (statement === undefined) {
    const filters = [
      ...(hasTypes ? ['AND n.type = ANY ($5::text[])'] : []),
      ...(hasChannels ? [`AND n.channels && $${hasTypes ? 6 : 5}::text[]`] : []),
    ].join(' ');
    const page = (conditions: string) => `(
    SELECT ${notificationColumns} FROM notify.notifications n
    WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.position < $3 AND ${conditions} ${filters}
    ORDER BY n.position DESC LIMIT $4
  )`;
    statement = {
      name: `list_${shape}`,
      text: `
SELECT ${counterColumns}, n.*
FROM notify.users u LEFT JOIN LATERAL (${rowsOf(query, page)}) n ON true
WHERE u.tenant_id = $1 AND u.user_id = $2
ORDER BY n.position DESC`,
    };
    pages.set(shape, statement);
  }
  return statement;
}

function rowsOf(query: ListQuery, page: (conditions: string) => string): string {
  if (!query.unreadOnly) return page(query.archived ? listed : `${listed} AND n.archived_at_ms IS NULL`);
  if (query.archived) return page(`${listed} AND n.in_app_id IS NOT NULL AND n.read_at_ms IS NULL`);
  // the unread index has one run of positions per status: the newest of each, merged
  const runs = ['pending', 'delivered', 'acked', 'failed'].map((status) =>
    page(
      `n.in_app_status = '${status}' AND n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AND n.deleted_at_ms IS NULL`,
    ),
  );
  return `SELECT * FROM (${runs.join(' UNION ALL ')}) n ORDER BY n.position DESC LIMIT $4`;
}

/** @throws NotifyError not_found */
export async function getNotification(
  db: Database,
  owner: UserKey,
  id: string,
  nowMs: number,
): Promise<Notification> {
  const read = async (): Promise<Row> => {
    const [row] = await db.read(one, [owner.tenantId, owner.userId, id]);
    if (row === undefined) throw notFound();
    return row;
  };
  let row = await read();
  if (row.next_expiry_ms != null && BigInt(row.next_expiry_ms) <= nowMs) {
    await expireInbox(db, owner, nowMs);
    row = await read();
  }
  return toNotification(owner, row, Number(row.seen_position));
}

export async function listNotifications(
  db: Database,
  owner: UserKey,
  query: ListQuery,
  nowMs: number,
): Promise<NotificationPage> {
  const values: Value[] = [owner.tenantId, owner.userId, query.before ?? noEnd, query.limit + 1];
  if (query.types.length > 0) values.push(textArray(query.types));
  if (query.channels.length > 0) values.push(textArray(query.channels));
  const { rows, counters } = await lookAt(db, owner, nowMs, pageStatement(query), values);
  const shown = rows.length > query.limit ? rows.slice(0, query.limit) : rows;
  return {
    notifications: shown.map((row) => toNotification(owner, row, counters.seenPosition)),
    more: rows.length > query.limit,
    summary: toSummary(counters),
  };
}

export async function inboxSummary(db: Database, owner: UserKey, nowMs: number): Promise<InboxSummary> {
  const { counters } = await lookAt(db, owner, nowMs, counts, [owner.tenantId, owner.userId]);
  return toSummary(counters);
}

/**
 * Runs a statement that answers a user's counters, and beside them items or one row without any; once more where
 * something had to expire before.
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
  return { rows: rows[0]?.id == null ? [] : rows, counters };
}
