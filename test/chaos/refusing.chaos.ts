import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { Load } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';
import { tinyDisk } from './support/tiny-disk.ts';
import { assertStoredOnce, inboxOf, untilDrained } from './support/truth.ts';

const { postgres, skip } = await postgresForFile();

const dispatcher = { leaseMs: 6_000, attemptTimeoutMs: 4_000, graceMs: 1_000, pollMs: 200 };

/** Makes a Postgres that is there refuse to write, under load, for a while. */
async function refusal(
  t: TestContext,
  dsn: string,
  { begin, end, how }: { begin: () => Promise<void>; end: () => Promise<void>; how: string },
): Promise<void> {
  const lastsMs = amount('REFUSAL_S', { short: 3, long: 15 }) * 1_000;
  const sink = await Sink.listen(t);
  const options = { dsn, sink, dispatcher };
  const replicas = await Promise.all([Replica.start(t, options), Replica.start(t, options)]);
  const [first] = replicas as [Replica, Replica];
  const load = new Load(t, { targets: () => replicas.map(({ url }) => url.internal), bodyBytes: 3_000 });
  await eventually('calls to be answered', () => load.acknowledged.size > 20);
  // some outcomes are to be stored while it refuses
  sink.latencyMs = () => 100;
  t.after(end);
  await begin();
  const refusedBefore = load.refusals.length;
  await eventually('calls to be refused', () => load.refusals.length > refusedBefore + 10);
  await pause(lastsMs);
  // what is stored can still be read
  assert.ok((await inboxOf(first.url.client, 'user-1')).length > 0);
  await end();
  const since = performance.now();
  const during = load.acknowledged.size;
  await eventually('calls to be acknowledged again', () => load.acknowledged.size > during + 20);
  const backAfterMs = performance.now() - since;
  sink.latencyMs = () => 5;
  await load.stop();
  for (const { status, code, retryAfter, tookMs } of load.refusals) {
    assert.deepEqual([status, code], [503, 'unavailable']);
    assert.ok(Number(retryAfter) >= 1);
    assert.ok(tookMs < 5_000, `refused after ${Math.round(tookMs)} ms`);
  }
  const deliveries = await untilDrained(first, sink, load.expected);
  await assertStoredOnce(load, deliveries, first);
  assert.deepEqual(sink.repeats, [], 'nothing was sent twice');
  t.diagnostic(
    `${how}, for ${lastsMs / 1_000} s: ${load.refusals.length} calls unavailable, 20 calls acknowledged ${Math.round(backAfterMs)} ms after the end; ${load.expected} deliveries, none twice`,
  );
}

describe('a Postgres that refuses to write', { skip }, () => {
  it('read-only, as after a failover: unavailable, and on by itself', async (t) => {
    const set = async (value: string) => {
      await postgres().sql(`SET default_transaction_read_only = off`);
      await postgres().sql(`ALTER SYSTEM SET default_transaction_read_only = ${value}`);
      await postgres().sql('SELECT pg_reload_conf()');
    };
    await refusal(t, await postgres().database(), {
      begin: () => set('on'),
      end: () => set('off'),
      how: 'read-only',
    });
  });

  it('with a full disk: unavailable, and on by itself', async (t) => {
    const dsn = await postgres().database();
    const disk = await tinyDisk(t, postgres(), dsn);
    await refusal(t, dsn, { begin: disk.fill, end: disk.free, how: disk.how });
  });
});
