import type { UserKey } from '../glossary.ts';
/**
 * Short for a user, the same at every replica. Two users who share it are mistaken for each other, which costs a call a moment's
 * wait, nothing more.
 */
export type PresenceKey = (owner: UserKey) => string;

/** Which users have live sessions at which other replica. */
export class Presence {
  readonly #keyOf: PresenceKey;
  readonly #byPeer = new Map<string, Map<string, number>>();
  readonly #total = new Map<string, number>();

  constructor(keyOf: PresenceKey) {
    this.#keyOf = keyOf;
  }

  /** How many sessions of a user other replicas hold. */
  sessions(owner: UserKey): number {
    return this.#total.size === 0 ? 0 : (this.#total.get(this.#keyOf(owner)) ?? 0);
  }

  /** What a peer says of its sessions. @param fresh in place of all that it said before */
  heard(peer: string, users: readonly (readonly [string, number])[], fresh: boolean): void {
    if (fresh) this.forget(peer);
    const known = this.#byPeer.get(peer) ?? new Map<string, number>();
    this.#byPeer.set(peer, known);
    for (const [key, count] of users) {
      this.#add(key, count - (known.get(key) ?? 0));
      if (count > 0) known.set(key, count);
      else known.delete(key);
    }
  }

  /** A peer is gone. */
  forget(peer: string): void {
    for (const [key, count] of this.#byPeer.get(peer) ?? []) this.#add(key, -count);
    this.#byPeer.delete(peer);
  }

  #add(key: string, step: number): void {
    const count = (this.#total.get(key) ?? 0) + step;
    if (count > 0) this.#total.set(key, count);
    else this.#total.delete(key);
  }
}
