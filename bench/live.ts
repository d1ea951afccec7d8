import { loadavg } from 'node:os';
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import type { Figure } from './figures.ts';
import { manyStreamFigures } from './live/many-streams.ts';
import { redisFigures, replicaFigures } from './live/replicas.ts';
import { rpcStreamFigures } from './live/rpc-streams.ts';
import { slowReaderFigures } from './live/slow-readers.ts';

/** Live streams on Postgres: what they cost, how fast they are, what slow readers cost, and what a second replica adds. */
export async function benchLive(): Promise<Figure[]> {
  const database = await startEmbeddedPostgres({
    settings: {
      shared_buffers: '512MB',
      max_wal_size: '4GB',
      checkpoint_timeout: '15min',
      max_connections: '100',
    },
  });
  try {
    return [
      ...(await shown(manyStreamFigures(database))),
      ...(await shown(rpcStreamFigures(database))),
      ...(await shown(slowReaderFigures(database))),
      ...(await shown(replicaFigures(database, 'postgres', {}))),
      ...(await shown(redisFigures(database))),
      {
        name: 'load average at the end',
        value: loadavg()
          .map((load) => load.toFixed(1))
          .join(', '),
        target: '',
        met: true,
      },
    ];
  } finally {
    await database.close();
  }
}

/** Says on stderr what is known already: the whole takes minutes. */
async function shown(figures: Promise<Figure[]>): Promise<Figure[]> {
  for (const { name, value } of await figures) process.stderr.write(`${name}: ${value}\n`);
  return figures;
}
