import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { call, procedures } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { notifyBody } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { type Arrival, Sink } from './support/sink.ts';
import { inboxOf, untilDrained } from './support/truth.ts';

const { postgres, skip } = await postgresForFile();

const dispatcher = { leaseMs: 3_000, attemptTimeoutMs: 60_000, graceMs: 200, pollMs: 100 };

const notify = async (replica: Replica, body: unknown): Promise<void> => {
  const { status, body: answer } = await call(replica.url.internal, procedures.notify, body);
  assert.equal(status, 200, JSON.stringify(answer));
};

/** UTC epoch milliseconds. */
const arrivedAt = ({ atMs }: Arrival): number => performance.timeOrigin + atMs;

describe('replicas whose clocks are 30 s fast and slow, beside one that is right', { skip }, () => {
  const holdMs = amount('HOLD_S', { short: 5, long: 20 }) * 1_000;
  const aheadMs = amount('SCHEDULE_S', { short: 4, long: 20 }) * 1_000;

  it('take no lease that is not over, and fire no schedule early', async (t) => {
    const sink = await Sink.listen(t);
    const dsn = await postgres().database();
    const options = { dsn, sink, dispatcher, env: { NOTIFY_SYNC_ATTEMPT_TIMEOUT: '300ms' } };
    const replicas = await Promise.all(
      [0, 30_000, -30_000].map((clockShiftMs) => Replica.start(t, { ...options, clockShiftMs })),
    );
    // the provider takes longer than a lease lasts, so that holders have to renew
    sink.latencyMs = () => holdMs;
    await Promise.all(replicas.map((replica, i) => notify(replica, notifyBody(`held-${i}`, [`ada-${i}`]))));
    const dueAtMs = Date.now() + aheadMs;
    await Promise.all(
      replicas.map((replica, i) => notify(replica, notifyBody(`later-${i}`, [`eve-${i}`], dueAtMs))),
    );
    const shown = new Set<string>();
    await eventually(
      'the scheduled items to appear',
      async () => {
        for (const { url } of replicas)
          for (const i of replicas.keys())
            for (const id of await inboxOf(url.client, `eve-${i}`)) {
              assert.ok(Date.now() >= dueAtMs - 20, `${id} was in an inbox ${dueAtMs - Date.now()} ms early`);
              shown.add(id);
            }
        return shown.size === replicas.length;
      },
      aheadMs + 10_000,
    );
    const [first] = replicas;
    assert.ok(first);
    await untilDrained(first, sink, 2 * replicas.length, holdMs + 20_000);
    assert.deepEqual(sink.repeats, [], 'each went out once');
    const lateMs = sink.arrivals
      .filter(({ notificationId }) => notificationId.startsWith('later'))
      .map((arrival) => Math.round(arrivedAt(arrival) - dueAtMs));
    for (const ms of lateMs) assert.ok(ms > -20 && ms < 5_000, `a scheduled message went out ${ms} ms late`);
    t.diagnostic(`scheduled messages went out ${lateMs.join(', ')} ms after their time`);
  });
});
