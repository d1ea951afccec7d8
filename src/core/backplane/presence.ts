import type { UserKey } from '../glossary.ts';
import type { Message } from './messages.ts';

/**
 * Short for a user, the same at every replica. Two users who share it are mistaken for each other, which costs a call a moment's
 * wait, nothing more.
 */
export type PresenceKey = (owner: UserKey) => string;

/** What one peer has said. */
interface Known {
  readonly counts: Map<string, number>;
  /** Users named since its list of all began; undefined while no list is coming in. */
  listed: Set<string> | undefined;
}

/** Which users have live sessions at which other replica. */
export class Presence {
  readonly #keyOf: PresenceKey;
  readonly #byPeer = new Map<string, Known>();
  readonly #total = new Map<string, number>();

  constructor(keyOf: PresenceKey) {
    this.#keyOf = keyOf;
  }

  /** How many sessions of a user other replicas hold. */
  sessions(owner: UserKey): number {
    return this.#total.size === 0 ? 0 : (this.#total.get(this.#keyOf(owner)) ?? 0);
  }

  /**
   * What a peer says of its sessions. Whom a whole list does not name is not held any more: until its last part is here nobody is
   * forgotten, or there would be a moment in which they are told nothing.
   * @returns whether this was the end of a whole list
   */
  heard(peer: string, { users, first, last }: Extract<Message, { kind: 'presence' }>): boolean {
    const known: Known = this.#byPeer.get(peer) ?? { counts: new Map(), listed: undefined };
    this.#byPeer.set(peer, known);
    if (first) known.listed = new Set();
    for (const [key, count] of users) {
      known.listed?.add(key);
      this.#set(known, key, count);
    }
    if (!last || known.listed === undefined) return false;
    for (const key of [...known.counts.keys()]) if (!known.listed.has(key)) this.#set(known, key, 0);
    known.listed = undefined;
    return true;
  }

  /** A part of a peer's list may be lost: what it does not name is no longer taken for gone. */
  doubt(peer: string): void {
    const known = this.#byPeer.get(peer);
    if (known) known.listed = undefined;
  }

  /** A peer is gone. */
  forget(peer: string): void {
    const known = this.#byPeer.get(peer);
    if (known) for (const key of [...known.counts.keys()]) this.#set(known, key, 0);
    this.#byPeer.delete(peer);
  }

  #set({ counts }: Known, key: string, count: number): void {
    const total = (this.#total.get(key) ?? 0) + count - (counts.get(key) ?? 0);
    if (total > 0) this.#total.set(key, total);
    else this.#total.delete(key);
    if (count > 0) counts.set(key, count);
    else counts.delete(key);
  }
}
