import type { Clock } from '../ambient.ts';

/** How much may be saved up while nothing is sent, in seconds: enough to make up for late timers. */
const burstSeconds = 0.1;

/**
 * Lets through so many a second, evenly and in the order in which they ask (a token bucket, RFC 2697 without colours). It
 * delays, and never refuses.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #most: number;
  #tokens: number;
  #countedAtMs: number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#most = Math.max(1, perSecond * burstSeconds);
    this.#tokens = this.#most;
    this.#countedAtMs = clock.now();
  }

  /**
   * Waits for a turn.
   * @param isWanted whoever wants it no more takes no turn from those behind
   * @returns whether it is still wanted
   */
  turn(isWanted: () => boolean): Promise<boolean> {
    const turn = this.#last.then(async () => {
      while (isWanted()) {
        const waitMs = this.#take();
        if (waitMs === 0) return true;
        await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
      }
      return false;
    });
    this.#last = turn;
    return turn;
  }

  /** @returns 0 where a token was taken, else in how many milliseconds there will be one */
  #take(): number {
    const nowMs = this.#clock.now();
    const gained = (Math.max(0, nowMs - this.#countedAtMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#most, this.#tokens + gained);
    this.#countedAtMs = nowMs;
    // sums of fractions miss a whole by a little
    if (this.#tokens > 1 - 1e-6) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.max(1, Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000));
  }
}
