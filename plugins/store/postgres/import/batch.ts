import { setTimeout as pause } from 'node:timers/promises';
import { NotifyError } from '../../../../src/core/errors.ts';
import type { Database } from '../database.ts';
import { troubleOf } from '../errors.ts';
import type { Transaction } from '../statement.ts';

/** How long the import waits for a database that is busy or away, in all, before it gives up. */
const pausesMs = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

/**
 * Writes some rows in one transaction, with patience; where one does not fit, by halves, until it stands alone.
 * @returns one result per row; undefined for a row that Postgres refused
 */
export async function writeBatch<In, Out>(
  db: Database,
  rows: readonly In[],
  write: (tx: Transaction, rows: readonly In[]) => Promise<readonly Out[]>,
): Promise<(Out | undefined)[]> {
  if (rows.length === 0) return [];
  try {
    return [...(await patiently(() => db.transaction((tx) => write(tx, rows))))];
  } catch (error) {
    if (troubleOf(error) !== 'row') throw error;
    if (rows.length === 1) return [undefined];
    const middle = Math.ceil(rows.length / 2);
    const first = await writeBatch(db, rows.slice(0, middle), write);
    return [...first, ...(await writeBatch(db, rows.slice(middle), write))];
  }
}

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (const pauseMs of pausesMs)
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof NotifyError && error.code === 'unavailable')) throw error;
      await pause(pauseMs);
    }
  return work();
}

/** Asks for the next element while the last one is being used. */
export async function* ahead<T>(
  elements: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  let next = elements.next();
  for (;;) {
    const { done, value } = await next;
    if (done) return;
    next = elements.next();
    next.catch(() => {}); // it is thrown when its turn comes
    yield value;
  }
}
