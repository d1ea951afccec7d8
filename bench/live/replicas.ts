import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { freePort } from '../../src/dev/free-port.ts';
import { openStreams } from '../event-sources.ts';
import { type Figure, percentile } from '../figures.ts';
import { startOn } from './common.ts';
import { paced } from './paced.ts';

const pacedMs = 5_000;

/**
 * What it adds to an event's way that the call comes to another replica than the one that holds the stream: each user has a stream
 * at both, so each event is compared with itself.
 */
export async function replicaFigures(
  database: EmbeddedPostgres,
  name: string,
  env: Record<string, string>,
): Promise<Figure[]> {
  const [here, there] = [await startOn(database, env), await startOn(database, env)];
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

/** The same over a Redis of its own; none where there is no Redis. */
export async function redisFigures(database: EmbeddedPostgres): Promise<Figure[]> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return [];
  const port = await freePort();
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  });
  try {
    return await replicaFigures(database, 'redis', { NOTIFY_REDIS_URL: `redis://127.0.0.1:${port}` });
  } finally {
    redis.kill();
    await once(redis, 'exit');
  }
}
