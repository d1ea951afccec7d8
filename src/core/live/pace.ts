import type { Notification } from '../glossary.ts';

/** So much is written to streams in one turn of the event loop, in UTF-16 units of the longest texts: some 10 ms of work. */
export const unitsPerTurn = 1024 * 1024;

/** What an item costs at least, however short it is. */
export const leastUnits = 16 * 1024;

interface Waiting {
  readonly units: number;
  readonly resolve: () => void;
}

/**
 * Spreads what is written to many streams over turns of the event loop, in which everything else has its share. All calls that
 * write at a time have one turn together, and take from it in the order in which they came.
 */
export class Pace {
  #left = unitsPerTurn;
  readonly #line: Waiting[] = [];
  #isCounting = false;

  /**
   * Asks for room for an item.
   * @returns undefined where there is some in this turn; else resolves in the turn that has it
   */
  room({ body, data }: Pick<Notification, 'body' | 'data'>): Promise<void> | undefined {
    const units = Math.max(leastUnits, body.length + (data?.length ?? 0));
    if (!this.#isCounting) this.#countTurn();
    if (this.#line.length > 0 || this.#left <= 0)
      return new Promise((resolve) => this.#line.push({ units, resolve }));
    this.#left -= units;
    return undefined;
  }

  /** What is taken until then is of one turn. */
  #countTurn(): void {
    this.#isCounting = true;
    setImmediate(() => {
      this.#isCounting = false;
      this.#left = unitsPerTurn;
      while (this.#left > 0) {
        const next = this.#line.shift();
        if (next === undefined) break;
        this.#left -= next.units;
        next.resolve();
      }
      if (this.#left < unitsPerTurn) this.#countTurn();
    });
  }
}
