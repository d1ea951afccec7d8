import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { dispatcherDefaults } from '../../src/core/dispatcher/settings.ts';
import { call, procedures } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { notifyBody } from './support/load.ts';
import { Replica, shortLeases } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';
import { untilDrained } from './support/truth.ts';

const { postgres, skip } = await postgresForFile();
const attemptsAtOnce = dispatcherDefaults.attemptsPerProvider;

describe('a replica that stands still for longer than its leases last, and goes on', { skip }, () => {
  it('sends nothing that another one was given meanwhile', async (t) => {
    const count = amount('PAUSED_DELIVERIES', { short: 200, long: 1_000 });
    const rounds = amount('PAUSES', { short: 1, long: 5 });
    const sink = await Sink.listen(t);
    const dsn = await postgres().database();
    const options = { dsn, sink, env: { NOTIFY_SYNC_ATTEMPT_TIMEOUT: '60s' } };
    const replicas = await Promise.all([Replica.start(t, options), Replica.start(t, options)]);
    const [sleeper, other] = replicas as [Replica, Replica];
    for (let round = 1; round <= rounds; round++) {
      sink.latencyMs = () => 500;
      const users = Array.from({ length: count }, (_, i) => `user-${i}`);
      const before = sink.arrivals.length;
      // one call has it hold all of them, far more than it may attempt at a time
      const answer = call(sleeper.url.internal, procedures.notify, notifyBody(`n-${round}`, users));
      await eventually('the first to be under way', () => sink.arrivals.length > before + 40);
      sleeper.kill('SIGSTOP');
      const stoppedAtMs = performance.now();
      sink.latencyMs = () => 5;
      await eventually('the other one to take over', () =>
        sink.arrivals.some(({ pid, atMs }) => pid === other.pid && atMs > stoppedAtMs),
      );
      await eventually('all to be sent', () => sink.size === count * round);
      // what it had sent is in nobody's hands any more
      await pause(shortLeases.leaseMs);
      sleeper.kill('SIGCONT');
      assert.equal((await answer).status, 200);
      await untilDrained(other, sink, count * round);
      // what it had begun it ends; everything else that it held it has lost
      const late = sink.repeats.filter((arrivals) =>
        arrivals.some(({ pid, atMs }) => pid === sleeper.pid && atMs > stoppedAtMs),
      );
      assert.ok(late.length <= attemptsAtOnce, `it sent ${late.length} that the other one had sent`);
    }
    t.diagnostic(
      `${rounds} times for ${shortLeases.leaseMs / 1_000} s and longer: ${sink.repeats.length} of ${count * rounds} sent again, which were under way`,
    );
    assert.ok(sink.repeats.length <= rounds * 2 * attemptsAtOnce, `${sink.repeats.length} went out again`);
  });
});
