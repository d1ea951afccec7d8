/** As many may have been taken from a line's front before it is written anew. */
const slack = 32;

/** What waits, first come, first served. Adding and taking cost the same however long it is. */
export class Line<T> {
  #items: T[] = [];
  /** How many at the front have been taken. */
  #taken = 0;

  get size(): number {
    return this.#items.length - this.#taken;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#taken];
    this.#taken += 1;
    if (this.#taken > slack && this.#taken > this.size) this.#forgetTaken();
    return item;
  }

  /** Takes out all that a test holds for, but the first so many that it holds for. */
  takeOut(test: (item: T) => boolean, butFirst = 0): T[] {
    this.#forgetTaken();
    const out = this.#items.filter(test).slice(butFirst);
    const isOut = new Set(out);
    if (out.length > 0) this.#items = this.#items.filter((item) => !isOut.has(item));
    return out;
  }

  #forgetTaken(): void {
    this.#items = this.#items.slice(this.#taken);
    this.#taken = 0;
  }
}
