import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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
});
