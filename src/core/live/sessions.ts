import type { UserKey } from '../glossary.ts';
import { userKey } from '../user-key.ts';
import type { Session } from './session.ts';

/** The sessions that are open in this process. */
export class Sessions {
  readonly #byUser = new Map<string, Set<Session>>();
  readonly #byId = new Map<string, Session>();
  /** How many each tenant has. */
  readonly #ofTenant = new Map<string, number>();

  get size(): number {
    return this.#byId.size;
  }

  /** All of them, by their ids; it changes as they open and close. */
  get byId(): ReadonlyMap<string, Session> {
    return this.#byId;
  }

  /** Those of a user; undefined where there are none. */
  of(owner: UserKey): ReadonlySet<Session> | undefined {
    return this.#byUser.get(userKey(owner));
  }

  countOfTenant(tenantId: string): number {
    return this.#ofTenant.get(tenantId) ?? 0;
  }

  add(session: Session): void {
    const key = userKey(session.owner);
    const sessions = this.#byUser.get(key);
    if (sessions) sessions.add(session);
    else this.#byUser.set(key, new Set([session]));
    this.#byId.set(session.id, session);
    this.#countTenant(session.tenantId, 1);
  }

  delete(session: Session): void {
    const key = userKey(session.owner);
    const sessions = this.#byUser.get(key);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#byUser.delete(key);
    this.#byId.delete(session.id);
    this.#countTenant(session.tenantId, -1);
  }

  #countTenant(tenantId: string, step: number): void {
    const count = this.countOfTenant(tenantId) + step;
    if (count > 0) this.#ofTenant.set(tenantId, count);
    else this.#ofTenant.delete(tenantId);
  }
}
