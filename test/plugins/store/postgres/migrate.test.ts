import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { getTableName, is } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import { assertMigrated, migrate } from '../../../../drizzle/migrate.ts';
import * as schema from '../../../../drizzle/schema.ts';
import { build, call, procedures } from '../../../support/build.ts';
import { postgresForFile } from '../../../support/postgres.ts';

const { postgres, skip } = await postgresForFile();
const root = new URL('../../../..', import.meta.url);

/** Runs `npm run db:migrate` without npm. */
const migrateCommand = (env: Record<string, string>): Promise<{ code: number; output: string }> =>
  new Promise((resolve) => {
    const options = { cwd: root, env: { PATH: process.env.PATH, ...env } };
    const child = execFile(process.execPath, ['src/migrate.ts'], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
  });

describe('migrations', { skip }, () => {
  it('are applied once, by ten processes that start at the same moment', async () => {
    const dsn = await postgres().database('empty');
    const runs = await Promise.all(
      Array.from({ length: 10 }, () => migrateCommand({ NOTIFY_POSTGRES_DSN: dsn })),
    );
    assert.deepEqual(
      runs.map(({ code }) => code),
      runs.map(() => 0),
      runs.map(({ output }) => output).join(''),
    );
    assert.equal(runs.filter(({ output }) => /^applied \d+ migrations/.test(output)).length, 1);
    const [recorded] = await postgres().sql(
      'SELECT count(*)::int AS count, count(DISTINCT hash)::int AS different FROM notify.migrations',
      dsn,
    );
    assert.equal(recorded?.count, recorded?.different);
    const [tables] = await postgres().sql(
      `SELECT string_agg(tablename, ' ' ORDER BY tablename) AS names FROM pg_tables WHERE schemaname = 'notify'`,
      dsn,
    );
    const ours = Object.values(schema).flatMap((value) => (is(value, PgTable) ? [getTableName(value)] : []));
    assert.equal(tables?.names, [...ours, 'migrations'].sort().join(' '));
  });

  it('leave the tables of others in the same database alone', async () => {
    const dsn = await postgres().database('empty');
    await postgres().sql('CREATE TABLE notify_notifications (id int); CREATE TABLE users (id int)', dsn);
    await migrate({ connectionString: dsn });
    const [count] = await postgres().sql(
      `SELECT count(*)::int AS count FROM pg_tables WHERE schemaname = 'public'`,
      dsn,
    );
    assert.equal(count?.count, 2);
  });

  it('of a newer version stop the service, with what to do', async () => {
    const dsn = await postgres().database();
    const future = Date.UTC(2100, 0, 1);
    await postgres().sql(`INSERT INTO notify.migrations (hash, created_at) VALUES ('x', ${future})`, dsn);
    const newer = { name: 'SchemaMismatch', message: /newer version of notify.*2100-01-01/ };
    await assert.rejects(migrate({ connectionString: dsn }), newer);
    await assert.rejects(assertMigrated({ connectionString: dsn }), newer);
    const { code, output } = await migrateCommand({ NOTIFY_POSTGRES_DSN: dsn });
    assert.equal(code, 1);
    assert.match(output, /newer version of notify/);
  });

  it('that are missing stop a service that must not apply them, and are named', async (t) => {
    const dsn = await postgres().database('empty');
    const env = {
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn,
      NOTIFY_POSTGRES_AUTOMIGRATE: 'false',
    };
    await assert.rejects(build(t, env), { name: 'SchemaMismatch', message: /npm run db:migrate/ });
    assert.equal((await migrateCommand({ NOTIFY_POSTGRES_DIRECT_DSN: dsn })).code, 0);
    await build(t, env);
  });
});

describe('the service on Postgres', { skip }, () => {
  it('keeps the inbox over a restart, also through a pooler’s settings', async (t) => {
    // without an sslmode, which means prefer: this server has no TLS
    const dsn = (await postgres().database('empty')).replace('?sslmode=disable', '');
    const env = { NOTIFY_STORE_DRIVER: 'postgres', NOTIFY_POSTGRES_DSN: dsn };
    const body = { tenantId: 'demo', notificationId: 'n-1', userIds: ['alice'], title: 'Hello' };
    const first = await build(t, env);
    assert.equal((await call(first.url.internal, procedures.notify, body)).body.pending, 1);
    await first.close();
    const second = await build(t, { ...env, NOTIFY_POSTGRES_PREPARE: 'false' });
    const inbox = await call(
      second.url.client,
      procedures.getNotifications,
      {},
      { authorization: 'Bearer dev:alice:demo' },
    );
    assert.equal(inbox.body.unreadCount, 1);
    assert.equal((await call(second.url.internal, procedures.notify, body)).body.pending, 1);
    assert.equal((await fetch(`${second.url.ops}/healthz`)).status, 200);
  });

  it('refuses to start where it cannot connect, and says neither user nor password', async (t) => {
    const dsn = postgres()
      .dsn()
      .replace(/:[^:@]*@/, ':wrong-secret@');
    await assert.rejects(
      build(t, { NOTIFY_STORE_DRIVER: 'postgres', NOTIFY_POSTGRES_DSN: dsn }),
      (error: Error) => {
        assert.match(error.message, /cannot connect to Postgres/);
        assert.doesNotMatch(`${error.stack} ${(error.cause as Error).message}`, /wrong-secret/);
        return true;
      },
    );
  });
});
