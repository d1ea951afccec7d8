import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { freePort } from '../src/dev/free-port.ts';
import { cpuMs, markAllRead, notify, notifyAll, openStreams, residentKiB } from './event-sources.ts';
import { type Figure, median, percentile } from './figures.ts';
import { type Service, startService } from './processes.ts';

const streams = 10_000;
const rounds = 4;
const idleMs = 30_000;
const perSecond = 1_000;
const pacedMs = 5_000;
const slowReaders = [20, 120] as const;
const slowEvents = 3_000;

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
      ...(await shown(many(database))),
      ...(await shown(slow(database))),
      ...(await shown(replicas(database, 'postgres', {}))),
      ...(await shown(overRedis(database))),
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

const start = (database: EmbeddedPostgres, env: Record<string, string> = {}) =>
  startService({
    NOTIFY_STORE_DRIVER: 'postgres',
    NOTIFY_POSTGRES_DSN: database.dsn(),
    NOTIFY_LOG_LEVEL: 'error',
    ...env,
  });

async function many(database: EmbeddedPostgres): Promise<Figure[]> {
  const service = await start(database);
  try {
    await notifyAll(service, 'warm-up', streams);
    await markAllRead(service, streams);
    const before = residentKiB(service.pid);
    const sentAt = new Map<string, number>();
    const delays: number[] = [];
    const open = await openStreams(service, streams, (title) => {
      const at = sentAt.get(title);
      if (at !== undefined) delays.push(performance.now() - at);
    });
    await pause(1_000);
    const each = (residentKiB(service.pid) - before) / streams;
    const cpuBefore = cpuMs(service.pid);
    await pause(idleMs);
    const idle = ((cpuMs(service.pid) - cpuBefore) / idleMs) * 100;
    const times: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const arrived = open.expectAll(`round-${round}`);
      const startedMs = performance.now();
      await notifyAll(service, `round-${round}`, streams);
      await arrived;
      times.push(performance.now() - startedMs);
    }
    await paced(service, sentAt, () => `user-${Math.floor(Math.random() * streams)}`, perSecond, pacedMs);
    open.close();
    const [all, p99] = [median(times.slice(1)), percentile(delays, 0.99)];
    return [
      figure(`memory of each of ${streams} EventSource streams`, each, 'KiB', 15),
      figure(`CPU of the process with them idle, a heartbeat every 30 s`, idle, '% of a core', 2),
      figure(`one event to each of ${streams} users in calls of 1,000, until the last`, all, 'ms', 700),
      figure(
        `${perSecond} notifications/s to random users among them, call to event, p99 (p50 ${percentile(delays, 0.5).toFixed(1)} ms)`,
        p99,
        'ms',
        10,
      ),
    ];
  } finally {
    await service.stop();
  }
}

/** Notify calls to one user each, at a steady rate; their starts by title. */
async function paced(
  service: Service,
  sentAt: Map<string, number>,
  user: () => string,
  rate: number,
  forMs: number,
): Promise<void> {
  const calls: Promise<void>[] = [];
  const startedMs = performance.now();
  const run = `${startedMs}`;
  for (let sent = 0; performance.now() - startedMs < forMs; ) {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * rate);
    for (; sent < due; sent += 1) {
      const id = `paced-${run}-${sent}`;
      sentAt.set(id, performance.now());
      calls.push(notify(service, id, [user()]));
    }
    await pause(1);
  }
  await Promise.all(calls);
  await pause(500);
}

/** What a reader costs that takes nothing while many events come for it: by the difference that more of them make. */
async function slow(database: EmbeddedPostgres): Promise<Figure[]> {
  const [few, more] = slowReaders;
  const growth = (await peakKiB(database, more)) - (await peakKiB(database, few));
  return [
    // 64 KiB and one event wait for a reader, beside what any stream costs; Node keeps a copy of the slice that it writes
    figure(
      `memory of a reader that takes nothing of ${slowEvents} events of 8 KB, at its peak (${more} readers against ${few})`,
      growth / (more - few),
      'KiB',
      64 + 8 + 15 + 16,
    ),
  ];
}

/** The most resident memory of a service while events come for so many streams of one user that nobody reads. */
async function peakKiB(database: EmbeddedPostgres, readers: number): Promise<number> {
  const service = await start(database, {
    NOTIFY_LIVE_MAX_STREAMS_PER_USER: String(readers),
    // or V8 keeps what nobody needs any more, since the machine has room for it
    NODE_OPTIONS: '--max-old-space-size=128',
  });
  const user = `slow-${readers}`;
  // larger than usual: the kernels of both sides take some MiB before a reader that stands still is felt
  const body = 'x'.repeat(8_000);
  const sockets: net.Socket[] = [];
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, residentKiB(service.pid));
  }, 50);
  try {
    await notify(service, 'warm-up', [user]);
    for (let i = 0; i < readers; i += 1) {
      const socket = net.connect(service.clientPort, '127.0.0.1');
      socket.on('error', () => {}).pause();
      socket.write(`GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer dev:${user}:bench\r\n\r\n`);
      sockets.push(socket);
    }
    await pause(2_000);
    let next = 0;
    const send = async () => {
      while (next < slowEvents) {
        const id = `slow-${next++}`;
        const isTaken = () =>
          notify(service, id, [user], body).then(
            () => true,
            () => false,
          );
        // a busy machine may make the service refuse some
        while (!(await isTaken())) await pause(50);
      }
    };
    await Promise.all(Array.from({ length: 32 }, send));
    return most;
  } finally {
    clearInterval(watch);
    for (const socket of sockets) socket.destroy();
    await service.stop();
  }
}

/**
 * What it adds to an event's way that the call comes to another replica than the one that holds the stream: each user has a stream
 * at both, so each event is compared with itself.
 */
async function replicas(
  database: EmbeddedPostgres,
  name: string,
  env: Record<string, string>,
): Promise<Figure[]> {
  const [here, there] = [await start(database, env), await start(database, env)];
  try {
    const [own, other] = [new Map<string, number>(), new Map<string, number>()];
    const streams = [
      await openStreams(here, 100, (title) => own.set(title, performance.now())),
      await openStreams(there, 100, (title) => other.set(title, performance.now())),
    ];
    await pause(2_000); // they know each other's users
    const user = () => `user-${Math.floor(Math.random() * 100)}`;
    await paced(here, new Map(), user, 200, 2_000); // warm
    const sentAt = new Map<string, number>();
    await paced(here, sentAt, user, 200, pacedMs);
    await pause(500);
    for (const stream of streams) stream.close();
    const since = (title: string, at: Map<string, number>, from: Map<string, number>) =>
      (at.get(title) ?? Number.NaN) - (from.get(title) ?? Number.NaN);
    const titles = [...sentAt.keys()];
    const added = titles.map((title) => since(title, other, own));
    const alone = titles.map((title) => since(title, own, sentAt));
    const told = (figures: number[]) =>
      `p50 ${percentile(figures, 0.5).toFixed(1)} ms, p99 ${percentile(figures, 0.99).toFixed(1)} ms`;
    return [
      {
        name: `what a second replica adds to call-to-event over ${name}, 200 notifications/s`,
        value: `${told(added)} (call to event at the first: ${told(alone)})`,
        target: '',
        met: true,
      },
    ];
  } finally {
    await Promise.all([here.stop(), there.stop()]);
  }
}

async function overRedis(database: EmbeddedPostgres): Promise<Figure[]> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return [];
  const port = await freePort();
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  });
  try {
    return await replicas(database, 'redis', { NOTIFY_REDIS_URL: `redis://127.0.0.1:${port}` });
  } finally {
    redis.kill();
    await once(redis, 'exit');
  }
}

const figure = (name: string, value: number, unit: string, target: number): Figure => ({
  name,
  value: `${value.toFixed(1)} ${unit}`,
  target: `at most ${target} ${unit}`,
  met: value <= target,
});

/** Says on stderr what is known already: the whole takes minutes. */
async function shown(figures: Promise<Figure[]>): Promise<Figure[]> {
  for (const { name, value } of await figures) process.stderr.write(`${name}: ${value}\n`);
  return figures;
}
