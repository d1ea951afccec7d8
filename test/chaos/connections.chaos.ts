import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { Load } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';
import { assertStoredOnce, untilDrained } from './support/truth.ts';

const { postgres, skip } = await postgresForFile();

/** Leases that outlast a few renewals that were cut off. */
const dispatcher = { leaseMs: 6_000, attemptTimeoutMs: 4_000, graceMs: 1_000, pollMs: 200 };

describe('every connection to Postgres killed every 200 ms under load', { skip }, () => {
  it('loses nothing that was acknowledged, creates nothing twice and sends nothing twice', async (t) => {
    const lastsMs = amount('CUTS_S', { short: 3, long: 10 }) * 1_000;
    const sink = await Sink.listen(t);
    const dsn = await postgres().database();
    const options = { dsn, sink, dispatcher };
    const replicas = await Promise.all([Replica.start(t, options), Replica.start(t, options)]);
    const load = new Load(t, { targets: () => replicas.map(({ url }) => url.internal) });
    await eventually('calls to be answered', () => load.acknowledged.size > 20);
    const name = new URL(dsn).pathname.slice(1);
    let cut = 0;
    for (const until = performance.now() + lastsMs; performance.now() < until; await pause(200)) {
      const rows = await postgres().sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
      );
      cut += rows.length;
    }
    const during = load.acknowledged.size;
    const since = performance.now();
    await eventually('calls to be answered as before', () => load.acknowledged.size > during + 20);
    const backAfterMs = performance.now() - since;
    await load.stop();
    for (const { status, code } of load.refusals) assert.deepEqual([status, code], [503, 'unavailable']);
    const [first] = replicas as [Replica, Replica];
    const deliveries = await untilDrained(first, sink, load.expected);
    await assertStoredOnce(load, deliveries, first);
    assert.deepEqual(sink.repeats, [], 'nothing was sent twice');
    t.diagnostic(
      `${cut} connections cut in ${lastsMs / 1_000} s: ${load.acknowledged.size} calls acknowledged, ${load.refusals.length} refused and repeated; 20 more calls ${Math.round(backAfterMs)} ms after the last cut`,
    );
  });
});
