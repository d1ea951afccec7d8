import type { Content, Delivery, EpochMs, UserKey } from '../../../src/core/glossary.ts';
import { inAppOf } from '../../../src/core/status.ts';
import type { NewNotification } from '../../../src/core/store.ts';
import { isSendable } from '../deliveries.ts';

/**
 * What a row counts as, as bits. A row's bits follow from its state by `standingOf` alone; the inbox compares them
 * before and after each change to keep counters and lists exact, whatever the change was.
 */
export const standing = {
  /** In the inbox: visible, not deleted. */
  listed: 1,
  /** Counts as unread. */
  unread: 2,
  /** Unread, and no stream has taken it: to be replayed, unless it was seen. */
  untaken: 4,
  /** Untaken, and leaves the inbox when it expires. */
  expiring: 8,
  /** A stream has taken it, and it is still to be shown. */
  taken: 16,
  /** May be dropped to make room. */
  evictable: 32,
} as const;

/** A stored notification. Its delivery records are replaced, never changed: snapshots share them. */
export class Row {
  readonly owner: UserKey;
  readonly id: string;
  /** Shared with the other rows of the call. */
  readonly content: Content;
  readonly createdAtMs: EpochMs;
  /** The order in which rows came, over all users. */
  readonly sequence: number;
  /** 0: it is not visible. Otherwise it stays, also when the item has left the inbox. */
  readonly position: number;
  /** When it appears, comes back or expires; 0n: nothing is to come. */
  dueAtMs: EpochMs = 0n;
  snoozedUntilMs: EpochMs = 0n;
  /** Estimated. */
  bytes: number;
  readAtMs: EpochMs = 0n;
  archivedAtMs: EpochMs = 0n;
  deletedAtMs: EpochMs = 0n;
  /** Dropped, or replaced by one at another position. */
  gone = false;
  /** Bits of `standing`; the inbox sets them. */
  standing = 0;
  #deliveries: readonly Delivery[];
  #inApp: Delivery | undefined;

  constructor(
    owner: UserKey,
    row: Pick<NewNotification, 'id' | 'content' | 'createdAtMs'>,
    deliveries: readonly Delivery[],
    sequence: number,
    position: number,
    bytes: number,
  ) {
    this.owner = owner;
    this.id = row.id;
    this.content = row.content;
    this.createdAtMs = row.createdAtMs;
    this.sequence = sequence;
    this.position = position;
    this.bytes = bytes;
    this.#deliveries = deliveries;
    this.#inApp = inAppOf(deliveries);
  }

  /** The same row at another position. This one must have left every list: they go by the position. */
  movedTo(position: number): Row {
    const moved = new Row(this.owner, this, this.#deliveries, this.sequence, position, this.bytes);
    moved.readAtMs = this.readAtMs;
    moved.archivedAtMs = this.archivedAtMs;
    moved.deletedAtMs = this.deletedAtMs;
    moved.dueAtMs = this.dueAtMs;
    return moved;
  }

  get deliveries(): readonly Delivery[] {
    return this.#deliveries;
  }

  set deliveries(deliveries: readonly Delivery[]) {
    this.#deliveries = deliveries;
    this.#inApp = inAppOf(deliveries);
  }

  get inApp(): Delivery | undefined {
    return this.#inApp;
  }

  get listed(): boolean {
    return (this.standing & standing.listed) !== 0;
  }

  /** It is to appear, or to come back. */
  get isWaiting(): boolean {
    return this.position === 0 && this.dueAtMs !== 0n && this.deletedAtMs === 0n;
  }

  /** It has not appeared yet. */
  get isScheduled(): boolean {
    return this.isWaiting && this.snoozedUntilMs === 0n;
  }

  /** As of StoredOutcome. */
  get appearsAtMs(): EpochMs {
    return this.isScheduled ? this.dueAtMs : 0n;
  }

  /** Whether its user may name it: listed, or snoozed. */
  get named(): boolean {
    return (
      this.listed || (this.snoozedUntilMs !== 0n && this.isWaiting && this.#inApp?.status !== 'suppressed')
    );
  }
}

/** The bits that a row's state amounts to. */
export function standingOf(row: Row): number {
  if (row.gone) return 0;
  const { inApp } = row;
  const isRead = row.readAtMs !== 0n;
  let bits = 0;
  if (row.position !== 0 && row.deletedAtMs === 0n && inApp?.status !== 'suppressed') {
    bits |= standing.listed;
    if (inApp !== undefined && row.archivedAtMs === 0n) {
      if (!isRead) {
        bits |= standing.unread;
        if (inApp.status === 'pending') {
          bits |= standing.untaken;
          if (row.content.expiresAtMs !== 0n) bits |= standing.expiring;
        }
      }
      if (inApp.deliveredAtMs !== 0n) bits |= standing.taken;
    }
  }
  // what still has to be sent or shown is kept, even when the user has read it: accepted is accepted
  if ((isRead || (bits & standing.listed) === 0) && !row.isWaiting && !row.deliveries.some(isSendable))
    bits |= standing.evictable;
  return bits;
}
