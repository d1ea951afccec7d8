import { randomFillSync } from 'node:crypto';
import { v4, v7 } from 'uuid';
import type { Ambient } from './core/ambient.ts';

/** The longest delay that setTimeout takes; a longer one would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

/** Random bytes are drawn this many at a time: one system call for 256 ids. */
const pool = new Uint8Array(4_096);
const bytesPerId = 16;
let used = pool.length;

function randomBytes(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytesPerId;
  return pool.subarray(used - bytesPerId, used);
}

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
  ids: { next: () => v7({ rng: randomBytes }), random: () => v4() },
  random: Math.random,
};
