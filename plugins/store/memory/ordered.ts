/**
 * Two collections of items that enter and leave often, and are looked at in order. Leaving is lazy: `belongs` says
 * who is in, the one who left stays behind as a hole, and once holes are the majority the array is written anew.
 * So entering and leaving cost O(1) amortized where splice() would move half the inbox each time.
 */

/** Holes that are worth no rewriting. */
export const toleratedHoles = 32;

/** Items in the order of `compare`, which must never call two of them equal, nor change its mind. */
export class LazyList<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #belongs: (item: T) => boolean;
  #items: T[] = [];
  #holes = 0;

  constructor(compare: (a: T, b: T) => number, belongs: (item: T) => boolean) {
    this.#compare = compare;
    this.#belongs = belongs;
  }

  /** Places in use, holes included: never more than twice the items there are, or `toleratedHoles` more. */
  get places(): number {
    return this.#items.length;
  }

  /** Call it when `belongs` has become true. */
  enter(item: T): void {
    const last = this.#items.at(-1);
    if (last === undefined || this.#compare(last, item) < 0) {
      this.#items.push(item);
      return;
    }
    const at = this.#firstWhere((other) => this.#compare(other, item) >= 0);
    if (this.#items[at] === item) this.#holes--;
    else this.#items.splice(at, 0, item);
  }

  /** `enter` for one that is known to come after all others: it looks at none of them. */
  append(item: T): void {
    this.#items.push(item);
  }

  /** Call it when `belongs` has become false. */
  leave(): void {
    this.#holes++;
    if (this.#holes <= toleratedHoles || this.#holes * 2 <= this.#items.length) return;
    this.#items = this.#items.filter(this.#belongs);
    this.#holes = 0;
  }

  /**
   * The items from the first one on for which `reached` holds.
   * @param reached false up to some place in the order, true from there on
   */
  *from(reached: (item: T) => boolean): Generator<T, void, undefined> {
    for (let i = this.#firstWhere(reached); i < this.#items.length; i++) {
      const item = this.#items[i];
      if (item !== undefined && this.#belongs(item)) yield item;
    }
  }

  /** The items before that place, the last one first. */
  *backFrom(reached: (item: T) => boolean): Generator<T, void, undefined> {
    for (let i = this.#firstWhere(reached) - 1; i >= 0; i--) {
      const item = this.#items[i];
      if (item !== undefined && this.#belongs(item)) yield item;
    }
  }

  #firstWhere(reached: (item: T) => boolean): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const item = this.#items[middle];
      if (item !== undefined && reached(item)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Items of which only the first in the order of `before` is looked at: a binary heap. */
export class LazyHeap<T> {
  readonly #before: (a: T, b: T) => boolean;
  readonly #belongs: (item: T) => boolean;
  #items: T[] = [];
  /** Those in the array, holes included: one that comes back must not be in it twice. */
  #present = new Set<T>();
  #holes = 0;

  constructor(before: (a: T, b: T) => boolean, belongs: (item: T) => boolean) {
    this.#before = before;
    this.#belongs = belongs;
  }

  /** As of LazyList. */
  get places(): number {
    return this.#items.length;
  }

  /** Call it when `belongs` has become true. */
  enter(item: T): void {
    if (this.#present.has(item)) {
      this.#holes--;
      return;
    }
    this.#present.add(item);
    this.#items.push(item);
    this.#rise(this.#items.length - 1);
  }

  /** Call it when `belongs` has become false. */
  leave(): void {
    this.#holes++;
    if (this.#holes <= toleratedHoles || this.#holes * 2 <= this.#items.length) return;
    // a sorted array is a heap
    this.#items = this.#items.filter(this.#belongs).sort((a, b) => (this.#before(a, b) ? -1 : 1));
    this.#present = new Set(this.#items);
    this.#holes = 0;
  }

  /** The first item; it stays until it leaves. */
  first(): T | undefined {
    for (;;) {
      const item = this.#items[0];
      if (item === undefined || this.#belongs(item)) return item;
      this.#present.delete(item);
      this.#holes--;
      const last = this.#items.pop();
      if (last === undefined || this.#items.length === 0) continue;
      this.#items[0] = last;
      this.#sink();
    }
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.#swapIfBefore(at, parent)) return;
      at = parent;
    }
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = this.#items[child];
      const right = this.#items[child + 1];
      if (left !== undefined && right !== undefined && this.#before(right, left)) child++;
      if (!this.#swapIfBefore(child, at)) return;
      at = child;
    }
  }

  /** Swaps two places where the lower one's item belongs above the upper one's. */
  #swapIfBefore(lower: number, upper: number): boolean {
    const child = this.#items[lower];
    const parent = this.#items[upper];
    if (child === undefined || parent === undefined || !this.#before(child, parent)) return false;
    this.#items[upper] = child;
    this.#items[lower] = parent;
    return true;
  }
}
