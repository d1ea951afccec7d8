import { setTimeout as pause } from 'node:timers/promises';
import { type EmbeddedPostgres, NoEmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';

/** Git ignores it. Removing the folder empties the inbox. */
const folder = '.data/postgres';

/** How long the server of a run that was just killed may take to stop. */
const previousRunMs = 10_000;

/**
 * A real Postgres for `npm run dev -- --postgres`, whose data outlives the run.
 * @throws NoEmbeddedPostgres
 */
export async function startDevPostgres(): Promise<EmbeddedPostgres> {
  for (const until = performance.now() + previousRunMs; ; ) {
    try {
      return await startEmbeddedPostgres({ folder });
    } catch (error) {
      const isStillThere = error instanceof NoEmbeddedPostgres && /postmaster\.pid/.test(error.message);
      if (!isStillThere) throw error;
      if (performance.now() > until)
        throw new NoEmbeddedPostgres(
          `a Postgres server uses ${folder} already; stop the other notify that runs here`,
          { cause: error },
        );
      await pause(200);
    }
  }
}
