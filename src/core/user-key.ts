import type { UserKey } from './glossary.ts';

/** One string for a tenant and a user. The length in front keeps pairs apart whatever characters they hold. */
export const userKey = (owner: UserKey): string =>
  `${owner.tenantId.length}:${owner.tenantId}${owner.userId}`;
