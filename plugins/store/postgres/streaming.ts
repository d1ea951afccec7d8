import type { UserKey } from '../../../src/core/glossary.ts';
import type { PageLimits, SincePage, SinceQuery, StreamPosition } from '../../../src/core/store.ts';
import { plainArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';
import { expireInbox } from './expiry.ts';
import { lookAt } from './looking.ts';
import { textBytes, upTo } from './page-bytes.ts';
import {
  counterColumns,
  type Item,
  isExpiryDue,
  itemJson,
  listed,
  noCounters,
  toCounters,
  toNotification,
} from './rows.ts';
import type { Row, Statement } from './statement.ts';

const shown = `n.in_app_status IS NOT NULL AND ${listed} AND n.archived_at_ms IS NULL`;

/**
 * What follows positions, but for what was read or seen before any stream took it: of each up to $4 items, and none after those
 * that reach $5 bytes; of all together, in their order, no item after those that reach $6.
 */
const following: Statement = {
  name: 'following',
  text: `
SELECT k.ord, ${counterColumns}, n.found,
  CASE WHEN n.id IS NOT NULL AND coalesce(
    sum(${textBytes}) OVER (ORDER BY k.ord, n.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) < $6
  THEN ${itemJson} END AS item
FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS k (tenant_id, user_id, after, ord)
CROSS JOIN LATERAL (
  SELECT ${counterColumns} FROM notify.users u WHERE u.tenant_id = k.tenant_id AND u.user_id = k.user_id
) u
LEFT JOIN LATERAL (
  SELECT n.* FROM ${upTo(
    '$5',
    'n.position',
    `
      SELECT n.* FROM notify.notifications n
      WHERE n.tenant_id = k.tenant_id AND n.user_id = k.user_id AND ${shown} AND n.position > k.after
        AND NOT (n.in_app_status = 'pending' AND (n.read_at_ms IS NOT NULL OR n.position <= u.seen_position))
      ORDER BY n.position LIMIT $4`,
  )}
) n ON true
ORDER BY k.ord, n.position`,
};

/** What no stream had taken at a time: those still untaken, merged with those taken since. Each has an index. */
const untaken: Statement = {
  name: 'since_untaken',
  text: `
SELECT ${counterColumns}, n.found, n.item
FROM notify.users u LEFT JOIN LATERAL (
  SELECT n.position, n.found, ${itemJson} AS item
  FROM ${upTo(
    '$5',
    'n.position',
    `
      SELECT * FROM (
        (
          SELECT n.* FROM notify.notifications n
          WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.in_app_status = 'pending' AND n.position > greatest($3, u.seen_position)
            AND n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AND n.deleted_at_ms IS NULL
          ORDER BY n.position LIMIT $4
        ) UNION ALL (
          SELECT n.* FROM notify.notifications n
          WHERE n.tenant_id = $1 AND n.user_id = $2 AND ${shown}
            AND n.in_app_delivered_at_ms IS NOT NULL AND n.in_app_delivered_at_ms >= $6 AND n.position > $3
          ORDER BY n.position LIMIT $4
        )
      ) n
      ORDER BY n.position LIMIT $4`,
  )}
) n ON true
WHERE u.tenant_id = $1 AND u.user_id = $2
ORDER BY n.position`,
};

/** See Store. */
export async function notificationsSince(
  db: Database,
  owner: UserKey,
  query: SinceQuery,
  nowMs: number,
): Promise<SincePage> {
  const { after, limit, maxBytes, untakenAtMs } = query;
  if (untakenAtMs === undefined) {
    const limits = { limit, maxBytes, maxBytesOfAll: maxBytes };
    const [page] = await notificationsAfter(db, [{ ...owner, after }], limits, nowMs);
    return page ?? pageOf(owner, after, limit, []);
  }
  const values = [owner.tenantId, owner.userId, after, limit, maxBytes, untakenAtMs];
  const { rows } = await lookAt(db, owner, nowMs, untaken, values);
  return pageOf(owner, after, limit, rows);
}

/** See Store. */
export async function notificationsAfter(
  db: Database,
  streams: readonly StreamPosition[],
  { limit, maxBytes, maxBytesOfAll }: PageLimits & { readonly maxBytesOfAll: number },
  nowMs: number,
): Promise<SincePage[]> {
  const values = [
    textArray(streams.map(({ tenantId }) => tenantId)),
    textArray(streams.map(({ userId }) => userId)),
    plainArray(streams.map(({ after }) => after)),
    limit,
    maxBytes,
    maxBytesOfAll,
  ];
  let found = byStream(await db.read(following, values), streams);
  const expiring = streams.filter((_, i) => {
    const [row] = found[i] ?? [];
    return row !== undefined && isExpiryDue(toCounters(row), nowMs);
  });
  for (const owner of expiring) await expireInbox(db, owner, nowMs);
  if (expiring.length > 0) found = byStream(await db.read(following, values), streams);
  return streams.map((stream, i) => pageOf(stream, stream.after, limit, found[i] ?? []));
}

/** The rows of each stream; none for a user whom nothing was stored for. */
function byStream(rows: readonly Row[], streams: readonly StreamPosition[]): Row[][] {
  const found: Row[][] = streams.map(() => []);
  for (const row of rows) found[Number(row.ord) - 1]?.push(row);
  return found;
}

/** @param rows a user's counters, on each of its items */
function pageOf(owner: UserKey, after: number, limit: number, rows: readonly Row[]): SincePage {
  const counters = rows[0] === undefined ? noCounters : toCounters(rows[0]);
  const notifications = rows.flatMap(({ item }) =>
    item == null ? [] : [toNotification(owner, JSON.parse(item) as Item, counters.seenPosition)],
  );
  const found = Number(rows[0]?.found ?? 0);
  const more = found > notifications.length || (found > 0 && found === limit);
  return {
    notifications,
    through: more ? (notifications.at(-1)?.position ?? after) : counters.newestPosition,
    more,
    // an inbox's oldest resumable position is where it began, as long as nothing is taken out of one
    isOfAnother: after > 0 && after < counters.oldestResumable,
  };
}
