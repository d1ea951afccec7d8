import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import pg from 'pg';
import { eventually } from '../../../support/eventually.ts';
import { postgresForFile } from '../../../support/postgres.ts';
import { NotifyProcess } from '../../../support/process.ts';

const { postgres, skip } = await postgresForFile();

describe('a process that starts while another one migrates', { skip }, () => {
  it('waits for as long as that takes, and starts', async (t) => {
    const dsn = await postgres().database('empty');
    const migrating = new pg.Client(dsn);
    await migrating.connect();
    // the lock of drizzle/migrate.ts
    await migrating.query('SELECT pg_advisory_lock($1)', [0x6e6f74696679]);
    const notify = new NotifyProcess(t, { NOTIFY_STORE_DRIVER: 'postgres', NOTIFY_POSTGRES_DSN: dsn });
    await eventually(
      'it to wait for the lock',
      async () => {
        const [row] = await postgres().sql(
          `SELECT extract(epoch FROM max(now() - query_start))::int AS waits_s FROM pg_stat_activity
         WHERE wait_event = 'advisory' AND datname = current_database()`,
          dsn,
        );
        assert.ok(!notify.hasExited, notify.stderr);
        // longer than Fastify gives a plugin
        return Number(row?.waits_s) >= 11;
      },
      30_000,
    );
    await migrating.end();
    await notify.listening();
  });
});
