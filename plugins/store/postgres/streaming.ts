import type { UserKey } from '../../../src/core/glossary.ts';
import type { SincePage, SinceQuery } from '../../../src/core/store.ts';
import type { Database } from './database.ts';
import { lookAt } from './looking.ts';
import { upTo } from './page-bytes.ts';
import { counterColumns, type Item, itemJson, listed, toNotification } from './rows.ts';
import type { Statement } from './statement.ts';

const shown = `n.tenant_id = $1 AND n.user_id = $2 AND n.in_app_status IS NOT NULL AND ${listed} AND n.archived_at_ms IS NULL`;

/** A page of some rows of notifications, in order: up to $4 of them, and none after those that reach $5 bytes. */
const statement = (name: string, rows: string): Statement => ({
  name,
  text: `
SELECT ${counterColumns}, n.found, n.item
FROM notify.users u LEFT JOIN LATERAL (
  SELECT n.position, n.found, ${itemJson} AS item
  FROM ${upTo('$5', 'n.position', rows)}
) n ON true
WHERE u.tenant_id = $1 AND u.user_id = $2
ORDER BY n.position`,
});

/** What follows a position, but for what was read or seen before any stream took it. */
const streamed = statement(
  'since',
  `
      SELECT n.* FROM notify.notifications n
      WHERE ${shown} AND n.position > $3
        AND NOT (n.in_app_status = 'pending' AND (n.read_at_ms IS NOT NULL OR n.position <= u.seen_position))
      ORDER BY n.position LIMIT $4`,
);

/** What no stream had taken at a time: those still untaken, merged with those taken since. Each has an index. */
const replayed = statement(
  'since_untaken',
  `
      SELECT * FROM (
        (
          SELECT n.* FROM notify.notifications n
          WHERE n.tenant_id = $1 AND n.user_id = $2 AND n.in_app_status = 'pending' AND n.position > greatest($3, u.seen_position)
            AND n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AND n.deleted_at_ms IS NULL
          ORDER BY n.position LIMIT $4
        ) UNION ALL (
          SELECT n.* FROM notify.notifications n
          WHERE ${shown} AND n.in_app_delivered_at_ms IS NOT NULL AND n.in_app_delivered_at_ms >= $6 AND n.position > $3
          ORDER BY n.position LIMIT $4
        )
      ) n
      ORDER BY n.position LIMIT $4`,
);

export async function notificationsSince(
  db: Database,
  owner: UserKey,
  query: SinceQuery,
  nowMs: number,
): Promise<SincePage> {
  const { after, limit, maxBytes, untakenAtMs } = query;
  const values = [owner.tenantId, owner.userId, after, limit, maxBytes];
  const { rows, counters } =
    untakenAtMs === undefined
      ? await lookAt(db, owner, nowMs, streamed, values)
      : await lookAt(db, owner, nowMs, replayed, [...values, untakenAtMs]);
  const notifications = rows.flatMap(({ item }) =>
    item == null ? [] : [toNotification(owner, JSON.parse(item) as Item, counters.seenPosition)],
  );
  const found = Number(rows[0]?.found ?? 0);
  const last = notifications.at(-1);
  const more = last !== undefined && (found === limit || found > notifications.length);
  return {
    notifications,
    through: more ? last.position : counters.newestPosition,
    more,
    // an inbox's oldest resumable position is where it began, as long as nothing is taken out of one
    isOfAnother: after > 0 && after < counters.oldestResumable,
  };
}
