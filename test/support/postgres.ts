import { after, before, type TestContext } from 'node:test';
import pg from 'pg';
import { migrate } from '../../drizzle/migrate.ts';
import { Database, type DatabaseOptions } from '../../plugins/store/postgres/database.ts';
import type { StoreClock } from '../../plugins/store/postgres/database-clock.ts';
import { PostgresStore } from '../../plugins/store/postgres/postgres-store.ts';
import type { Ambient } from '../../src/core/ambient.ts';
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  NoEmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/dev/embedded-postgres.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A Postgres of this test process, with a database that has the tables and is copied for whoever wants one. */
export interface TestPostgres extends EmbeddedPostgres {
  /** A fresh database. @returns its DSN */
  database(template?: 'migrated' | 'empty'): Promise<string>;
  /** Runs a statement as the superuser. */
  sql(text: string, dsn?: string): Promise<Record<string, unknown>[]>;
}

const template = 'notify_template';

/** @throws NoEmbeddedPostgres where it cannot run */
export async function startTestPostgres(options: EmbeddedPostgresOptions = {}): Promise<TestPostgres> {
  const server = await startEmbeddedPostgres({
    fsync: false,
    ...options,
    settings: { max_connections: '200', ...options.settings },
  });
  let made = 0;
  const sql = async (text: string, dsn = server.dsn()) => {
    const client = new pg.Client(dsn);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  };
  await sql(`CREATE DATABASE ${template}`);
  await migrate({ connectionString: server.dsn(template) });
  return {
    ...server,
    sql,
    async database(from = 'migrated') {
      made += 1;
      const name = `test_${made}`;
      await sql(`CREATE DATABASE ${name}${from === 'migrated' ? ` TEMPLATE ${template}` : ''}`);
      return server.dsn(name);
    },
  };
}

/**
 * A Postgres for all tests of a file. Where this machine has none, the tests skip and say why.
 * @returns what to call in a test; and the reason to pass as `skip`
 */
export async function postgresForFile(
  options: EmbeddedPostgresOptions = {},
): Promise<{ postgres: () => TestPostgres; skip: string | false }> {
  try {
    const server = await startTestPostgres(options);
    before(() => {});
    after(() => server.close());
    return { postgres: () => server, skip: false };
  } catch (error) {
    if (!(error instanceof NoEmbeddedPostgres)) throw error;
    return {
      postgres: () => {
        throw error;
      },
      skip: error.message,
    };
  }
}

/** The clock of a test, which the database's must not correct. */
const ownClock = ({ clock }: Pick<Ambient, 'clock'>): StoreClock => ({
  now: () => clock.now(),
  ask: () => clock.now(),
  correct() {},
});

/** A store on a database, as one process would have it. */
export function openTestStore(
  dsn: string,
  ambient: Ambient,
  options: Partial<DatabaseOptions> = {},
): PostgresStore {
  const connection = { connectionString: dsn };
  return new PostgresStore(
    new Database({ connection, prepare: true, random: ambient.random, ...options }),
    ownClock(ambient),
  );
}

/** A database by way of a network that a test breaks and repairs. */
export async function behindProxy(
  t: Pick<TestContext, 'after'>,
  dsn: string,
): Promise<{ dsn: string; proxy: TcpProxy }> {
  const url = new URL(dsn);
  const proxy = await TcpProxy.listen(t, Number(url.port));
  url.port = String(proxy.port);
  return { dsn: url.toString(), proxy };
}
