import { notFound } from '../../../src/core/errors.ts';
import type { Delivery, EpochMs, InboxSummary, Notification, UserKey } from '../../../src/core/glossary.ts';
import type { Outcome } from '../../../src/core/outbox.ts';
import {
  type InboxChange,
  type ListQuery,
  type NewNotification,
  namedIds,
  type SincePage,
  type SinceQuery,
} from '../../../src/core/store.ts';
import { adoptDestinations, afterOutcome, isVisible, itemDueAtMs, newDelivery } from '../deliveries.ts';
import { estimateDestinationBytes, textUnits } from './estimate.ts';
import { LazyHeap, LazyList } from './ordered.ts';
import type { Room } from './room.ts';
import { isEvictable, isOlder, Row, snapshot, standing, standingOf } from './row.ts';

const isListed = (row: Row) => (row.standing & standing.listed) !== 0;
const isUntaken = (row: Row) => (row.standing & standing.untaken) !== 0;
const isTaken = (row: Row) => (row.standing & standing.taken) !== 0;
const isExpiring = (row: Row) => (row.standing & standing.expiring) !== 0;
const byPosition = (a: Row, b: Row) => a.position - b.position;

/** By the time a stream took them; it never changes once it is set. */
function byTaken(a: Row, b: Row): number {
  const [takenA, takenB] = [a.inApp?.deliveredAtMs ?? 0n, b.inApp?.deliveredAtMs ?? 0n];
  return takenA < takenB ? -1 : takenA > takenB ? 1 : a.position - b.position;
}

function expiresBefore(a: Row, b: Row): boolean {
  const [expiryA, expiryB] = [a.content.expiresAtMs, b.content.expiresAtMs];
  return expiryA < expiryB || (expiryA === expiryB && a.position < b.position);
}

/**
 * One user's notifications, their order and their counts.
 *
 * What many users never need is made when it is needed first: a row costs most where it touches memory that no cache holds.
 *
 * Every change of a row goes through `#settle`, which compares what the row counted as with what it counts as now.
 * Counters and lists follow from that, so that no change can forget one.
 */
export class UserInbox {
  readonly owner: UserKey;
  /** The first item got the position after it. */
  readonly floor: number;
  readonly #room: Room;
  /** By notification_id: the idempotency keys. */
  readonly #byKey = new Map<string, Row>();
  /** Made with the first look for an id: who is only written to needs none. */
  #byId: Map<string, Row> | undefined;
  readonly #items = new LazyList<Row>(byPosition, isListed);
  readonly #untaken = new LazyList<Row>(byPosition, isUntaken);
  #taken: LazyList<Row> | undefined;
  #expiring: LazyHeap<Row> | undefined;
  #evictable: LazyHeap<Row> | undefined;
  #unreadCount = 0;
  #unseenCount = 0;
  #version: number;
  #newestPosition: number;
  #oldestResumable: number;
  #seenPosition: number;

  /**
   * @param floor the first item gets the position after it
   * @param version the first change makes it the one after it
   */
  constructor(owner: UserKey, floor: number, version: number, room: Room) {
    this.owner = owner;
    this.floor = floor;
    this.#version = version;
    this.#room = room;
    this.#newestPosition = floor;
    this.#oldestResumable = floor;
    this.#seenPosition = floor;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get version(): number {
    return this.#version;
  }

  get summary(): InboxSummary {
    return {
      unreadCount: this.#unreadCount,
      unseenCount: this.#unseenCount,
      version: this.#version,
      newestPosition: this.#newestPosition,
      oldestResumable: this.#oldestResumable,
    };
  }

  /** The stored notification of an idempotency key, visible or not. */
  stored(notificationId: string): Row | undefined {
    return this.#byKey.get(notificationId);
  }

  /**
   * Stores a row whose key is new. The caller has made room for `bytes`.
   * @param dueAtMs of newDelivery
   */
  add(row: NewNotification, sequence: number, bytes: number, dueAtMs: EpochMs): Row {
    const visible = isVisible(row);
    const deliveries = row.deliveries.map((delivery) => newDelivery(delivery, row, dueAtMs));
    const position = visible ? this.#newestPosition + 1 : 0;
    const added = new Row(this.owner, row, deliveries, sequence, position, bytes);
    added.dueAtMs = itemDueAtMs(row);
    if (visible) {
      this.#newestPosition++;
      this.#version++;
    }
    this.#byKey.set(added.content.notificationId, added);
    this.#byId?.set(added.id, added);
    this.#settle(added, true);
    return added;
  }

  /**
   * Gives deliveries that wait for a destination those that a repeat of the call brings.
   * @param dueAtMs of newDelivery, where the item is not for later
   * @returns the deliveries that took one
   */
  adopt(row: Row, repeat: NewNotification, nowMs: number, dueAtMs: EpochMs): readonly Delivery[] {
    const { expiresAtMs } = row.content;
    if (row.deletedAtMs !== 0n || (expiresAtMs !== 0n && expiresAtMs <= nowMs)) return [];
    const deliveries = adoptDestinations(
      row.deliveries,
      repeat.deliveries,
      row.isScheduled
        ? { dueAtMs: row.dueAtMs, firstDueAtMs: row.dueAtMs }
        : { dueAtMs, firstDueAtMs: BigInt(nowMs) },
    );
    const adopted = deliveries.filter((delivery, i) => delivery !== row.deliveries[i]);
    if (adopted.length === 0) return [];
    row.deliveries = deliveries;
    this.#settle(row);
    this.#room.grow(row, estimateDestinationBytes(adopted));
    return adopted;
  }

  /** What the user sees of a row, or a producer of a repeat. */
  show(row: Row): Notification {
    return snapshot(row, this.#seenPosition);
  }

  /** @throws NotifyError not_found */
  get(id: string): Notification {
    return this.show(this.#named(id));
  }

  list(query: ListQuery): { notifications: Notification[]; more: boolean } {
    const before = query.before ?? Number.POSITIVE_INFINITY;
    const notifications: Notification[] = [];
    let size = 0;
    for (const row of this.#items.backFrom((item) => item.position >= before)) {
      if (!matches(row, query)) continue;
      if (notifications.length === query.limit || size >= query.maxBytes)
        return { notifications, more: true };
      notifications.push(this.show(row));
      size += textUnits(row.content);
    }
    return { notifications, more: false };
  }

  since(query: SinceQuery): Omit<SincePage, 'isOfAnother'> {
    const { after, limit, maxBytes, untakenAtMs } = query;
    const notifications: Notification[] = [];
    let size = 0;
    for (const row of untakenAtMs === undefined
      ? this.#streamed(after)
      : this.#replayed(after, untakenAtMs)) {
      notifications.push(this.show(row));
      size += textUnits(row.content);
      if (notifications.length === limit || size >= maxBytes)
        return { notifications, through: row.position, more: true };
    }
    return { notifications, through: this.#newestPosition, more: false };
  }

  /**
   * @returns how many items changed, and which
   * @throws NotifyError not_found
   */
  change(change: InboxChange, nowMs: number): { changed: number; ids: readonly string[] | undefined } {
    const ids =
      change.kind === 'snooze' ? this.#snooze(change.id, change.untilMs, nowMs) : this.#change(change);
    const changed = typeof ids === 'number' ? ids : ids.length;
    if (changed > 0) this.#version++;
    return { changed, ids: typeof ids === 'number' ? [] : ids.length > namedIds ? undefined : ids };
  }

  /** @returns the delivery as it is after the outcome; undefined where that changed nothing */
  record(outcome: Outcome): Delivery | undefined {
    const before = this.delivery(outcome.id, outcome.deliveryId);
    if (before === undefined) return undefined;
    const after = afterOutcome(before, outcome);
    if (after === before) return undefined;
    this.replace(outcome.id, after);
    return after;
  }

  /** A delivery of a row, by their ids. */
  delivery(id: string, deliveryId: string): Delivery | undefined {
    return this.#rowsById()
      .get(id)
      ?.deliveries.find((delivery) => delivery.id === deliveryId);
  }

  /** Replaces a delivery of a row. */
  replace(id: string, delivery: Delivery): void {
    const row = this.#rowsById().get(id);
    if (row === undefined) return;
    this.#setDeliveries(
      row,
      row.deliveries.map((other) => (other.id === delivery.id ? delivery : other)),
    );
  }

  /** A row by its id, whatever has become of it. */
  row(id: string): Row | undefined {
    return this.#rowsById().get(id);
  }

  /** Every row, in no order. */
  rows(): Iterable<Row> {
    return this.#byKey.values();
  }

  /**
   * Does what is due with an item itself, see Outbox.advanceItems.
   * @returns whether it appeared or left the inbox
   */
  advance(id: string, nowMs: bigint): 'appeared' | 'left' | undefined {
    const row = this.#rowsById().get(id);
    if (row === undefined || row.dueAtMs === 0n || row.dueAtMs > nowMs) return undefined;
    const { expiresAtMs } = row.content;
    const isOver = expiresAtMs !== 0n && expiresAtMs <= nowMs;
    const status = row.inApp?.status;
    const isAgain = isOver && row.position !== 0 && row.dueAtMs > expiresAtMs;
    row.dueAtMs = 0n;
    if (isAgain) return undefined;
    if (row.deletedAtMs !== 0n || (status === 'suppressed' && row.position === 0)) {
      this.#settle(row);
      return undefined;
    }
    if (row.position !== 0) {
      if (!isOver) row.dueAtMs = expiresAtMs;
      // the lazy look was faster: the streams have not been told
      if (status === 'suppressed') return 'left';
      if (!isOver || !isExpiring(row)) return undefined;
      this.#setDeliveries(row, row.deliveries.map(expired));
      return 'left';
    }
    if (isOver && (status === 'pending' || (status === undefined && row.snoozedUntilMs === 0n))) {
      this.#setDeliveries(row, row.deliveries.map(expired), false);
      return undefined;
    }
    this.#appear(row);
    return 'appeared';
  }

  /** Has an item come up once more, of which deliveries were under way at its expiry. */
  lookAgain(id: string, dueAtMs: bigint): void {
    const row = this.#rowsById().get(id);
    if (row !== undefined) row.dueAtMs = dueAtMs;
  }

  /**
   * Stops what has not gone out of an item, see Outbox.cancelNotification.
   * @param stopped the same deliveries, with those that were stopped replaced
   * @returns whether the in-app delivery was among them, and whether the item left the inbox
   */
  cancel(
    row: Row,
    stopped: readonly Delivery[],
    retract: boolean,
    atMs: bigint,
  ): { inApp: boolean; left: boolean } {
    if (row.deletedAtMs !== 0n || row.inApp?.status === 'suppressed') {
      this.#setDeliveries(row, stopped, false);
      return { inApp: false, left: false };
    }
    const stops = row.position === 0 && row.snoozedUntilMs === 0n;
    const hides = retract && !stops;
    const inApp = row.inApp?.status === 'pending' && (stops || hides);
    if (stops || hides) row.dueAtMs = 0n;
    if (hides) row.deletedAtMs = atMs;
    this.#setDeliveries(row, inApp ? stopped.map(cancelled) : stopped, false);
    if (hides) this.#version++;
    return { inApp, left: hides };
  }

  /** Takes out what has expired before a stream took it. Call it before each look at the inbox. */
  expire(nowMs: number): void {
    if (this.#expiring === undefined) return;
    let row = this.#expiring.first();
    if (row === undefined || row.content.expiresAtMs > nowMs) return;
    while (row !== undefined && row.content.expiresAtMs <= nowMs) {
      row.deliveries = row.deliveries.map(expired);
      this.#settle(row);
      row = this.#expiring.first();
    }
    this.#version++;
  }

  /** The oldest row that may be dropped. */
  get oldestEvictable(): Row | undefined {
    return this.#evictable?.first();
  }

  /** Drops a row, its idempotency key with it. */
  evict(row: Row): void {
    row.gone = true;
    this.#byKey.delete(row.content.notificationId);
    this.#byId?.delete(row.id);
    this.#settle(row);
    this.#room.release(row.bytes);
    this.#oldestResumable = Math.max(this.#oldestResumable, row.position);
  }

  #named(id: string): Row {
    const row = this.#find(id);
    if (row === undefined || !row.named) throw notFound();
    return row;
  }

  /** @param counts whether an item that leaves the inbox by that is a change of its own */
  #setDeliveries(row: Row, deliveries: readonly Delivery[], counts = true): void {
    const wasListed = row.listed;
    row.deliveries = deliveries;
    this.#settle(row);
    if (counts && wasListed !== row.listed) this.#version++; // a suppressed item leaves the inbox
  }

  /** Puts a row that has left every list at another place. */
  #replaceRow(row: Row, position: number): Row {
    const moved = row.movedTo(position);
    this.#byKey.set(moved.content.notificationId, moved);
    this.#byId?.set(moved.id, moved);
    return moved;
  }

  /** Gives an item that is not visible the newest position. */
  #appear(row: Row): void {
    const moved = this.#replaceRow(row, ++this.#newestPosition);
    moved.dueAtMs = moved.content.expiresAtMs;
    this.#version++;
    this.#settle(moved);
  }

  /** Hides an item until a time, or brings it back. @returns the ids of what changed */
  #snooze(id: string, untilMs: bigint, nowMs: number): string[] {
    const row = this.#named(id);
    const isOver = untilMs <= nowMs;
    const isSnoozed = row.snoozedUntilMs !== 0n;
    if (isOver ? !isSnoozed : row.snoozedUntilMs === untilMs) return [];
    if (isOver) {
      this.#appear(row);
      this.#version--; // the change as a whole is one
      return [row.id];
    }
    row.snoozedUntilMs = untilMs;
    row.dueAtMs = untilMs;
    if (isSnoozed) return [row.id];
    row.gone = true;
    this.#settle(row);
    const moved = this.#replaceRow(row, 0);
    moved.snoozedUntilMs = untilMs;
    this.#settle(moved);
    return [row.id];
  }

  /** Ids are UUIDs, which are read in any letter case (RFC 9562 §4). */
  #find(id: string): Row | undefined {
    const rows = this.#rowsById();
    return rows.get(id) ?? rows.get(id.toLowerCase());
  }

  #rowsById(): Map<string, Row> {
    if (this.#byId === undefined) {
      this.#byId = new Map();
      for (const row of this.#byKey.values()) this.#byId.set(row.id, row);
    }
    return this.#byId;
  }

  /** @returns the ids of the items that changed; for the seen position, which is no item, 1 or 0 */
  #change(change: Exclude<InboxChange, { readonly kind: 'snooze' }>): string[] | number {
    switch (change.kind) {
      case 'seen_up_to':
        return this.#seeUpTo(change.position);
      case 'read_up_to':
        return this.#readUpTo(change.position, change.atMs);
      case 'delete': {
        const row = this.#find(change.id);
        if (row !== undefined && row.deletedAtMs !== 0n) return [];
        return this.#set(this.#named(change.id), 'deletedAtMs', change.atMs);
      }
      case 'read':
        return this.#set(this.#named(change.id), 'readAtMs', change.atMs);
      case 'unread':
        return this.#set(this.#named(change.id), 'readAtMs', 0n);
      case 'archive':
        return this.#set(this.#named(change.id), 'archivedAtMs', change.atMs);
      case 'unarchive':
        return this.#set(this.#named(change.id), 'archivedAtMs', 0n);
    }
  }

  /** Sets a time that is not set, or clears one that is. A time is stamped once. */
  #set(row: Row, field: 'readAtMs' | 'archivedAtMs' | 'deletedAtMs', atMs: bigint): string[] {
    if ((row[field] === 0n) === (atMs === 0n)) return [];
    row[field] = atMs;
    this.#settle(row);
    return [row.id];
  }

  #readUpTo(position: number, atMs: bigint): string[] {
    const ids: string[] = [];
    for (const row of this.#items.from(() => true)) {
      if (row.position > position || this.#unreadCount === 0) break;
      if ((row.standing & standing.unread) !== 0) ids.push(...this.#set(row, 'readAtMs', atMs));
    }
    return ids;
  }

  #seeUpTo(position: number): number {
    const target = Math.min(position, this.#newestPosition);
    if (target <= this.#seenPosition) return 0;
    for (const row of this.#items.from((item) => item.position > this.#seenPosition)) {
      if (row.position > target) break;
      if ((row.standing & standing.unread) !== 0) this.#unseenCount--;
    }
    this.#seenPosition = target;
    return 1;
  }

  /** What a stream sends after a position. */
  *#streamed(after: number): Generator<Row, void, undefined> {
    for (const row of this.#items.from((item) => item.position > after)) {
      if (row.inApp === undefined || row.archivedAtMs !== 0n) continue;
      const dealtWith = row.readAtMs !== 0n || row.position <= this.#seenPosition;
      if (!(row.inApp.status === 'pending' && dealtWith)) yield row;
    }
  }

  /**
   * What of it no stream had taken at a time, without a look at the items that long since are: those still untaken
   * merged with those taken since.
   */
  *#replayed(after: number, untakenAtMs: bigint): Generator<Row, void, undefined> {
    const since = [...(this.#taken?.from((item) => (item.inApp?.deliveredAtMs ?? 0n) >= untakenAtMs) ?? [])]
      .filter((row) => row.position > after)
      .sort(byPosition);
    const start = Math.max(after, this.#seenPosition);
    let next = 0;
    for (const row of this.#untaken.from((item) => item.position > start)) {
      for (
        let taken = since[next];
        taken !== undefined && taken.position < row.position;
        taken = since[++next]
      )
        yield taken;
      yield row;
    }
    yield* since.slice(next);
  }

  /** Brings counters and lists up to what a row counts as now. */
  #settle(row: Row, isNew = false): void {
    const before = row.standing;
    const after = standingOf(row);
    if (before === after) return;
    row.standing = after;
    const entered = after & ~before;
    const left = before & ~after;
    if (((entered | left) & standing.unread) !== 0) {
      const step = (entered & standing.unread) !== 0 ? 1 : -1;
      this.#unreadCount += step;
      if (row.position > this.#seenPosition) this.#unseenCount += step;
    }
    if ((entered & standing.listed) !== 0) enter(this.#items, row, isNew);
    if ((left & standing.listed) !== 0) this.#items.leave();
    if ((entered & standing.untaken) !== 0) enter(this.#untaken, row, isNew);
    if ((left & standing.untaken) !== 0) this.#untaken.leave();
    if ((entered & standing.taken) !== 0) {
      this.#taken ??= new LazyList(byTaken, isTaken);
      this.#taken.enter(row);
    }
    if ((left & standing.taken) !== 0) this.#taken?.leave();
    if ((entered & standing.expiring) !== 0) {
      this.#expiring ??= new LazyHeap(expiresBefore, isExpiring);
      this.#expiring.enter(row);
    }
    if ((left & standing.expiring) !== 0) this.#expiring?.leave();
    if ((entered & standing.evictable) !== 0) {
      this.#evictable ??= new LazyHeap(isOlder, isEvictable);
      this.#evictable.enter(row);
      this.#room.enter(row);
    }
    if ((left & standing.evictable) !== 0) {
      this.#evictable?.leave();
      this.#room.leave(row);
    }
  }
}

/** @param isNew it has the newest position of all */
function enter(list: LazyList<Row>, row: Row, isNew: boolean): void {
  if (isNew) list.append(row);
  else list.enter(row);
}

function matches(row: Row, query: ListQuery): boolean {
  if (!query.archived && row.archivedAtMs !== 0n) return false;
  if (query.unreadOnly && (row.inApp === undefined || row.readAtMs !== 0n)) return false;
  if (query.types.length > 0 && !query.types.includes(row.content.type)) return false;
  return (
    query.channels.length === 0 || row.deliveries.some(({ channel }) => query.channels.includes(channel))
  );
}

const suppressed = (delivery: Delivery, reason: string): Delivery =>
  delivery.channel === 'in_app' ? { ...delivery, status: 'suppressed', reason } : delivery;
const expired = (delivery: Delivery): Delivery => suppressed(delivery, 'expired');
const cancelled = (delivery: Delivery): Delivery => suppressed(delivery, 'cancelled');
