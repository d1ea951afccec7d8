/**
 * Streams of many users on replicas that are restarted one after the other and killed, behind networks that break, over backplanes
 * that lose texts, connections and their server. CHAOS_RUNS=20 runs it on twenty seeds, the first of which CHAOS_SEED names.
 */
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { keptPort } from '../support/kept-port.ts';
import { postgresForFile } from '../support/postgres.ts';
import { noRedis, TestRedis } from '../support/redis.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { diceOf, lossRate, type Place, pick, storm, stormEnv } from './support/stream-storm.ts';

const { postgres, skip } = await postgresForFile();
const firstSeed = amount('SEED', { short: 20_261_127, long: 20_261_127 });
const runs = amount('RUNS', { short: 1, long: 1 });
const users = amount('USERS', { short: 40, long: 200 });
const notifications = amount('NOTIFICATIONS', { short: 500, long: 5_000 });
const count = amount('REPLICAS', { short: 2, long: 4 });

describe('streams amid crashes', { skip }, () => {
  for (let seed = firstSeed; seed < firstSeed + runs; seed++)
    for (const backplane of ['postgres', 'redis'] as const)
      it(
        `over ${backplane} show everything once and in order, seed ${seed}`,
        { skip: backplane === 'redis' && noRedis, timeout: 600_000 },
        (t) => run(t, backplane, seed),
      );
});

async function run(t: TestContext, backplane: 'postgres' | 'redis', seed: number): Promise<void> {
  const redis = backplane === 'redis' ? await TestRedis.start(t) : undefined;
  const dsn = await postgres().database();
  const places = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      ProcessPlace.start(t, {
        ...stormEnv,
        CHAOS_LOSS: String(lossRate),
        CHAOS_SEED: String(seed * 31 + 100 + i),
        NOTIFY_POSTGRES_DSN: dsn,
        ...(redis && { NOTIFY_REDIS_URL: redis.url() }),
      }),
    ),
  );
  let [stopped, crashed, cut] = [0, 0, 0];
  const rollingRestart = async (isOver: () => boolean) => {
    for (let i = 0; !isOver(); i++) {
      await pause(1_000);
      if (await places[i % count]?.restart('SIGTERM')) stopped += 1;
    }
  };
  const crashes = async (isOver: () => boolean) => {
    const random = diceOf(seed, 11);
    while (!isOver()) {
      await pause(3_000 * random());
      if (await pick(places, random).restart('SIGKILL')) crashed += 1;
    }
  };
  const cutBackplane = async (isOver: () => boolean) => {
    const random = diceOf(seed, 12);
    while (!isOver()) {
      await pause(2_000 * random());
      cut += 1;
      if (redis) {
        await redis.kill();
        await pause(1_000 * random());
        await redis.start();
      } else
        await postgres().sql(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN notify%' OR query LIKE 'SELECT pg_notify%'`,
        );
    }
  };
  await storm(t, {
    places,
    seed,
    users,
    notifications,
    betweenMs: 8,
    troubles: [rollingRestart, crashes, cutBackplane],
  });
  t.diagnostic(`${stopped} replicas restarted, ${crashed} killed, the backplane cut ${cut} times`);
}

/** A replica as a process that goes and comes back on its ports. */
class ProcessPlace implements Place {
  readonly proxy: TcpProxy;
  readonly internal: string;
  readonly #start: () => Promise<Replica>;
  #replica: Replica;
  #isAway = false;

  static async start(
    t: Pick<TestContext, 'after'>,
    env: Readonly<Record<string, string>> & { readonly NOTIFY_POSTGRES_DSN: string },
  ): Promise<ProcessPlace> {
    const [client, internal] = [await keptPort(), await keptPort()];
    const ports = { NOTIFY_CLIENT_PORT: String(client), NOTIFY_INTERNAL_PORT: String(internal) };
    const start = () => Replica.start(t, { dsn: env.NOTIFY_POSTGRES_DSN, env: { ...env, ...ports } });
    const proxy = await TcpProxy.listen(t, client);
    return new ProcessPlace(proxy, `http://127.0.0.1:${internal}`, start, await start());
  }

  private constructor(proxy: TcpProxy, internal: string, start: () => Promise<Replica>, replica: Replica) {
    this.proxy = proxy;
    this.internal = internal;
    this.#start = start;
    this.#replica = replica;
  }

  /** @returns whether it did: not while it is away already */
  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<boolean> {
    if (this.#isAway) return false;
    this.#isAway = true;
    this.#replica.kill(signal);
    await this.#replica.exited;
    this.#replica = await this.#start();
    this.#isAway = false;
    return true;
  }
}
