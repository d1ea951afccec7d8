import { isUuid } from '../../../../src/core/ambient.ts';

/** How often progress is said. */
const everyMs = 2_000;
/** Of a row's id that is no UUID, so many characters are shown. */
const shownCharacters = 64;

const number = (value: number): string => value.toLocaleString('en');

/** Counts what became of the rows of one table and says it while it goes on. It never says what is in a row. */
export class Report {
  readonly #say: (line: string) => void;
  readonly #table: string;
  readonly #expected: number;
  readonly #startedMs = performance.now();
  #saidMs = this.#startedMs;
  /** Rows that were copied, into `made` rows of ours. */
  #copied = 0;
  #made = 0;
  #skipped = 0;
  #refused = 0;

  /** @param expected how many rows the table has, about */
  constructor(say: (line: string) => void, table: string, expected: number) {
    this.#say = say;
    this.#table = table;
    this.#expected = expected;
    say(`${table}: ${number(expected)} rows to look at`);
  }

  get refused(): number {
    return this.#refused;
  }

  /** How many rows of ours there are now that were not. */
  get made(): number {
    return this.#made;
  }

  /** @param rows that became one of ours */
  copied(rows: number): void {
    this.#copied += rows;
    this.#made += 1;
  }

  /** @param rows that are here already */
  skipped(rows: number): void {
    this.#skipped += rows;
  }

  /** A row that cannot be copied. `why` quotes none of its texts. */
  refuse(rowId: string, why: string): void {
    this.#refused += 1;
    const shown = isUuid(rowId) ? rowId : JSON.stringify(rowId.slice(0, shownCharacters));
    this.#say(`${this.#table}: not copied: row ${shown}: ${why}`);
  }

  /** Says how far it is, now and then. */
  progress(): void {
    if (performance.now() - this.#saidMs < everyMs) return;
    this.#saidMs = performance.now();
    const done = this.#copied + this.#skipped + this.#refused;
    this.#say(`${this.#table}: ${number(done)} of ${number(this.#expected)} rows: ${this.#counts()}`);
  }

  /** @param noun what the rows have become */
  done(noun: string): void {
    const seconds = (performance.now() - this.#startedMs) / 1_000;
    const rows = this.#copied + this.#skipped + this.#refused;
    const rate = number(Math.round(rows / Math.max(seconds, 0.001)));
    this.#say(
      `${this.#table}: done in ${seconds.toFixed(1)} s (${rate} rows/s): ${this.#counts()}; ${number(this.#made)} new ${noun}`,
    );
  }

  #counts(): string {
    return `${number(this.#copied)} copied, ${number(this.#skipped)} skipped, ${number(this.#refused)} not copied`;
  }
}
