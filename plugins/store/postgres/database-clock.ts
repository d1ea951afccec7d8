/** SQL for the database's time, in UTC epoch milliseconds. */
export const databaseNow = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/** What the driver goes by. */
export interface StoreClock {
  /** UTC epoch milliseconds. */
  now(): number;
  /** Our own clock, for `correct`. */
  ask(): number;
  /**
   * Learns from an answer of the database, which was made between asking and now: half of that is the error.
   * @param askedAtMs by our own clock
   */
  correct(databaseNowMs: number, askedAtMs: number): void;
}

/**
 * The time that all replicas go by: the database's. Each asks it now and then, and counts on meanwhile, so that a replica whose
 * clock is wrong neither takes leases that are not over nor sends before the time.
 *
 * What counts on is the time since the process began, which nobody sets. (The machine's clock may be set at any moment. Set
 * back by an hour between two answers, leases given in that second were over before they began.)
 */
export class DatabaseClock implements StoreClock {
  readonly #elapsedMs: () => number;
  #offsetMs: number;

  /**
   * @param startMs UTC epoch milliseconds as far as known before the first answer
   * @param elapsedMs milliseconds since any moment; never goes back
   */
  constructor(startMs: number, elapsedMs: () => number = () => performance.now()) {
    this.#elapsedMs = elapsedMs;
    this.#offsetMs = startMs - elapsedMs();
  }

  now(): number {
    return Math.round(this.#elapsedMs() + this.#offsetMs);
  }

  correct(databaseNowMs: number, askedAtMs: number): void {
    this.#offsetMs = databaseNowMs - (askedAtMs + this.#elapsedMs()) / 2;
  }

  ask(): number {
    return this.#elapsedMs();
  }
}
