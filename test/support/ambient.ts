import type { Ambient, Clock, Ids } from '../../src/core/ambient.ts';

/** Time that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /**
   * Lets time pass, running the timers that fall due on the way, in order and each at its own time, those set
   * meanwhile included. Between two timers, and before it resolves, it lets pending promises and I/O callbacks run.
   * @throws what a timer's task throws
   */
  advance(ms: number): Promise<void>;
  /** The same, up to a point in time. A time in the past sets the clock back and runs nothing; timers keep their delays. */
  set(atMs: number): Promise<void>;
  /** Timers that have not run and were not cancelled. */
  readonly pending: number;
}

/** Everything a test may need to be the same on every run. */
export interface FakeAmbient extends Ambient {
  readonly clock: FakeClock;
}

/** A start that is a plain date in a failed test's output: 2026-01-01T00:00:00Z. */
const defaultStartMs = Date.UTC(2026, 0, 1);

export interface FakeAmbientOptions {
  /** UTC epoch milliseconds; default 2026-01-01. */
  readonly startMs?: number;
  /** 32 bits; default 1. The same seed gives the same ids and the same random numbers. */
  readonly seed?: number;
}

/** Time, ids and randomness that only the test decides. */
export function fakeAmbient(options: FakeAmbientOptions = {}): FakeAmbient {
  const seed = options.seed ?? 1;
  const clock = fakeClock(options.startMs ?? defaultStartMs);
  // ids take from a sequence of their own, so that asking for one changes no random number
  return { clock, ids: fakeIds(clock, mulberry32(~seed)), random: mulberry32(seed) };
}

interface Timer {
  dueMs: number;
  readonly task: () => void;
}

/** See FakeClock. */
export function fakeClock(startMs = defaultStartMs): FakeClock {
  let nowMs = startMs;
  /** How far the clock was set back, all in all. */
  let setBackMs = 0;
  /** In the order they were set, which breaks ties. */
  const timers = new Set<Timer>();

  const nextDue = (untilMs: number): Timer | undefined => {
    let next: Timer | undefined;
    for (const timer of timers)
      if (timer.dueMs <= untilMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    return next;
  };

  const set = async (atMs: number): Promise<void> => {
    await settled();
    // a machine's timers go by elapsed time, which nobody sets
    if (atMs < nowMs) {
      for (const timer of timers) timer.dueMs -= nowMs - atMs;
      setBackMs += nowMs - atMs;
    }
    for (let timer = nextDue(atMs); timer !== undefined; timer = nextDue(atMs)) {
      timers.delete(timer);
      nowMs = Math.max(nowMs, timer.dueMs);
      timer.task();
      await settled();
    }
    nowMs = atMs;
    await settled();
  };

  return {
    // a timer's delay may have a fraction, but no clock here tells one
    now: () => Math.floor(nowMs),
    elapsed: () => nowMs - startMs + setBackMs,
    after(delayMs, task) {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), task };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    set,
    advance: (ms) => set(nowMs + ms),
    get pending() {
      return timers.size;
    },
  };
}

/** Resolves when the promise callbacks that can run now have run, and those that they led to. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** UUIDs that are valid, unique and the same on every run. */
function fakeIds(clock: Clock, random: () => number): Ids {
  let count = 0;
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  /** The last 48 bits count, so that two never meet, and ids of one millisecond sort as they were given. */
  const tail = () => hex(++count, 12);
  return {
    next() {
      const time = hex(clock.now(), 12);
      return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${tail()}`;
    },
    random: () =>
      `${hex(Math.floor(random() * 2 ** 32), 8)}-${hex(Math.floor(random() * 2 ** 16), 4)}-4000-8000-${tail()}`,
  };
}

/** A small seeded generator, uniform in [0, 1) (T. Ettinger's mulberry32; 32 bits of state). */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
