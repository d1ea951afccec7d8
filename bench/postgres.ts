import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { cpuMs, loadAverage, postgresCpuMs } from './cpu.ts';
import { type Figure, median } from './figures.ts';
import { httpLoad } from './http-load.ts';
import { orderShipped } from './order-shipped.ts';
import { type Service, startService } from './processes.ts';

const seconds = 4;
const rounds = 3;
const notify = '/elloloop.notify.v1.NotificationInternalService/Notify';
const getNotifications = '/elloloop.notify.v1.NotificationClientService/GetNotifications';

/** The service on a Postgres that commits to disk; load, service and database on the same machine. */
export async function benchPostgres(): Promise<Figure[]> {
  const database = await startEmbeddedPostgres({
    settings: { shared_buffers: '512MB', max_wal_size: '4GB', checkpoint_timeout: '15min' },
  });
  try {
    const plain = await plainInserts(database);
    const service = await startService({
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: database.dsn(),
      NOTIFY_LOG_LEVEL: 'error',
    });
    try {
      return [
        ...(await single(service, database, plain)),
        ...(await fanOut(service)),
        ...(await listing(service, database)),
      ];
    } finally {
      await service.stop();
    }
  } finally {
    await database.close();
  }
}

/** What this machine's Postgres does without us: statements that insert 1,000 rows of three columns, one client. */
async function plainInserts(database: EmbeddedPostgres): Promise<number> {
  const client = new pg.Client(database.dsn());
  await client.connect();
  await client.query('CREATE TABLE plain (id uuid PRIMARY KEY, user_id text NOT NULL, body text NOT NULL)');
  const text = `INSERT INTO plain SELECT gen_random_uuid(), 'user-' || i, repeat('x', 100) FROM generate_series(1, 1000) i`;
  const startedMs = performance.now();
  let count = 0;
  for (; performance.now() - startedMs < 3_000; count += 1) await client.query(text);
  const perSecond = count / ((performance.now() - startedMs) / 1_000);
  await client.query('DROP TABLE plain');
  await client.end();
  return perSecond;
}

/** Notify in-app to one recipient. */
async function single(service: Service, database: EmbeddedPostgres, plain: number): Promise<Figure[]> {
  const body = orderShipped({ channels: ['DELIVERY_CHANNEL_IN_APP'] });
  const load = () =>
    httpLoad({
      url: service.internal,
      path: notify,
      connections: 64,
      seconds,
      body,
    });
  await load();
  const figures = [];
  const ownMs = cpuMs(service.pid);
  const postgresMs = postgresCpuMs(database);
  for (let round = 0; round < rounds; round += 1) figures.push(await load());
  const calls = figures.reduce((sum, { total }) => sum + total, 0);
  const ownUs = ((cpuMs(service.pid) - ownMs) * 1_000) / calls;
  const postgresUs = ((postgresCpuMs(database) - postgresMs) * 1_000) / calls;
  const perSecond = median(figures.map((figure) => figure.perSecond));
  const p99 = median(figures.map((figure) => figure.p99Ms));
  return [
    {
      name: 'Notify in-app to one recipient on Postgres, 64 connections',
      value: `${perSecond.toFixed(0)}/s (p99 ${p99.toFixed(1)} ms; CPU of a call ${ownUs.toFixed(0)} µs of the service, ${postgresUs.toFixed(0)} µs of Postgres; this Postgres inserts 1,000 rows ${plain.toFixed(0)} times/s; load average ${loadAverage()})`,
      target: 'at least 13,000/s where 1,000 rows are inserted 120 times/s',
      met: perSecond >= (13_000 * Math.min(plain, 120)) / 120,
    },
  ];
}

/** One call to 1,000 recipients, from the first byte to the last. */
async function fanOut(service: Service): Promise<Figure[]> {
  const times: number[] = [];
  for (let round = 0; round < 25; round += 1) {
    const userIds = Array.from({ length: 1_000 }, (_, i) => `fan-${i}`);
    const body = JSON.stringify({
      tenantId: 'bench',
      notificationId: `fan-${round}`,
      userIds,
      channels: ['DELIVERY_CHANNEL_IN_APP'],
      title: 'To everybody',
      body: 'It left our warehouse this morning and arrives tomorrow before noon.',
    });
    const startedMs = performance.now();
    const response = await fetch(`${service.internal}${notify}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    await response.text();
    if (response.status !== 200) throw new Error(`Notify answered ${response.status}`);
    times.push(performance.now() - startedMs);
  }
  const ms = median(times.slice(5));
  return [
    {
      name: 'one call to 1,000 recipients on Postgres',
      value: `${ms.toFixed(0)} ms (fastest ${Math.min(...times).toFixed(0)}; load average ${loadAverage()})`,
      target: 'at most 35 ms',
      met: ms <= 35,
    },
  ];
}

/** The first page of a long and of a short inbox. */
async function listing(service: Service, database: EmbeddedPostgres): Promise<Figure[]> {
  await fill(database, 'short', 20);
  await fill(database, 'long', 100_000);
  const load = (user: string) =>
    httpLoad({
      url: service.client,
      path: getNotifications,
      connections: 16,
      seconds,
      headers: { authorization: `Bearer dev:${user}:bench` },
      body: () => ({}),
    });
  for (const user of ['short', 'long']) await load(user);
  const long: number[] = [];
  const short: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    long.push((await load('long')).perSecond);
    short.push((await load('short')).perSecond);
  }
  const perSecond = median(long);
  const ratio = median(long.map((figure, round) => figure / (short[round] ?? Number.NaN)));
  return [
    {
      name: 'GetNotifications (20 rows) of a user with 100,000 on Postgres, 16 connections',
      value: `${perSecond.toFixed(0)}/s (${median(short).toFixed(0)}/s of a user with 20; load average ${loadAverage()})`,
      target: 'at least 7,000/s',
      met: perSecond >= 7_000,
    },
    {
      name: 'the same, long inbox against short',
      value: ratio.toFixed(2),
      target: 'at least 0.9',
      met: ratio >= 0.9,
    },
  ];
}

async function fill(database: EmbeddedPostgres, user: string, rows: number): Promise<void> {
  const client = new pg.Client(database.dsn());
  await client.connect();
  await client.query(
    `INSERT INTO notify.notifications (tenant_id, id, user_id, notification_id, position, created_at_ms, in_app_id, in_app_status,
       channels, type, subject_ref, subject_type, title, body)
     SELECT 'bench', gen_random_uuid(), $1, $3 || i, i, 1700000000000 + i, gen_random_uuid(), 'pending', '{in_app}', 'order',
       'order/' || i, 'order', 'Your order has shipped', 'It left our warehouse this morning and arrives tomorrow before noon.'
     FROM generate_series(1, $2::int) i`,
    [user, rows, randomUUID()],
  );
  await client.query(
    `INSERT INTO notify.users (tenant_id, user_id, newest_position, version, unread, unseen) VALUES ('bench', $1, $2, $2, $2, $2)`,
    [user, rows],
  );
  await client.query('ANALYZE notify.notifications, notify.users');
  await client.end();
}
