import { notFound } from '../../../src/core/errors.ts';
import type { Delivery, EpochMs, InboxSummary, Notification, UserKey } from '../../../src/core/glossary.ts';
import type { NewNotification } from '../../../src/core/store.ts';
import { isVisible, itemDueAtMs, newDelivery } from '../deliveries.ts';
import { LazyHeap, LazyList } from './ordered.ts';
import type { Room } from './room.ts';
import { Row, standing, standingOf } from './row.ts';
import {
  byPosition,
  byTaken,
  expiresBefore,
  isEvictable,
  isExpiring,
  isListed,
  isOlder,
  isTaken,
  isUntaken,
} from './row-order.ts';
import { snapshot } from './snapshot.ts';

/**
 * One user's notifications, their order and their counts. What is done with them has files of its own.
 *
 * What many users never need is made when it is needed first: a row costs most where it touches memory that no cache holds.
 *
 * Every change of a row goes through `settle`, which compares what the row counted as with what it counts as now.
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

  get unreadCount(): number {
    return this.#unreadCount;
  }

  get newestPosition(): number {
    return this.#newestPosition;
  }

  /** Everything up to here has been seen. */
  get seenPosition(): number {
    return this.#seenPosition;
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

  /** A row by its id, whatever has become of it. */
  row(id: string): Row | undefined {
    return this.#rowsById().get(id);
  }

  /** A row by an id that somebody else wrote: ids are UUIDs, which are read in any letter case (RFC 9562 §4). */
  find(id: string): Row | undefined {
    const rows = this.#rowsById();
    return rows.get(id) ?? rows.get(id.toLowerCase());
  }

  /**
   * A row that its user may name.
   * @throws NotifyError not_found
   */
  named(id: string): Row {
    const row = this.find(id);
    if (row === undefined || !row.named) throw notFound();
    return row;
  }

  /** Every row, in no order. */
  rows(): Iterable<Row> {
    return this.#byKey.values();
  }

  /** What the user sees of a row, or a producer of a repeat. */
  show(row: Row): Notification {
    return snapshot(row, this.#seenPosition);
  }

  /** The inbox after a position, oldest first. */
  listedAfter(position: number): Iterable<Row> {
    return this.#items.from((item) => item.position > position);
  }

  /** The inbox before a position, newest first. */
  listedBefore(position: number): Iterable<Row> {
    return this.#items.backFrom((item) => item.position >= position);
  }

  /** What no stream has taken, after a position, oldest first. */
  untakenAfter(position: number): Iterable<Row> {
    return this.#untaken.from((item) => item.position > position);
  }

  /** What streams have taken since a time, in the order in which they did. */
  takenSince(atMs: EpochMs): Iterable<Row> {
    return this.#taken?.from((item) => (item.inApp?.deliveredAtMs ?? 0n) >= atMs) ?? [];
  }

  /** What expires first of what no stream has taken. */
  get firstExpiring(): Row | undefined {
    return this.#expiring?.first();
  }

  /** The oldest row that may be dropped. */
  get oldestEvictable(): Row | undefined {
    return this.#evictable?.first();
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

  /** Notes that a row takes more memory now. */
  grow(row: Row, bytes: number): void {
    this.#room.grow(row, bytes);
  }

  /** Counts one change of the inbox up. */
  countChange(): void {
    this.#version++;
  }

  /** Brings counters and lists up to what a row counts as now. Call it after each change of one. */
  settle(row: Row): void {
    this.#settle(row, false);
  }

  /**
   * Replaces the deliveries of a row.
   * @param counts whether an item that leaves the inbox by that is a change of its own
   */
  setDeliveries(row: Row, deliveries: readonly Delivery[], counts = true): void {
    const wasListed = row.listed;
    row.deliveries = deliveries;
    this.settle(row);
    if (counts && wasListed !== row.listed) this.#version++; // a suppressed item leaves the inbox
  }

  /** Gives an item that is not visible the newest position. Count the change. */
  appear(row: Row): void {
    const moved = this.#replaceRow(row, ++this.#newestPosition);
    moved.dueAtMs = moved.content.expiresAtMs;
    this.settle(moved);
  }

  /** Takes the position from an item that is visible, until it comes back. Count the change. */
  hide(row: Row, untilMs: EpochMs): void {
    row.gone = true;
    this.settle(row);
    const moved = this.#replaceRow(row, 0);
    moved.dueAtMs = untilMs;
    moved.snoozedUntilMs = untilMs;
    this.settle(moved);
  }

  /** Moves the seen position up to another one, or the newest. @returns whether it has moved */
  see(position: number): boolean {
    const target = Math.min(position, this.#newestPosition);
    if (target <= this.#seenPosition) return false;
    for (const row of this.listedAfter(this.#seenPosition)) {
      if (row.position > target) break;
      if ((row.standing & standing.unread) !== 0) this.#unseenCount--;
    }
    this.#seenPosition = target;
    return true;
  }

  /** Drops a row, its idempotency key with it. */
  evict(row: Row): void {
    row.gone = true;
    this.#byKey.delete(row.content.notificationId);
    this.#byId?.delete(row.id);
    this.settle(row);
    this.#room.release(row.bytes);
    this.#oldestResumable = Math.max(this.#oldestResumable, row.position);
  }

  /** Puts a row that has left every list at another place. */
  #replaceRow(row: Row, position: number): Row {
    const moved = row.movedTo(position);
    this.#byKey.set(moved.content.notificationId, moved);
    this.#byId?.set(moved.id, moved);
    return moved;
  }

  #rowsById(): Map<string, Row> {
    if (this.#byId === undefined) {
      this.#byId = new Map();
      for (const row of this.#byKey.values()) this.#byId.set(row.id, row);
    }
    return this.#byId;
  }

  /** @param isNew it has the newest position of all */
  #settle(row: Row, isNew: boolean): void {
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
