import { setTimeout as pause } from 'node:timers/promises';
import { Logger, run } from 'graphile-worker';
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { migrate } from '../drizzle/migrate.ts';
import { Database } from '../plugins/store/postgres/database.ts';
import { DatabaseClock } from '../plugins/store/postgres/database-clock.ts';
import { PostgresStore } from '../plugins/store/postgres/postgres-store.ts';
import type { ChannelProvider } from '../src/core/channel.ts';
import { Attempts } from '../src/core/dispatcher/attempts.ts';
import { Dispatcher } from '../src/core/dispatcher/dispatcher.ts';
import { dispatcherDefaults } from '../src/core/dispatcher/settings.ts';
import type { LiveHub } from '../src/core/live/hub.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { system } from '../src/system.ts';
import { cpuMs, loadAverage, postgresCpuMs } from './cpu.ts';
import { type Figure, median } from './figures.ts';

const rounds = 3;
/** For each: more for who is faster, so that a round takes seconds. */
const deliveries = 20_000;
const graphileJobs = 5_000;
const bossJobs = 3_000;
/** What pg-boss takes at a time: as many as we hold. */
const bossBatch = dispatcherDefaults.heldPerChannel;
const idleMs = 20_000;

interface Drain {
  readonly perSecond: number;
  /** CPU time of one, in microseconds. */
  readonly ownUs: number;
  readonly postgresUs: number;
}

/** Due deliveries through the dispatcher against jobs of two job queues, each doing nothing, on one Postgres that commits to disk. */
export async function benchOutbox(): Promise<Figure[]> {
  const database = await startEmbeddedPostgres({
    settings: { shared_buffers: '512MB', max_wal_size: '4GB', checkpoint_timeout: '15min' },
  });
  try {
    await migrate({ connectionString: database.dsn() });
    const boss = await startBoss(database);
    const ours: Drain[] = [];
    const graphile: Drain[] = [];
    const theirs: Drain[] = [];
    const loops: Drain[] = [];
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await drainOurs(database));
      graphile.push(await drainGraphile(database));
      theirs.push(await drainBoss(database, boss));
      loops.push(await loopBoss(database, boss));
    }
    await boss.stop({ graceful: false });
    const rate = (drains: readonly Drain[]) => median(drains.map(({ perSecond }) => perSecond));
    const toGraphile = rate(ours) / rate(graphile);
    const toBoss = rate(ours) / rate(theirs);
    return [
      {
        name: `drain of ${deliveries} due deliveries through a provider that does nothing`,
        value: `${words(ours)}; load average ${loadAverage()}`,
        target: '—',
        met: true,
      },
      {
        name: "against graphile-worker's default",
        value: `${toGraphile.toFixed(1)} times (${words(graphile)})`,
        target: 'ahead',
        met: toGraphile > 1,
      },
      {
        name: `against pg-boss's workers with ${bossBatch} at a time, every 0.5 s`,
        value: `${toBoss.toFixed(1)} times (${words(theirs)})`,
        target: 'at least 5 times',
        met: toBoss >= 5,
      },
      {
        name: "against pg-boss's fetch and complete in a loop, without workers",
        value: `${(rate(ours) / rate(loops)).toFixed(1)} times (${words(loops)})`,
        target: '—',
        met: true,
      },
      await idle(database),
    ];
  } finally {
    await database.close();
  }
}

const words = (drains: readonly Drain[]): string => {
  const of = (pick: (drain: Drain) => number) => median(drains.map(pick)).toFixed(0);
  return `${of((d) => d.perSecond)}/s; CPU of one: ${of((d) => d.ownUs)} µs of its own, ${of((d) => d.postgresUs)} µs of Postgres`;
};

/** @param work resolves when `count` are done */
async function measure(
  database: EmbeddedPostgres,
  count: number,
  work: () => Promise<unknown>,
): Promise<Drain> {
  const ownMs = cpuMs(process.pid);
  const postgresMs = postgresCpuMs(database);
  const startedMs = performance.now();
  await work();
  return {
    perSecond: (count * 1_000) / (performance.now() - startedMs),
    ownUs: ((cpuMs(process.pid) - ownMs) * 1_000) / count,
    postgresUs: ((postgresCpuMs(database) - postgresMs) * 1_000) / count,
  };
}

async function drainOurs(database: EmbeddedPostgres): Promise<Drain> {
  await sql(
    database,
    `WITH items AS (
       INSERT INTO notify.notifications (tenant_id, id, user_id, notification_id, position, created_at_ms, other_deliveries,
         channels, type, subject_ref, subject_type, title, body)
       SELECT 'bench', gen_random_uuid(), 'user-' || i % 10000, gen_random_uuid(), i, 1700000000000 + i, 1, '{email}', 'order',
         'order/' || i, 'order', 'Your order has shipped', 'It left our warehouse this morning and arrives tomorrow before noon.'
       FROM generate_series(1, ${deliveries}) i RETURNING tenant_id, id, user_id, created_at_ms
     )
     INSERT INTO notify.deliveries (tenant_id, id, user_id, item_id, ordinal, channel, destination, provider, status, reason,
       created_at_ms, due_at_ms, first_due_at_ms, updated_at_ms)
     SELECT tenant_id, gen_random_uuid(), user_id, id, 0, 'email', user_id || '@example.com', 'nothing', 'pending', '',
       created_at_ms, created_at_ms, created_at_ms, created_at_ms FROM items`,
  );
  let sent = 0;
  const { dispatcher, stop, attempts } = await engine(database, () => (sent += 1));
  const drain = await measure(database, deliveries, async () => {
    dispatcher.start();
    // until the last outcome is written
    while (sent < deliveries || attempts.size > 0) await pause(5);
  });
  await stop();
  return drain;
}

/** What a process runs, with the store's default settings. */
async function engine(database: EmbeddedPostgres, sent: () => void) {
  const provider: ChannelProvider = {
    channel: 'email',
    name: 'nothing',
    async send() {
      sent();
      return { providerMessageId: '' };
    },
  };
  const db = new Database({
    connection: { connectionString: database.dsn() },
    prepare: true,
    random: system.random,
  });
  const store = new PostgresStore(db, new DatabaseClock(system.clock.now()));
  const settings = {
    ...dispatcherDefaults,
    retry: { baseMs: 1_000, maxMs: 60_000, forMs: { email: 3_600_000 } },
  };
  const failed = (error: unknown) => {
    throw error;
  };
  const attempts = new Attempts(
    { outbox: store, providers: new Map([['email', [provider]]]), ambient: system },
    settings,
    {
      attempted() {},
      leaseLost: failed,
      handedBack() {},
      providerDown() {},
      providerUp() {},
      failed: (_, error) => failed(error),
    },
  );
  // nobody listens
  const hub = { publish() {}, inboxChanged() {} } as unknown as LiveHub;
  const parts = { outbox: store, hub, attempts, ambient: system };
  const dispatcher = new Dispatcher(parts, settings, { storeAway: failed, storeBack() {} });
  const stop = async () => {
    await dispatcher.stop(1_000);
    await store.close();
  };
  return { dispatcher, attempts, stop };
}

async function drainGraphile(database: EmbeddedPostgres): Promise<Drain> {
  const options = {
    connectionString: database.dsn(),
    noHandleSignals: true,
    logger: new Logger(() => () => {}),
  };
  const { promise: all, resolve: finished } = Promise.withResolvers<void>();
  let done = 0;
  const taskList = {
    async nothing() {
      done += 1;
      if (done === graphileJobs) finished();
    },
  };
  // the schema first, then the jobs, then the clock
  await (await run({ ...options, taskList })).stop();
  await sql(
    database,
    `SELECT count(graphile_worker.add_job('nothing', json_build_object('order', i))) FROM generate_series(1, ${graphileJobs}) i`,
  );
  return measure(database, graphileJobs, async () => {
    const runner = await run({ ...options, taskList });
    await all;
    await runner.stop();
  });
}

const queue = 'nothing';

async function startBoss(database: EmbeddedPostgres): Promise<PgBoss> {
  const boss = new PgBoss(database.dsn());
  boss.on('error', () => {});
  await boss.start();
  await boss.createQueue(queue);
  return boss;
}

async function fillBoss(boss: PgBoss): Promise<void> {
  for (let from = 0; from < bossJobs; from += 1_000)
    await boss.insert(
      queue,
      Array.from({ length: 1_000 }, (_, i) => ({ data: { order: from + i } })),
    );
}

/** Its workers, with as many jobs at a time as we hold, every half second, and without its burst options. */
async function drainBoss(database: EmbeddedPostgres, boss: PgBoss): Promise<Drain> {
  await fillBoss(boss);
  const { promise: all, resolve: finished } = Promise.withResolvers<void>();
  let done = 0;
  return measure(database, bossJobs, async () => {
    const options = { batchSize: bossBatch, pollingIntervalSeconds: 0.5 };
    const worker = await boss.work(queue, options, async (jobs) => {
      done += jobs.length;
      if (done >= bossJobs) finished();
    });
    await all;
    await boss.offWork(queue, { id: worker });
  });
}

/** Without workers, which pause: fetch and complete in a loop, a whole batch by one statement each. No job has an outcome of its own. */
async function loopBoss(database: EmbeddedPostgres, boss: PgBoss): Promise<Drain> {
  await fillBoss(boss);
  return measure(database, bossJobs, async () => {
    for (let done = 0; done < bossJobs; ) {
      const jobs = await boss.fetch(queue, { batchSize: bossBatch });
      await boss.complete(
        queue,
        jobs.map(({ id }) => id),
      );
      done += jobs.length;
    }
  });
}

/** What a dispatcher costs that has nothing to do. */
async function idle(database: EmbeddedPostgres): Promise<Figure> {
  // the drain's dead index entries stay, for looks to pass over, and no vacuum is counted with them
  await sql(database, 'ALTER SYSTEM SET autovacuum = off');
  await sql(database, 'SELECT pg_reload_conf()');
  await sql(database, 'CHECKPOINT');
  const { dispatcher, stop } = await engine(database, () => {});
  const measureIdle = async (): Promise<{ own: number; postgres: number }> => {
    const ownMs = cpuMs(process.pid);
    const postgresMs = postgresCpuMs(database);
    await pause(idleMs);
    const share = (ms: number) => (ms * 100) / idleMs;
    return {
      own: share(cpuMs(process.pid) - ownMs),
      postgres: share(postgresCpuMs(database) - postgresMs),
    };
  };
  const without = await measureIdle();
  dispatcher.start();
  await pause(2_000);
  const polling = await measureIdle();
  await stop();
  const total = polling.own + polling.postgres - without.own - without.postgres;
  const words = ({ own, postgres }: { own: number; postgres: number }) =>
    `${own.toFixed(2)} % of a core in the process, ${postgres.toFixed(2)} % in Postgres`;
  return {
    name: 'an idle dispatcher',
    value: `${words(polling)}; without it ${words(without)}`,
    target: 'at most 1 % of a core more',
    met: total <= 1,
  };
}

async function sql(database: EmbeddedPostgres, text: string): Promise<void> {
  const client = new pg.Client(database.dsn());
  await client.connect();
  await client.query(text);
  await client.end();
}
