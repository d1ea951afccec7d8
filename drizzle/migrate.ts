import { fileURLToPath } from 'node:url';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate as applyMigrations } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';

/** Where the record of applied migrations is: beside the tables, so that one database can hold other services too. */
const record = {
  migrationsFolder: fileURLToPath(new URL('../migrations', import.meta.url)),
  migrationsSchema: 'notify',
  migrationsTable: 'migrations',
};

/** Any number that no other program of the same database locks ("notify" in ASCII). */
const lockKey = 0x6e6f74696679;

/** How long one process waits for another that is migrating, in milliseconds. A long index build is no failure. */
const lockTimeoutMs = 10 * 60_000;

/** The tables are not what this version needs, and it must not touch them. The message says what to do. */
export class SchemaMismatch extends Error {
  override readonly name = 'SchemaMismatch';
}

/**
 * Brings the tables up to this version, in one transaction. Any number of processes may do so at once: one migrates under
 * an advisory lock, the others wait for it. A database that is up to date is only read.
 * @param config a direct connection: the lock belongs to the session, which a pooler would share
 * @returns how many migrations it applied
 * @throws SchemaMismatch for a database that a newer version has migrated
 */
export async function migrate(config: pg.ClientConfig): Promise<number> {
  return withClient(config, async (client) => {
    if ((await pendingMigrations(client)) === 0) return 0;
    await client.query(`SET lock_timeout = ${lockTimeoutMs}`);
    await client.query('SELECT pg_advisory_lock($1)', [lockKey]);
    try {
      await client.query('RESET lock_timeout');
      const pending = await pendingMigrations(client);
      // Drizzle's own migrate takes no lock: three processes ran one migration three times
      if (pending > 0) await applyMigrations(drizzle(client), record);
      return pending;
    } finally {
      await client.query('SELECT pg_advisory_unlock($1)', [lockKey]).catch(() => {});
    }
  });
}

/**
 * Checks that nothing has to be migrated.
 * @throws SchemaMismatch where the tables are older or newer than this version
 */
export async function assertMigrated(config: pg.ClientConfig): Promise<void> {
  const pending = await withClient(config, pendingMigrations);
  if (pending > 0)
    throw new SchemaMismatch(
      `the database lacks ${pending} migration${pending > 1 ? 's' : ''} of this version; run npm run db:migrate, or set NOTIFY_POSTGRES_AUTOMIGRATE=true`,
    );
}

/** @throws SchemaMismatch where the database is newer */
async function pendingMigrations(client: pg.Client): Promise<number> {
  const ours = readMigrationFiles(record);
  const { rows: found } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('notify.migrations') IS NOT NULL AS there`,
  );
  if (!found[0]?.there) return ours.length;
  const { rows } = await client.query<{ newest: string | null }>(
    'SELECT max(created_at) AS newest FROM notify.migrations',
  );
  const newest = Number(rows[0]?.newest ?? 0);
  if (newest > (ours.at(-1)?.folderMillis ?? 0))
    throw new SchemaMismatch(
      `a newer version of notify has migrated this database (on ${new Date(newest).toISOString().slice(0, 10)} or later by its files); start that version, or restore a backup from before`,
    );
  return ours.filter(({ folderMillis }) => folderMillis > newest).length;
}

async function withClient<T>(config: pg.ClientConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(config);
  client.on('error', () => {}); // a lost connection fails the query that runs
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}
