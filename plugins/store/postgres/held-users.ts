import type { UserKey } from '../../../src/core/glossary.ts';
import { textArray } from './arrays.ts';
import { rowKey, sortedUsers } from './counters.ts';
import type { Database } from './database.ts';
import type { Statement } from './statement.ts';

/** Users whose rows another transaction holds at this moment. */
const held: Statement = {
  name: 'held_users',
  text: `
SELECT k.tenant_id, k.user_id
FROM unnest($1::text[], $2::text[]) AS k (tenant_id, user_id)
JOIN notify.users u ON u.tenant_id = k.tenant_id AND u.user_id = k.user_id
LEFT JOIN LATERAL (
  SELECT true AS is_free FROM notify.users f
  WHERE f.tenant_id = k.tenant_id AND f.user_id = k.user_id FOR UPDATE SKIP LOCKED
) f ON true
WHERE f.is_free IS NULL`,
};

/**
 * Whom a batch waited for in vain: those of some users that another transaction holds now.
 * @returns their keys, by userKey
 */
export async function heldUsers(db: Database, owners: readonly UserKey[]): Promise<Set<string>> {
  const users = sortedUsers(owners);
  // its locks are let go of with the statement
  const rows = await db.read(held, [
    textArray(users.map(({ tenantId }) => tenantId)),
    textArray(users.map(({ userId }) => userId)),
  ]);
  return new Set(rows.map(rowKey));
}
