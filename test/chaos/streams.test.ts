/**
 * Replicas, networks and backplanes that fail at random, and streams that must show everything once and in order all the same: in
 * one process, as every change runs it. streams.chaos.ts is the same with processes that are killed, and at length.
 */
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { build, type Service } from '../support/build.ts';
import { keptPort } from '../support/kept-port.ts';
import { postgresForFile } from '../support/postgres.ts';
import { noRedis, TestRedis } from '../support/redis.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { lossy } from './support/lossy-transport.ts';
import { amount } from './support/scale.ts';
import { diceOf, lossRate, type Place, storm, stormEnv } from './support/stream-storm.ts';

const { postgres, skip } = await postgresForFile();
const seed = amount('SEED', { short: 20_261_122, long: 20_261_122 });
const restarts = 3;

interface BuiltPlace extends Place {
  service: Service;
  readonly env: Record<string, string>;
}

describe(`streams amid failures, seed ${seed}`, { skip }, () => {
  for (const backplane of ['postgres', 'redis'] as const)
    it(
      `over ${backplane} show everything once and in order`,
      { skip: backplane === 'redis' && noRedis, timeout: 120_000 },
      (t) => run(t, backplane),
    );
});

async function run(t: TestContext, backplane: 'postgres' | 'redis'): Promise<void> {
  const redis = backplane === 'redis' ? await TestRedis.start(t) : undefined;
  const dsn = await postgres().database();
  const dice = diceOf(seed, 10);
  const wrapTransport = lossy(() => dice() < lossRate);
  const places: BuiltPlace[] = [];
  for (let i = 0; i < 3; i++) {
    const [client, internal] = [await keptPort(), await keptPort()];
    const env = {
      ...stormEnv,
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn,
      NOTIFY_CLIENT_PORT: String(client),
      NOTIFY_INTERNAL_PORT: String(internal),
      ...(redis && { NOTIFY_REDIS_URL: redis.url() }),
    };
    places.push({
      service: await build(t, env, { wrapTransport }),
      proxy: await TcpProxy.listen(t, client),
      internal: `http://127.0.0.1:${internal}`,
      env,
    });
  }
  const restart = async (isOver: () => boolean) => {
    for (let i = 0; i < restarts && !isOver(); i++) {
      const place = places[i % places.length] as BuiltPlace;
      await pause(500);
      await place.service.close();
      place.service = await build(t, place.env, { wrapTransport });
    }
  };
  const flicker = async (isOver: () => boolean) => {
    while (redis && !isOver()) {
      await pause(900);
      await redis.kill();
      await pause(300);
      await redis.start();
    }
  };
  await storm(t, {
    places,
    seed,
    users: 20,
    notifications: 300,
    betweenMs: 10,
    troubles: [restart, flicker],
  });
}
