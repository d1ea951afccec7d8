import { isUuid } from '../../../src/core/ambient.ts';
import type { Retry } from '../../../src/core/outbox.ts';
import { plainArray } from './arrays.ts';
import type { Database } from './database.ts';
import type { Statement, Value } from './statement.ts';

/** What failed without a destination or a provider cannot be sent again. */
const again = (name: string, condition: string): Statement => ({
  name,
  text: `
WITH failed AS MATERIALIZED (
  SELECT d.item_id, d.id,
    least($3::bigint, $4::bigint / count(*) OVER ()) * (row_number() OVER (ORDER BY d.updated_at_ms, d.id) - 1) AS after_ms
  FROM notify.deliveries d
  WHERE d.tenant_id = $1 AND d.status = 'failed' AND d.destination <> '' AND d.provider <> '' AND ${condition}
), done AS (
  UPDATE notify.deliveries d SET status = 'pending', reason = '', crashes = 0, lease_token = NULL, losses = NULL,
    due_at_ms = $2::bigint + f.after_ms, first_due_at_ms = $2::bigint + f.after_ms,
    updated_at_ms = $2
  FROM failed f WHERE d.tenant_id = $1 AND d.item_id = f.item_id AND d.id = f.id AND d.status = 'failed'
  RETURNING 1
)
SELECT count(*) AS retried FROM done`,
});

const byIds = again('retry_ids', 'd.id = ANY ($5::uuid[])');
const ofChannel = again(
  'retry_channel',
  `d.channel = $5 AND ($6 = '' OR d.provider = $6) AND d.updated_at_ms >= $7 AND d.updated_at_ms < $8`,
);

/** See Outbox. */
export async function retryDeliveries(db: Database, retry: Retry): Promise<number> {
  const values: Value[] = [retry.tenantId, retry.atMs, retry.spacingMs, retry.longestMs];
  const [row] =
    'ids' in retry
      ? await db.write(byIds, [...values, plainArray(retry.ids.filter(isUuid))])
      : await db.write(ofChannel, [
          ...values,
          retry.channel,
          retry.provider,
          retry.sinceMs,
          retry.untilMs === 0n ? 2n ** 63n - 1n : retry.untilMs,
        ]);
  return Number(row?.retried);
}
