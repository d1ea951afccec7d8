import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bufferLimitBytes, pendingHintsPerSession } from '../../../src/core/live/settings.ts';
import { liveBench, TestSink } from '../../support/live.ts';
import { slowly } from '../../support/wrapped-store.ts';

const alice = { tenantId: 'demo', userId: 'alice' };

describe('data-change hints', () => {
  const hint = { idempotencyKey: 'k', subjectRef: 'r', subjectType: 't' };

  it('come again every interval until acknowledged, to the session that has not acknowledged', async () => {
    const live = liveBench({ retryIntervalMs: 5_000, retryMaxAttempts: 3 });
    const a = await live.open();
    const b = await live.open();
    assert.equal(live.hub.publishHint([alice], hint), 2);
    live.hub.acknowledgeHint(alice, a.session.id, 'k');
    await live.ambient.clock.advance(60_000);
    assert.equal(a.sink.of('data_change').length, 1);
    assert.equal(b.sink.of('data_change').length, 1 + 3);
  });

  it('come once when redelivery is off', async () => {
    const live = liveBench({ retryMaxAttempts: 0 });
    const { sink } = await live.open();
    live.hub.publishHint([alice], hint);
    await live.ambient.clock.advance(60_000);
    assert.equal(sink.of('data_change').length, 1);
  });

  it('cannot be acknowledged by another user, nor in another tenant', async () => {
    const live = liveBench();
    const { sink, session } = await live.open();
    live.hub.publishHint([alice], hint);
    live.hub.acknowledgeHint({ tenantId: 'demo', userId: 'bob' }, session.id, 'k');
    live.hub.acknowledgeHint({ tenantId: 'other', userId: 'alice' }, session.id, 'k');
    await live.ambient.clock.advance(5_000);
    assert.equal(sink.of('data_change').length, 2);
  });

  it('reach only the users named, in their tenant', async () => {
    const live = liveBench();
    const other = await live.open({ tenant: 'other' });
    assert.equal(live.hub.publishHint([alice], hint), 0);
    assert.equal(other.sink.of('data_change').length, 0);
  });

  it('wait for the first heartbeat of a stream that is opening', async () => {
    const live = liveBench({}, (store) => slowly(store));
    const sink = new TestSink();
    const opening = live.open({ sink });
    live.hub.publishHint([alice], hint);
    await opening;
    for (let turn = 0; turn < 20; turn += 1) await live.settle();
    assert.deepEqual(sink.kinds.slice(0, 2), ['heartbeat', 'data_change']);
  });

  it('are not heaped on a stream that is opening: its reader is sent what it takes, and the rest when it has', async () => {
    const live = liveBench({}, (store) => slowly(store));
    const sink = new TestSink();
    sink.stalled = true;
    const opening = live.open({ sink });
    for (let i = 0; i < 900; i += 1) live.hub.publishHint([alice], { ...hint, idempotencyKey: `k-${i}` });
    await opening;
    for (let turn = 0; turn < 20; turn += 1) await live.settle();
    assert.ok(sink.bufferedBytes() <= bufferLimitBytes + 100, `${sink.bufferedBytes()} bytes wait`);
    assert.ok(sink.of('data_change').length > 0);
    sink.drain();
    for (let turn = 0; turn < 20; turn += 1) await live.settle();
    assert.equal(sink.of('data_change').length, 900);
  });

  for (const retryMaxAttempts of [3, 0])
    it(`come to a reader that is slow once it has caught up, and are then repeated ${retryMaxAttempts} times`, async () => {
      const live = liveBench({ retryIntervalMs: 5_000, retryMaxAttempts });
      const quick = await live.open();
      const sink = new TestSink();
      await live.open({ sink });
      sink.stalled = true;
      for (let i = 0; i < 10; i += 1) await live.notify(`n-${i}`, { body: 'x'.repeat(10_000) });
      assert.equal(live.hub.publishHint([alice], hint), 2);
      for (let i = 0; i < 10; i += 1) {
        await live.ambient.clock.advance(5_000);
        sink.take(1_000);
      }
      assert.equal(sink.of('data_change').length, 0);
      assert.equal(quick.sink.of('data_change').length, 1 + retryMaxAttempts);
      sink.drain();
      await live.settle();
      assert.equal(sink.ids.length, 10);
      assert.equal(sink.of('data_change').length, 1);
      await live.ambient.clock.advance(60_000);
      assert.equal(sink.of('data_change').length, 1 + retryMaxAttempts);
    });

  it('come to a reader that nothing else is for, once it has taken what it was sent', async () => {
    const live = liveBench({ retryMaxAttempts: 0 });
    const { sink } = await live.open();
    sink.stalled = true;
    await live.notify('large', { body: 'x'.repeat(100_000) });
    live.hub.publishHint([alice], hint);
    await live.ambient.clock.advance(1_000);
    sink.drain();
    await live.settle();
    assert.deepEqual(sink.of('data_change'), [{ kind: 'data_change', hint }]);
  });

  it('that are published again after they were acknowledged begin anew', async () => {
    const live = liveBench({ retryIntervalMs: 5_000, retryMaxAttempts: 3 });
    const { sink, session } = await live.open();
    live.hub.publishHint([alice], hint);
    await live.ambient.clock.advance(13_000);
    live.hub.acknowledgeHint(alice, session.id, 'k');
    await live.ambient.clock.advance(1_000);
    const times: number[] = [];
    const from = live.ambient.clock.now();
    live.hub.publishHint([alice], hint);
    let seen = sink.of('data_change').length - 1;
    for (let second = 0; second < 60; second += 1) {
      for (; seen < sink.of('data_change').length; seen += 1) times.push(live.ambient.clock.now() - from);
      await live.ambient.clock.advance(1_000);
    }
    assert.deepEqual(times, [0, 5_000, 10_000, 15_000]);
  });

  it('leave no timer behind once everybody has acknowledged or is gone', async () => {
    const live = liveBench({ retryIntervalMs: 3_600_000 });
    const a = await live.open();
    const b = await live.open();
    const before = live.ambient.clock.pending;
    for (let i = 0; i < 100; i += 1) {
      live.hub.publishHint([alice], { ...hint, idempotencyKey: `k-${i}` });
      live.hub.acknowledgeHint(alice, a.session.id, `k-${i}`);
    }
    assert.equal(live.ambient.clock.pending, before + 100);
    b.session.gone();
    assert.equal(live.ambient.clock.pending, before);
  });

  it('beyond what may wait for one session go, the oldest first', async () => {
    const live = liveBench({ retryIntervalMs: 5_000, retryMaxAttempts: 1 });
    const { sink } = await live.open();
    for (let i = 0; i <= pendingHintsPerSession; i += 1)
      live.hub.publishHint([alice], { ...hint, idempotencyKey: `k-${i}` });
    await live.ambient.clock.advance(5_000);
    const repeated = sink.of('data_change').slice(pendingHintsPerSession + 1);
    assert.equal(repeated.length, pendingHintsPerSession);
    assert.equal(repeated[0]?.hint.idempotencyKey, 'k-1');
  });
});
