import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { as } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { openEvents } from '../support/sse.ts';
import { cannotFreeze, freeze } from './support/freeze.ts';
import { Load, type Refusal } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';
import { assertStoredOnce, untilDrained } from './support/truth.ts';

// what is acknowledged must survive a crash of the server
const { postgres, skip } = await postgresForFile({ settings: { synchronous_commit: 'on' } });

/** How long a call may take that finds Postgres gone, once that is known, in milliseconds. Connecting alone takes time here. */
const atOnceMs = 1_000;
/** How long it may take to notice that Postgres says nothing any more. */
const noticeMs = 6_000;

const isReady = async ({ url }: Replica): Promise<boolean> =>
  (await fetch(`${url.ops}/healthz`)).status === 200;

/** Takes Postgres away under load and brings it back. @param takeAway resolves with what brings it back */
async function outage(
  t: TestContext,
  lastsMs: number,
  takeAway: () => Promise<() => Promise<void> | void>,
): Promise<void> {
  const sink = await Sink.listen(t);
  sink.latencyMs = () => 30;
  const dsn = await postgres().database();
  // the outage outlasts the leases, and who comes back first must not take them over
  const leaseMs = Math.min(45_000, lastsMs * 0.45);
  const options = { dsn, sink, dispatcher: { leaseMs, attemptTimeoutMs: leaseMs * 0.6 } };
  const replicas = await Promise.all([Replica.start(t, options), Replica.start(t, options)]);
  const [first] = replicas as [Replica, Replica];
  const stream = await openEvents(first.url.client, { headers: as('watcher') });
  t.after(() => stream.close());
  await stream.next('inbox');
  const load = new Load(t, { targets: () => replicas.map(({ url }) => url.internal), callers: 24 });
  await eventually('calls to be answered', () => load.acknowledged.size > 50);
  // some are under way in the moment that it goes
  sink.latencyMs = () => 300;

  const bringBack = await takeAway();
  const goneAtMs = performance.now();
  t.after(bringBack);
  await eventually(
    'no replica to be ready',
    async () => !(await Promise.all(replicas.map(isReady))).includes(true),
  );
  const noticedAfterMs = performance.now() - goneAtMs;
  await pause(Math.max(0, lastsMs - (performance.now() - goneAtMs)));
  const refused = load.refusals.filter(({ atMs }) => atMs > goneAtMs);
  assertUnavailable(refused, goneAtMs);
  assert.ok(load.oldestWaitMs < atOnceMs, `a call has waited for ${Math.round(load.oldestWaitMs)} ms`);
  assert.ok(!stream.ended, 'the live stream is still open');

  await bringBack();
  const backAtMs = performance.now();
  const before = load.acknowledged.size;
  await eventually('calls to be acknowledged again', () => load.acknowledged.size > before);
  const acknowledgedAfterMs = performance.now() - backAtMs;
  await eventually(
    'all replicas to be ready',
    async () => !(await Promise.all(replicas.map(isReady))).includes(false),
  );
  await eventually('more calls', () => load.acknowledged.size > before + 50);
  sink.latencyMs = () => 5;
  await load.stop();
  const deliveries = await untilDrained(first, sink, load.expected, 90_000);
  await assertStoredOnce(load, deliveries, first);
  assert.deepEqual(
    sink.repeats.map((arrivals) => arrivals.map(({ pid, atMs }) => [pid, Math.round(atMs - goneAtMs)])),
    [],
    'nothing was sent twice',
  );
  const { status } = await fetch(
    `${first.url.internal}/elloloop.notify.v1.NotificationInternalService/Notify`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        tenantId: 'demo',
        notificationId: 'for-the-stream',
        userIds: ['watcher'],
        title: 'still here',
      }),
    },
  );
  assert.equal(status, 200);
  assert.equal(await stream.nextTitle(), 'still here');
  const slowest = Math.max(...refused.map(({ tookMs }) => tookMs));
  t.diagnostic(
    `away for ${lastsMs / 1000} s: not ready after ${Math.round(noticedAfterMs)} ms, ${refused.length} calls refused, the slowest after ${Math.round(slowest)} ms; acknowledged again ${Math.round(acknowledgedAfterMs)} ms after it was back; ${load.expected} deliveries, none twice`,
  );
}

/** Calls were refused with the right words, and none waited: but for those that were there when it went. */
function assertUnavailable(refused: readonly Refusal[], goneAtMs: number): void {
  assert.ok(refused.length > 20, `${refused.length} calls were refused`);
  for (const { status, code, retryAfter, tookMs, atMs } of refused) {
    assert.deepEqual([status, code], [503, 'unavailable']);
    assert.ok(Number(retryAfter) >= 1, `Retry-After: ${retryAfter}`);
    const beganMs = atMs - tookMs - goneAtMs;
    const limitMs = beganMs < noticeMs ? noticeMs : atOnceMs;
    assert.ok(
      tookMs < limitMs,
      `a call took ${Math.round(tookMs)} ms that began ${Math.round(beganMs)} ms after it went`,
    );
  }
}

describe('Postgres away under load', { skip }, () => {
  const seconds = [
    amount('OUTAGE_S', { short: 7, long: 10 }),
    amount('LONG_OUTAGE_S', { short: 7, long: 60 }),
  ];
  for (const lasts of new Set(seconds)) {
    it(`frozen for ${lasts} s`, { skip: cannotFreeze }, (t) =>
      outage(t, lasts * 1_000, () => freeze(postgres())),
    );

    it(`crashed, and started again after ${lasts} s`, (t) =>
      outage(t, lasts * 1_000, async () => {
        await postgres().stop('immediate');
        return () => postgres().start();
      }));
  }
});
