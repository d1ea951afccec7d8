import type { UserKey } from './glossary.ts';

/**
 * One value for each user of all tenants. A map in a map, so that a look-up neither makes nor hashes a key of its own: on the
 * hot path that costs as much as the look-up.
 */
export class UserMap<T> {
  readonly #tenants = new Map<string, Map<string, T>>();

  get({ tenantId, userId }: UserKey): T | undefined {
    return this.#tenants.get(tenantId)?.get(userId);
  }

  has({ tenantId, userId }: UserKey): boolean {
    return this.#tenants.get(tenantId)?.has(userId) ?? false;
  }

  set({ tenantId, userId }: UserKey, value: T): void {
    const users = this.#tenants.get(tenantId);
    if (users) users.set(userId, value);
    else this.#tenants.set(tenantId, new Map([[userId, value]]));
  }

  delete({ tenantId, userId }: UserKey): void {
    const users = this.#tenants.get(tenantId);
    if (users?.delete(userId) && users.size === 0) this.#tenants.delete(tenantId);
  }

  /** The values of a tenant's users. */
  ofTenant(tenantId: string): Iterable<T> {
    return this.#tenants.get(tenantId)?.values() ?? [];
  }

  clear(): void {
    this.#tenants.clear();
  }
}
