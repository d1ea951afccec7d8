import type { UserKey } from '../../../src/core/glossary.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { plainArray, textArray } from './arrays.ts';
import type { Counters } from './rows.ts';
import type { Row } from './statement.ts';

/** Whose a row is that has a tenant and a user. */
export const ownerOf = (row: Row): UserKey => ({
  tenantId: row.tenant_id ?? '',
  userId: row.user_id ?? '',
});

/** The keys of notifications, as the first two parameters of a statement: tenants, ids. */
export const keysOf = (rows: readonly Row[]): string[] => [
  textArray(rows.map(({ tenant_id }) => tenant_id ?? '')),
  plainArray(rows.map(({ id }) => id ?? undefined)),
];

/** The counters of a row's user, who must be locked. */
export function countersOf(users: ReadonlyMap<string, Counters>, owner: UserKey): Counters {
  const counters = users.get(userKey(owner));
  if (counters === undefined) throw new Error('a user that was locked has no counters');
  return counters;
}
