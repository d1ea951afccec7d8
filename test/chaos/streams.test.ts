/**
 * Replicas, networks and backplanes that fail at random, and streams that must show everything once and in order all the same.
 * Short by default; `NOTIFY_CHAOS=long` runs it at length, and `NOTIFY_CHAOS_SEED` on other dice.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Transport } from '../../src/core/backplane/transport.ts';
import { freePort } from '../../src/dev/free-port.ts';
import { mulberry32 } from '../support/ambient.ts';
import { build, call, procedures, type Service } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { noRedis, TestRedis } from '../support/redis.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { StreamChain } from './stream-chain.ts';

const { postgres, skip } = await postgresForFile();
const isLong = process.env.NOTIFY_CHAOS === 'long';
const seed = Number(process.env.NOTIFY_CHAOS_SEED ?? 20_261_122);
const size = isLong
  ? { users: 200, notifications: 5_000, replicas: 4, betweenMs: 12, restarts: 8 }
  : { users: 20, notifications: 300, replicas: 3, betweenMs: 10, restarts: 3 };

/** How often a text between replicas is lost. */
const lossRate = 0.1;
/** After everything is whole again, whatever was missed is found by then: long before a stream's next heartbeat. */
const healMs = 15_000;

/** A replica on ports that it keeps, behind a network of its own. */
interface Place {
  service: Service;
  readonly proxy: TcpProxy;
  readonly env: Record<string, string>;
}

describe(`streams amid failures, seed ${seed}`, { skip }, () => {
  for (const backplane of ['postgres', 'redis'] as const)
    it(
      `over ${backplane} show everything once and in order`,
      {
        skip: backplane === 'redis' && noRedis,
        timeout: isLong ? 600_000 : 120_000,
      },
      (t) => run(t, backplane),
    );
});

async function run(t: TestContext, backplane: 'postgres' | 'redis'): Promise<void> {
  // a step's dice do not depend on how far the others are
  const dice = (n: number) => mulberry32(seed * 31 + n);
  const redis = backplane === 'redis' ? await TestRedis.start(t) : undefined;
  const dsn = await postgres().database();
  const isLossy = { on: true };
  const wrapTransport = lossy(dice(1), isLossy);
  const places: Place[] = [];
  for (let i = 0; i < size.replicas; i++) {
    const [client, internal] = [await freePort(), await freePort()];
    const env = {
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn,
      NOTIFY_CLIENT_PORT: String(client),
      NOTIFY_INTERNAL_PORT: String(internal),
      NOTIFY_SHUTDOWN_TIMEOUT: '2s',
      // not what saves a stream here
      NOTIFY_LIVE_HEARTBEAT_INTERVAL: '10m',
      NOTIFY_LIVE_CONFIRM_TIMEOUT: '50ms',
      ...(redis && { NOTIFY_REDIS_URL: redis.url() }),
    };
    places.push({
      service: await build(t, env, { wrapTransport }),
      proxy: await TcpProxy.listen(t, client),
      env,
    });
  }

  const where = dice(2);
  const chains: StreamChain[] = [];
  t.after(() => {
    for (const chain of chains) chain.close();
  });
  for (let i = 0; i < size.users * 2; i++)
    chains.push(new StreamChain(`user-${i >> 1}`, () => pick(places, where).proxy.url, where, 1_500));

  const sent = new Map<string, number>();
  let isOver = false;
  const failing = fail(places, dice(3), () => isOver);
  const restarting = restart(t, places, wrapTransport, () => isOver);
  const flickering = redis && flicker(redis, () => isOver);
  await send(places, dice(4), sent);
  isOver = true;
  await Promise.all([failing, restarting, flickering]);
  isLossy.on = false;
  for (const chain of chains) chain.stay();

  const missing = () =>
    chains.filter(({ user, positions }) => positions.length < (sent.get(user) ?? 0)).length;
  await eventually('every stream has everything', () => missing() === 0, healMs).catch(() => {});
  for (const { user, positions, resets } of chains) {
    const expected = Array.from({ length: sent.get(user) ?? 0 }, (_, i) => i + 1);
    assert.deepEqual(positions, expected, `${user}, seed ${seed}`);
    assert.equal(resets, 0, `${user} was reset, seed ${seed}`);
  }
  const connections = chains.reduce((sum, { opened }) => sum + opened, 0);
  t.diagnostic(`${chains.length} streams over ${connections} connections`);
}

/** Producers: a call that fails is repeated elsewhere, which the notification's id makes harmless. */
async function send(
  places: readonly Place[],
  random: () => number,
  sent: Map<string, number>,
): Promise<void> {
  const calls: Promise<void>[] = [];
  for (let i = 0; i < size.notifications; i++) {
    const userIds = [...new Set([`user-${Math.floor(random() * size.users)}`, `user-${i % size.users}`])];
    for (const user of userIds) sent.set(user, (sent.get(user) ?? 0) + 1);
    calls.push(notify(places, i, userIds, random));
    await pause(size.betweenMs * random() * 2);
  }
  await Promise.all(calls);
}

async function notify(
  places: readonly Place[],
  i: number,
  userIds: string[],
  random: () => number,
): Promise<void> {
  const body = {
    tenantId: 'demo',
    notificationId: `n-${i}`,
    userIds,
    title: `n-${i}`,
    body: 'x'.repeat(i % 500),
  };
  await eventually(
    `notification ${i} is taken`,
    async () => {
      const { status } = await call(pick(places, random).service.url.internal, procedures.notify, body);
      return status === 200;
    },
    60_000,
  );
}

/** Networks between clients and replicas that are cut, stalled and slowed. All are whole at the end. */
async function fail(places: readonly Place[], random: () => number, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const { proxy } = pick(places, random);
    const what = random();
    if (what < 0.4) proxy.cut();
    else if (what < 0.7) proxy.stall();
    else proxy.slow(2_000);
    await pause(50 + random() * 400);
    proxy.resume();
    proxy.slow(Number.POSITIVE_INFINITY);
  }
}

/** Replicas that go and come back, one after the other. */
async function restart(
  t: TestContext,
  places: readonly Place[],
  wrapTransport: (transport: Transport) => Transport,
  isOver: () => boolean,
): Promise<void> {
  for (let i = 0; i < size.restarts && !isOver(); i++) {
    const place = places[i % places.length] as Place;
    await pause(500);
    await place.service.close();
    place.service = await build(t, place.env, { wrapTransport });
  }
}

async function flicker(redis: TestRedis, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await pause(900);
    await redis.kill();
    await pause(300);
    await redis.start();
  }
}

/** A backplane that loses texts now and then. */
const lossy =
  (random: () => number, state: { readonly on: boolean }) =>
  (transport: Transport): Transport => ({
    name: transport.name,
    textBytes: transport.textBytes,
    open: (events) =>
      transport.open({
        connected: () => events.connected(),
        lost: (error) => events.lost(error),
        received: (text) => {
          if (!state.on || random() >= lossRate) events.received(text);
        },
      }),
    send: (texts) => transport.send(texts),
    renew: (reason) => transport.renew(reason),
    close: () => transport.close(),
  });

const pick = <T>(from: readonly T[], random: () => number): T =>
  from[Math.floor(random() * from.length)] as T;
