import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { call, procedures } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';
import { assertRepeatsOnlyOfCrashes, untilDrained } from './support/truth.ts';

const { postgres, skip } = await postgresForFile();

describe('four replicas that drain a backlog, and are killed meanwhile', { skip }, () => {
  it('send all of it, and again only what was under way at a kill', async (t) => {
    const total = amount('BACKLOG', { short: 2_000, long: 20_000 });
    const kills = amount('DRAIN_KILLS', { short: 3, long: 6 });
    const sink = await Sink.listen(t);
    sink.latencyMs = () => 30;
    const dsn = await postgres().database();
    const replicas = await Promise.all(Array.from({ length: 4 }, () => Replica.start(t, { dsn, sink })));
    const alive = [...replicas];
    const [last] = alive.slice(-1) as [Replica];
    // all of it falls due in one moment
    const dueAtMs = Date.now() + total / 2 + 4_000;
    for (let from = 0; from < total; from += 1_000) {
      const users = Array.from({ length: Math.min(1_000, total - from) }, (_, i) => `user-${from + i}`);
      const { status, body } = await call(last.url.internal, procedures.notify, {
        tenantId: 'demo',
        notificationId: 'backlog',
        userIds: users,
        channels: ['DELIVERY_CHANNEL_EMAIL'],
        addresses: Object.fromEntries(users.map((id) => [id, { byChannel: { email: `${id}@example.org` } }])),
        title: 'a backlog',
        sendAtMs: String(dueAtMs),
      });
      assert.equal(status, 200, JSON.stringify(body));
    }
    assert.ok(Date.now() < dueAtMs, 'stored before it is due');
    for (let kill = 1; kill <= kills; kill++) {
      await eventually('a share to be sent', () => sink.size > (total * kill) / (kills + 1), 90_000);
      // the oldest, and a new one for it
      const [victim] = alive.splice(0, 1);
      await victim?.crash();
      const fresh = await Replica.start(t, { dsn, sink });
      replicas.push(fresh);
      alive.push(fresh);
    }
    const [witness] = alive as [Replica];
    const deliveries = await untilDrained(witness, sink, total, 120_000);
    assert.equal(deliveries.length, total);
    const tookMs = Math.max(...sink.arrivals.map(({ atMs }) => atMs)) + performance.timeOrigin - dueAtMs;
    const repeated = assertRepeatsOnlyOfCrashes(sink, replicas);
    // 32 at a time, and those of the moment before whose outcomes were not stored yet
    assert.ok(repeated <= kills * 64, `${repeated} went out again`);
    t.diagnostic(
      `${total} deliveries by 4 replicas with ${kills} kills in ${(tookMs / 1_000).toFixed(1)} s: ${repeated} sent again (${(repeated / kills).toFixed(1)} a kill)`,
    );
  });
});
