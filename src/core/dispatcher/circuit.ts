import type { Clock } from '../ambient.ts';
import type { Span } from './spans.ts';

/** When a provider counts as down. Times are in milliseconds. */
export interface CircuitSettings {
  /** So many deliveries in a row, different ones, that it was away for: one message that it chokes on proves nothing. */
  readonly failures: number;
  /** The pause before it is probed, which doubles with each probe that fails. */
  readonly pauseMs: number;
  readonly longestPauseMs: number;
}

/** What an attempt says of the provider: it answered, whatever; it was away; it lets nobody in; nothing. */
export type Sign = 'answered' | 'away' | 'locked' | 'none';

/** Leave to make one attempt. */
export interface Leave {
  readonly isProbe: boolean;
}

/** Times that it was open, remembered to give deliveries their time back. */
const rememberedTimes = 100;

/**
 * Stops hammering a provider that is down (M. Nygard, "Release It!", Circuit Breaker).
 *
 *     closed ── several deliveries in a row found it away, or it rejected our credentials ──▶ open
 *       ▲                                                                                     │ the pause is over
 *       └──── it answered ◀──── one attempt, the probe ◀──────────────────────────────────────┘
 *                                      └── away again: open, for twice as long
 */
export class Circuit {
  readonly #clock: Clock;
  readonly #settings: CircuitSettings;
  /** Deliveries that found it away since it last answered. */
  readonly #failed = new Set<string>();
  #openedAtMs: number | undefined;
  #pauseMs: number;
  #probeAtMs = 0;
  #isProbing = false;
  readonly #times: Span[] = [];

  constructor(settings: CircuitSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#pauseMs = settings.pauseMs;
  }

  get isOpen(): boolean {
    return this.#openedAtMs !== undefined;
  }

  /** When it is probed next; of use while it is open. */
  get probeAtMs(): number {
    return this.#probeAtMs;
  }

  /** How many attempts may begin now. */
  get places(): number {
    if (!this.isOpen) return Number.POSITIVE_INFINITY;
    return this.#isProbing || this.#clock.now() < this.#probeAtMs ? 0 : 1;
  }

  /** @returns undefined: no attempt may be made. Whoever gets leave says how it went */
  begin(): Leave | undefined {
    if (this.places === 0) return undefined;
    this.#isProbing = this.isOpen;
    return { isProbe: this.isOpen };
  }

  /** @returns what it came to, where that is news */
  end(leave: Leave, deliveryId: string, sign: Sign): 'opened' | 'closed' | undefined {
    if (leave.isProbe) this.#isProbing = false;
    if (sign === 'none') return undefined;
    if (sign === 'answered') return this.#close();
    if (this.isOpen) {
      // those that were under way when it opened tell nothing new
      if (leave.isProbe) this.#pause(Math.min(this.#settings.longestPauseMs, this.#pauseMs * 2));
      return undefined;
    }
    this.#failed.add(deliveryId);
    if (sign === 'away' && this.#failed.size < this.#settings.failures) return undefined;
    this.#openedAtMs = this.#clock.now();
    this.#pause(this.#settings.pauseMs);
    return 'opened';
  }

  /** When it was open since a time, as far as this process knows: then a delivery could not be tried. */
  openSince(sinceMs: number): readonly Span[] {
    const nowMs = this.#clock.now();
    const times = this.isOpen
      ? [...this.#times, { fromMs: this.#openedAtMs ?? nowMs, toMs: nowMs }]
      : this.#times;
    return times
      .filter(({ toMs }) => toMs > sinceMs)
      .map(({ fromMs, toMs }) => ({ fromMs: Math.max(fromMs, sinceMs), toMs }));
  }

  #pause(pauseMs: number): void {
    this.#pauseMs = pauseMs;
    this.#probeAtMs = this.#clock.now() + pauseMs;
  }

  #close(): 'closed' | undefined {
    this.#failed.clear();
    if (this.#openedAtMs === undefined) return undefined;
    this.#times.push({ fromMs: this.#openedAtMs, toMs: this.#clock.now() });
    if (this.#times.length > rememberedTimes) this.#times.shift();
    this.#openedAtMs = undefined;
    return 'closed';
  }
}
