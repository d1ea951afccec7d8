import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { mulberry32 } from '../../support/ambient.ts';
import { call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import type { TcpProxy } from '../../support/tcp-proxy.ts';
import { StreamChain } from './stream-chain.ts';

/** A replica on ports that it keeps, behind a network of its own. */
export interface Place {
  /** What clients connect to. */
  readonly proxy: TcpProxy;
  /** http://127.0.0.1:<port> of the internal listener. */
  readonly internal: string;
}

export interface StormOptions {
  readonly places: readonly Place[];
  readonly seed: number;
  /** Each has two streams, which go away and come back at any moment. */
  readonly users: number;
  /** Calls; each is for two users. */
  readonly notifications: number;
  /** Between two of those, on average. */
  readonly betweenMs: number;
  /** What goes wrong meanwhile. Each ends, and leaves everything whole, soon after `isOver` says so. */
  readonly troubles: readonly ((isOver: () => boolean) => Promise<void>)[];
}

/** Texts between replicas that are lost, of all. */
export const lossRate = 0.1;

/** What replicas that run in a storm are set to. */
export const stormEnv = {
  NOTIFY_SHUTDOWN_TIMEOUT: '2s',
  // not what saves a stream here
  NOTIFY_LIVE_HEARTBEAT_INTERVAL: '10m',
  NOTIFY_LIVE_CONFIRM_TIMEOUT: '50ms',
} as const;

/**
 * After everything is whole again, whatever was missed is found by then: long before a stream's next heartbeat, and before its chain
 * would open a new one. It is within two seconds where the machine has the time to replay to all of them at once.
 */
const healMs = 45_000;

/** Dice for one of those who throw them: their throws do not depend on how far the others are. */
export const diceOf = (seed: number, who: number): (() => number) => mulberry32(seed * 31 + who);

export const pick = <T>(from: readonly T[], random: () => number): T =>
  from[Math.floor(random() * from.length)] as T;

/**
 * Notifies users while everything between producers and streams fails at random, and then asserts that each stream, over all its
 * connections, has seen every position exactly once and in order.
 */
export async function storm(t: TestContext, options: StormOptions): Promise<void> {
  const { places, seed, users } = options;
  const where = diceOf(seed, 1);
  const chains = Array.from(
    { length: users * 2 },
    (_, i) => new StreamChain(`user-${i >> 1}`, () => pick(places, where).proxy.url, where, 1_500),
  );
  t.after(() => {
    for (const chain of chains) chain.close();
  });
  const sent = new Map<string, number>();
  let isOver = false;
  const startedMs = performance.now();
  const end = () => {
    isOver = true;
  };
  const troubles = [breakNetworks(places, diceOf(seed, 2)), ...options.troubles].map((trouble) =>
    trouble(() => isOver).catch((error: unknown) => {
      end(); // of all of it
      throw error;
    }),
  );
  // what they start must not outlive the test
  const ends = await Promise.allSettled([send(options, sent, () => isOver).finally(end), ...troubles]);
  for (const ended of ends) if (ended.status === 'rejected') throw ended.reason;
  assert.ok(
    [...sent.values()].reduce((sum, count) => sum + count, 0) >= options.notifications,
    'all notifications were sent',
  );
  for (const chain of chains) chain.stay();

  const short = () => chains.filter(({ user, positions }) => positions.length < (sent.get(user) ?? 0));
  const wholeMs = performance.now();
  await eventually('every stream has everything', () => short().length === 0, healMs).catch(() => {
    for (const chain of short().slice(0, 10)) t.diagnostic(`short: ${chain.describe()}`);
  });
  for (const { user, positions, resets } of chains) {
    const expected = Array.from({ length: sent.get(user) ?? 0 }, (_, i) => i + 1);
    assert.deepEqual(positions, expected, `${user}, seed ${seed}`);
    assert.equal(resets, 0, `${user} was reset, seed ${seed}`);
  }
  const connections = chains.reduce((sum, { opened }) => sum + opened, 0);
  const items = chains.reduce((sum, { positions }) => sum + positions.length, 0);
  t.diagnostic(
    `seed ${seed}: ${chains.length} streams over ${connections} connections saw ${items} items, in ${Math.round((wholeMs - startedMs) / 1_000)} s and ${Math.round(performance.now() - wholeMs)} ms after it`,
  );
}

/** Producers: a call that fails is repeated elsewhere, which the notification's id makes harmless. */
async function send(options: StormOptions, sent: Map<string, number>, isOver: () => boolean): Promise<void> {
  const { users, notifications, betweenMs } = options;
  const random = diceOf(options.seed, 3);
  const calls: Promise<void>[] = [];
  for (let i = 0; i < notifications && !isOver(); i++) {
    const userIds = [...new Set([`user-${Math.floor(random() * users)}`, `user-${i % users}`])];
    for (const user of userIds) sent.set(user, (sent.get(user) ?? 0) + 1);
    calls.push(notify(options.places, i, userIds, random));
    await pause(betweenMs * random() * 2);
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
      const { status } = await call(pick(places, random).internal, procedures.notify, body);
      return status === 200;
    },
    60_000,
  );
}

/** Networks between clients and replicas that are cut, stalled and slowed. */
const breakNetworks =
  (places: readonly Place[], random: () => number) =>
  async (isOver: () => boolean): Promise<void> => {
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
  };
