import type { Clock } from '../../../src/core/ambient.ts';

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
 * The time that all replicas go by: the database's. Each asks it now and then, and counts on with its own clock meanwhile, so
 * that a replica whose clock is wrong neither takes leases that are not over nor sends before the time.
 */
export class DatabaseClock implements StoreClock {
  readonly #clock: Pick<Clock, 'now'>;
  #offsetMs = 0;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now() + Math.round(this.#offsetMs);
  }

  correct(databaseNowMs: number, askedAtMs: number): void {
    const answeredAtMs = this.#clock.now();
    // our clock was set meanwhile: the next answer will tell
    if (answeredAtMs < askedAtMs) return;
    this.#offsetMs = databaseNowMs - (askedAtMs + answeredAtMs) / 2;
  }

  ask(): number {
    return this.#clock.now();
  }
}
