import { randomUUID } from 'node:crypto';
import type { Ambient } from './core/ambient.ts';
import { timeOrderedIds } from './time-ordered-ids.ts';

/** The longest delay that setTimeout takes; a longer one would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

/** Time, ids and randomness of the machine. */
export const system: Ambient = {
  clock: {
    now: Date.now,
    elapsed: () => performance.now(),
    after(delayMs, task) {
      const timer = setTimeout(task, Math.min(delayMs, longestDelayMs));
      timer.unref();
      return () => clearTimeout(timer);
    },
  },
  ids: { next: timeOrderedIds(), random: () => inOnePiece(randomUUID()) },
  random: Math.random,
};

/** Node joins a UUID's text out of parts, which V8 keeps as a tree of 600 bytes for as long as the text: for each stream, its session's. */
const inOnePiece = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');
