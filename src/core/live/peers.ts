import type { UserKey } from '../glossary.ts';
import type { Hint, InboxNews } from './events.ts';

/** What a hub tells the other replicas, and knows of them. Best effort: the store is the truth. */
export interface Peers {
  /** How many live sessions other replicas hold for a user, as far as is known here. */
  sessions(owner: UserKey): number;
  /** A session of a user has opened or closed here. */
  opened(owner: UserKey): void;
  closed(owner: UserKey): void;
  /** Something new of a user is stored, up to a position. */
  itemStored(owner: UserKey, position: number): void;
  inboxChanged(owner: UserKey, change: InboxNews): void;
  /** Everything about a user was erased, see LiveHub.userErased. */
  userErased(owner: UserKey, position: number): void;
  /** @returns to how many sessions it was handed on, as far as is known here */
  hint(owners: readonly UserKey[], hint: Hint): number;
  /** A session that is not held here has acknowledged a hint. */
  acknowledged(owner: UserKey, sessionId: string, idempotencyKey: string): void;
  /** Streams of this replica have taken items, by the notifications' ids. */
  taken(ids: readonly string[]): void;
}

/** For a process that shares its store with nobody. */
export const noPeers: Peers = {
  sessions: () => 0,
  opened() {},
  closed() {},
  itemStored() {},
  inboxChanged() {},
  userErased() {},
  hint: () => 0,
  acknowledged() {},
  taken() {},
};
