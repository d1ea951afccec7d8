import { randomUUID } from 'node:crypto';
import type { Ambient } from './core/ambient.ts';
import { timeOrderedIds } from './time-ordered-ids.ts';

/** The longest delay that setTimeout takes; a longer one would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

/** Time, ids and randomness of the machine. */
export const system: Ambient = {
  clock: {
    now: Date.now,
    after(delayMs, task) {
      const timer = setTimeout(task, Math.min(delayMs, longestDelayMs));
      timer.unref();
      return () => clearTimeout(timer);
    },
  },
  ids: { next: timeOrderedIds(), random: () => randomUUID() },
  random: Math.random,
};
