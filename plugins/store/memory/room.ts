import { storeFull } from './full.ts';
import { LazyHeap } from './ordered.ts';
import type { Row } from './row.ts';
import { isEvictable, isOlder } from './row-order.ts';

/** The store's memory, in estimated bytes: who takes it, and which rows may be dropped for others, oldest first. */
export class Room {
  readonly limitBytes: number;
  readonly #drop: (row: Row) => void;
  readonly #evictable = new LazyHeap<Row>(isOlder, isEvictable);
  #usedBytes = 0;
  #evictableBytes = 0;

  /** @param drop takes a row out of its inbox, which then calls `leave` and `release` for it */
  constructor(limitBytes: number, drop: (row: Row) => void) {
    this.limitBytes = limitBytes;
    this.#drop = drop;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Whether so much more would fit once everything that may be dropped is. */
  fits(bytes: number): boolean {
    return this.#usedBytes - this.#evictableBytes + bytes <= this.limitBytes;
  }

  /** Takes memory, dropping what it must. Ask `fits` first. */
  take(bytes: number): void {
    while (this.#usedBytes + bytes > this.limitBytes) {
      const oldest = this.#evictable.first();
      if (oldest === undefined) break;
      this.#drop(oldest);
    }
    this.#usedBytes += bytes;
  }

  /**
   * Takes memory for what is no row, or gives some back where `bytes` is negative.
   * @throws NotifyError resource_exhausted
   */
  claim(bytes: number): void {
    if (bytes > 0 && !this.fits(bytes)) throw storeFull(this.limitBytes);
    this.take(bytes);
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  /** A stored row has become larger. This drops nothing: the next `take` does. */
  grow(row: Row, bytes: number): void {
    row.bytes += bytes;
    this.#usedBytes += bytes;
    if (isEvictable(row)) this.#evictableBytes += bytes;
  }

  /** A row has become one that may be dropped. */
  enter(row: Row): void {
    this.#evictableBytes += row.bytes;
    this.#evictable.enter(row);
  }

  /** A row must be kept from now on, or has gone. */
  leave(row: Row): void {
    this.#evictableBytes -= row.bytes;
    this.#evictable.leave();
  }
}
