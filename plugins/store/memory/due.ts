import { LazyHeap } from './ordered.ts';

interface Entry<T> {
  readonly item: T;
  readonly dueAtMs: bigint;
  readonly order: number;
  /** Whether it is still the item's due time. */
  current: boolean;
}

/** What is due when. An item has one due time, or none. */
export class DueTimes<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #heap = new LazyHeap<Entry<T>>(
    (a, b) => a.dueAtMs < b.dueAtMs || (a.dueAtMs === b.dueAtMs && a.order < b.order),
    (entry) => entry.current,
  );
  #order = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** @param dueAtMs 0n: never */
  set(id: string, item: T, dueAtMs: bigint): void {
    const before = this.#entries.get(id);
    if (before !== undefined) {
      before.current = false;
      this.#entries.delete(id);
      this.#heap.leave();
    }
    if (dueAtMs === 0n) return;
    const entry = { item, dueAtMs, order: ++this.#order, current: true };
    this.#entries.set(id, entry);
    this.#heap.enter(entry);
  }

  /** What is due first. */
  first(): { readonly item: T; readonly dueAtMs: bigint } | undefined {
    return this.#heap.first();
  }
}
