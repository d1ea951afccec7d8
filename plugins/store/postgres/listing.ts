import { notFound } from '../../../src/core/errors.ts';
import type { InboxSummary, KnownInbox, Notification, UserKey } from '../../../src/core/glossary.ts';
import type { ListQuery, NotificationPage } from '../../../src/core/store.ts';
import { plainArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';
import { expireInbox } from './expiry.ts';
import { lookAt } from './looking.ts';
import { upTo } from './page-bytes.ts';
import {
  counterColumns,
  type Item,
  itemJson,
  listed,
  named,
  noCounters,
  toCounters,
  toNotification,
  toSummary,
} from './rows.ts';
import type { Row, Statement, Value } from './statement.ts';

/** Later than any position. */
const noEnd = 2n ** 63n - 1n;

const one: Statement = {
  name: 'get',
  text: `
SELECT u.seen_position, u.next_expiry_ms, n.item
FROM (
  SELECT ${itemJson} AS item FROM notify.notifications n
  WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.id = $3 AND ${named}
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
      ...(hasTypes ? ['AND n.type = ANY ($6::text[])'] : []),
      ...(hasChannels ? [`AND n.channels && $${hasTypes ? 7 : 6}::text[]`] : []),
    ].join(' ');
    const page = (conditions: string) => `(
    SELECT n.* FROM notify.notifications n
    WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.position < $3 AND ${conditions} ${filters}
    ORDER BY n.position DESC LIMIT $4
  )`;
    statement = {
      name: `list_${shape}`,
      text: `
SELECT ${counterColumns}, p.found, p.page
FROM notify.users u CROSS JOIN LATERAL (
  SELECT max(n.found) AS found, json_agg(${itemJson} ORDER BY n.position DESC) AS page
  FROM ${upTo('$5', 'n.position DESC', rowsOf(query, page))}
) p
WHERE u.tenant_id = $1 AND u.user_id = $2`,
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
      `n.in_app_status = '${status}' AND n.position > 0 AND n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AND n.deleted_at_ms IS NULL`,
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
  return toNotification(owner, JSON.parse(row.item ?? '') as Item, Number(row.seen_position));
}

export async function listNotifications(
  db: Database,
  owner: UserKey,
  query: ListQuery,
  nowMs: number,
): Promise<NotificationPage> {
  const { before = noEnd, limit, maxBytes } = query;
  const values: Value[] = [owner.tenantId, owner.userId, before, limit + 1, maxBytes];
  if (query.types.length > 0) values.push(textArray(query.types));
  if (query.channels.length > 0) values.push(textArray(query.channels));
  const { rows, counters } = await lookAt(db, owner, nowMs, pageStatement(query), values);
  const items = JSON.parse(rows[0]?.page ?? '[]') as Item[];
  return {
    notifications: items.slice(0, limit).map((item) => toNotification(owner, item, counters.seenPosition)),
    more: Number(rows[0]?.found ?? 0) > Math.min(items.length, limit),
    summary: toSummary(counters),
  };
}

export async function inboxSummary(db: Database, owner: UserKey, nowMs: number): Promise<InboxSummary> {
  const { counters } = await lookAt(db, owner, nowMs, counts, [owner.tenantId, owner.userId]);
  return toSummary(counters);
}

const otherCounts: Statement = {
  name: 'changed_inboxes',
  text: `
SELECT k.ord, u.* FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
  WITH ORDINALITY AS k (tenant_id, user_id, version, newest_position, ord)
LEFT JOIN LATERAL (
  SELECT ${counterColumns} FROM notify.users u WHERE u.tenant_id = k.tenant_id AND u.user_id = k.user_id
) u ON true
WHERE coalesce(u.version, 0) <> k.version OR coalesce(u.newest_position, 0) <> k.newest_position`,
};

/** The counters as they stand, where they are others than is known, in the order of the users. */
export async function changedInboxes(
  db: Database,
  known: readonly KnownInbox[],
): Promise<(InboxSummary | undefined)[]> {
  const rows = await db.read(otherCounts, [
    textArray(known.map(({ tenantId }) => tenantId)),
    textArray(known.map(({ userId }) => userId)),
    plainArray(known.map(({ version }) => version)),
    plainArray(known.map(({ newestPosition }) => newestPosition)),
  ]);
  const changed: (InboxSummary | undefined)[] = known.map(() => undefined);
  for (const row of rows)
    changed[Number(row.ord) - 1] = toSummary(row.version === null ? noCounters : toCounters(row));
  return changed;
}
