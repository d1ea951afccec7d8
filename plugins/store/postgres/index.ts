import { setTimeout as pause } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import pg from 'pg';
import { assertMigrated, migrate } from '../../../drizzle/migrate.ts';
import { parsePostgresDsn } from '../../../src/config.ts';
import { isUnavailable } from '../../../src/core/errors.ts';
import type { OpenStore } from '../open.ts';
import { connectionConfigs, refusedForTls } from './connection.ts';
import { Database } from './database.ts';
import { DatabaseClock } from './database-clock.ts';
import { loggable, troubleOf } from './errors.ts';
import { PostgresStore } from './postgres-store.ts';
import { settings } from './settings.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** How to connect past a pooler, where Postgres is the store. */
    postgresDirect?: pg.ClientConfig;
  }
}

/** The production store. Any number of processes may open it on one database. */
export const openPostgresStore: OpenStore = async (app, config) => {
  const { postgres } = config.store;
  if (postgres === undefined) throw new Error('the configuration has no settings for the postgres store');
  const direct = await reach(postgres.directDsn, app.log);
  if (postgres.automigrate) {
    const applied = await migrate(direct);
    if (applied > 0) app.log.info({ applied }, 'postgres_migrated');
  } else await assertMigrated(direct);

  app.decorate('postgresDirect', direct);
  const connection = postgres.dsn === postgres.directDsn ? direct : await reach(postgres.dsn, app.log);
  const db = new Database({
    connection,
    prepare: postgres.prepare,
    random: app.ambient.random,
    observe(event, error) {
      if (event === 'lost')
        app.log.error({ err: error }, 'postgres_lost: answering unavailable until it is back');
      else if (event === 'back') app.log.info('postgres_back');
      else app.log.warn({ err: error }, 'postgres_connection_dropped');
    },
  });
  const store = new PostgresStore(db, new DatabaseClock(app.ambient.clock.now()));
  try {
    // before anything is stored by a clock that is wrong; Postgres may still be too busy for one more connection
    await awaited(() => store.askTime(), isUnavailable);
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
};

/**
 * Brings a database's tables up to this version.
 * @returns how many migrations it applied
 * @throws InvalidValue for a DSN that is none; SchemaMismatch; Error without anything secret
 */
export const migratePostgres = async (dsn: string): Promise<number> => migrate(await reach(dsn));

/**
 * Finds the way to connect that the server takes, waiting a while for one that is starting. Each try may take longer than the one
 * before: a machine that is busy answers none within a time that is too short.
 * @param variable what the DSN was given as, for the message
 * @throws Error without anything secret
 */
export async function reach(
  dsn: string,
  log?: Pick<FastifyBaseLogger, 'info'>,
  variable = 'NOTIFY_POSTGRES_DSN',
): Promise<pg.ClientConfig> {
  const ways = await connectionConfigs(parsePostgresDsn(dsn));
  try {
    return await awaited((tries) => firstOf(ways, tries * settings.connectTimeoutMs), mayBeStarting, log);
  } catch (failure) {
    throw new Error(`cannot connect to Postgres; check ${variable} and that the database runs`, {
      cause: loggable(failure),
    });
  }
}

/**
 * Does what needs Postgres at the start, again and again for a while where waiting may mend what goes wrong.
 * @param attempt told how many tries there have been, this one included
 */
async function awaited<T>(
  attempt: (tries: number) => Promise<T>,
  mayMend: (error: unknown) => boolean,
  log?: Pick<FastifyBaseLogger, 'info'>,
): Promise<T> {
  const until = performance.now() + settings.bootWaitMs;
  for (let tries = 1; ; tries++)
    try {
      return await attempt(tries);
    } catch (error) {
      if (!mayMend(error) || performance.now() > until) throw error;
      if (tries === 1)
        log?.info({ wait_ms: settings.bootWaitMs }, 'postgres_awaited: it does not answer yet');
      await pause(settings.bootPauseMs);
    }
}

/** @returns the first way that the server takes; the others are for one that refuses TLS */
async function firstOf(ways: readonly pg.ClientConfig[], timeoutMs: number): Promise<pg.ClientConfig> {
  let failure: unknown;
  for (const way of ways) {
    const client = new pg.Client({ connectionTimeoutMillis: timeoutMs, ...way });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.end();
      return way;
    } catch (error) {
      failure ??= error;
      client.end().catch(() => {});
      if (!refusedForTls(error)) break;
    }
  }
  throw failure;
}

/** Not for a wrong password or database, which waiting does not mend. */
function mayBeStarting(error: unknown): boolean {
  const { code } = error as { code?: string };
  return troubleOf(error) === 'connection' && !/^(28|3D)/.test(code ?? '');
}
