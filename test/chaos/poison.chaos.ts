import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { call, procedures } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { notifyBody } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';
import { emailDeliveries, retryDeliveries, untilDrained } from './support/truth.ts';

const { postgres, skip } = await postgresForFile();

describe('a delivery whose attempt ends the process', { skip }, () => {
  it('is set aside after three crashes, and the others get through', async (t) => {
    const others = amount('POISON_OTHERS', { short: 60, long: 600 });
    const sink = await Sink.listen(t);
    sink.latencyMs = () => 20;
    const dsn = await postgres().database();
    const dispatcher = { leaseMs: 1_500, attemptTimeoutMs: 1_000, graceMs: 200, pollMs: 100 };
    const env = { CHAOS_DEADLY: 'mallory@example.org' };
    let current = await Replica.start(t, { dsn, sink, dispatcher, env });
    let crashes = 0;
    let isOver = false;
    // as an orchestrator would
    const supervisor = (async () => {
      while (!isOver) {
        const { code } = await current.exited;
        if (isOver) return;
        assert.equal(code, 70, current.stdout + current.stderr);
        crashes += 1;
        current = await Replica.start(t, { dsn, sink, dispatcher, env });
      }
    })();
    supervisor.catch(() => {}); // looked at below
    t.after(() => {
      isOver = true;
    });
    // all at once, so that the guilty one is among them wherever they wait
    const users = Array.from({ length: others }, (_, i) => `user-${i}`);
    users.splice(others / 2, 0, 'mallory');
    const body = notifyBody('n', users, Date.now() + 500);
    assert.equal((await call(current.url.internal, procedures.notify, body)).status, 200);

    const setAside = eventually(
      'the guilty one to be set aside, and all others to be delivered',
      async () => {
        const found = await emailDeliveries(current.url.internal);
        const open = found.filter(({ status }) => status === 'DELIVERY_STATUS_PENDING');
        return open.length === 0 && found.length === others + 1 && found;
      },
      120_000,
    );
    setAside.catch(() => {}); // where the supervisor says why
    const deliveries = await Promise.race([setAside, supervisor.then(() => setAside)]);
    const guilty = deliveries.filter(({ userId }) => userId === 'mallory');
    assert.deepEqual(
      guilty.map(({ status, reason }) => [status, reason]),
      [['DELIVERY_STATUS_FAILED', 'poison']],
    );
    for (const { userId, status, reason } of deliveries)
      if (userId !== 'mallory') assert.equal(status, 'DELIVERY_STATUS_DELIVERED', `${userId}: ${reason}`);
    assert.equal(crashes, 3);
    assert.equal(sink.size, others);

    // an operator sends it again once what was wrong is mended
    isOver = true;
    await current.crash();
    await supervisor;
    const mended = await Replica.start(t, { dsn, sink, dispatcher });
    await retryDeliveries(
      mended.url.internal,
      guilty.map(({ id }) => id),
    );
    await untilDrained(mended, sink, others + 1);
    t.diagnostic(`${crashes} crashes, ${sink.repeats.length} of ${others} others sent again`);
  });
});
