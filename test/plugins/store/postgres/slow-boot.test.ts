import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import pg from 'pg';
import { freePort } from '../../../../src/dev/free-port.ts';
import { eventually } from '../../../support/eventually.ts';
import { behindProxy, postgresForFile } from '../../../support/postgres.ts';
import { NotifyProcess } from '../../../support/process.ts';

const { postgres, skip } = await postgresForFile();

describe('a process that starts while another one migrates', { skip }, () => {
  it('waits for as long as that takes, says meanwhile that it is not ready, and starts', async (t) => {
    const dsn = await postgres().database('empty');
    const migrating = new pg.Client(dsn);
    await migrating.connect();
    // the lock of drizzle/migrate.ts
    await migrating.query('SELECT pg_advisory_lock($1)', [0x6e6f74696679]);
    const opsPort = await freePort();
    const notify = new NotifyProcess(t, {
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn,
      NOTIFY_METRICS_PORT: String(opsPort),
    });
    const health = async (path = '/healthz') => {
      const response = await fetch(`http://localhost:${opsPort}${path}`);
      return [response.status, await response.json()];
    };
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
    assert.deepEqual(await health(), [503, { status: 'not_ready' }]);
    assert.deepEqual(await health('/health'), [503, { status: 'not_ready' }]);
    await migrating.end();
    await notify.listening();
    assert.deepEqual(await health(), [200, { status: 'ok' }]);
  });
});

describe('a process that starts while Postgres answers nothing yet', { skip }, () => {
  it('waits for it, and says so', async (t) => {
    const { dsn, proxy } = await behindProxy(t, await postgres().database());
    proxy.stall();
    const notify = new NotifyProcess(t, { NOTIFY_STORE_DRIVER: 'postgres', NOTIFY_POSTGRES_DSN: dsn });
    // after the first try, which its time-out ends
    await notify.logged('postgres_awaited: it does not answer yet');
    proxy.resume();
    await notify.listening();
  });

  it('does not wait where the password is wrong', async (t) => {
    const dsn = new URL(await postgres().database());
    dsn.username = 'nobody';
    const notify = new NotifyProcess(t, {
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn.toString(),
    });
    assert.deepEqual(await notify.exited, { code: 1, signal: null });
    assert.deepEqual(notify.lines('postgres_awaited: it does not answer yet'), []);
    assert.match(notify.stdout + notify.stderr, /check NOTIFY_POSTGRES_DSN/);
  });
});
