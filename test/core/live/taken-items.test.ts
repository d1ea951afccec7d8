import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NotifyError } from '../../../src/core/errors.ts';
import { takenPerWrite } from '../../../src/core/live/settings.ts';
import { wireStatus } from '../../../src/core/status.ts';
import { liveBench, TestSink } from '../../support/live.ts';
import { storeWith } from '../../support/wrapped-store.ts';

const alice = { tenantId: 'demo', userId: 'alice' };

/** A hub whose store does not record outcomes while there is a `failure`, and how many it was handed at a time. */
function recordingBench() {
  const store: { failure: Error | undefined; batches: number[] } = { failure: undefined, batches: [] };
  const live = liveBench({}, (memory) =>
    storeWith(memory, {
      async recordOutcomes(outcomes) {
        store.batches.push(outcomes.length);
        if (store.failure) throw store.failure;
        return memory.recordOutcomes(outcomes);
      },
    }),
  );
  const statusOf = async (id: string) => wireStatus(await live.store.getNotification(alice, id));
  return { live, store, statusOf };
}

const away = new NotifyError('unavailable', 'the store is away');

describe('what streams took', () => {
  it('is recorded once the store is back, and only then told to whoever waits', async () => {
    for (const failure of [away, new Error('a moment')]) {
      const { live, store, statusOf } = recordingBench();
      await live.open();
      store.failure = failure;
      const { id } = await live.notify('one');
      let isTold = false;
      live.hub.whenTaken(id, () => {
        isTold = true;
      });
      await live.ambient.clock.advance(2_000);
      assert.deepEqual([await statusOf(id), isTold], ['pending', false]);
      store.failure = undefined;
      await live.ambient.clock.advance(5_000);
      assert.deepEqual([await statusOf(id), isTold], ['delivered', true]);
      await live.ambient.clock.advance(1);
      assert.deepEqual((await live.open()).sink.ids, []);
    }
  });

  it('waits for a store that is away for an hour, and asks it less and less often', async () => {
    const { live, store, statusOf } = recordingBench();
    await live.open();
    store.failure = away;
    const { id } = await live.notify('one');
    await live.ambient.clock.advance(3_600_000);
    assert.ok(store.batches.length < 130, `${store.batches.length} tries`);
    store.failure = undefined;
    await live.ambient.clock.advance(30_000);
    assert.equal(await statusOf(id), 'delivered');
    assert.deepEqual(
      live.seen.filter((line) => line.startsWith('failed')),
      [`failed record delivered: ${String(away)}`],
      'said once',
    );
  });

  it('is given up where the store is there and does not take it, and the next stream is sent it again', async () => {
    const { live, store, statusOf } = recordingBench();
    await live.open();
    store.failure = new Error('never');
    const one = await live.notify('one');
    await live.ambient.clock.advance(600_000);
    store.failure = undefined;
    const two = await live.notify('two');
    await live.settle();
    assert.deepEqual([await statusOf(one.id), await statusOf(two.id)], ['pending', 'delivered']);
    await live.ambient.clock.advance(1);
    assert.deepEqual((await live.open()).sink.ids, ['one']);
  });

  it('is recorded in batches of a bounded size', async () => {
    const { live, store } = recordingBench();
    const users = Array.from({ length: 2 * takenPerWrite + 1 }, (_, i) => `user-${i}`);
    await Promise.all(users.map((user) => live.open({ user })));
    const items = await Promise.all(users.map((user) => live.notify('one', { user, quiet: true })));
    for (const item of items) live.hub.publish(item);
    await live.settle();
    assert.deepEqual(store.batches, [takenPerWrite, takenPerWrite, 1]);
    await live.ambient.clock.advance(1);
    assert.deepEqual((await live.open({ user: 'user-0' })).sink.ids, []);
    assert.deepEqual((await live.open({ user: users.at(-1) ?? '' })).sink.ids, []);
  });

  it('is counted once for each item, when its first bytes have left, however many tabs show it', async () => {
    const { live } = recordingBench();
    const slow = new TestSink();
    for (const sink of [slow, new TestSink(), new TestSink()]) await live.open({ sink });
    slow.stalled = true;
    await live.notify('one');
    await live.ambient.clock.advance(1_000);
    slow.drain();
    const { sink } = await live.open({ user: 'bob' });
    sink.stalled = true;
    await live.notify('two', { user: 'bob' });
    await live.ambient.clock.advance(300);
    sink.drain();
    await live.settle();
    assert.deepEqual(
      live.seen.filter((line) => line.startsWith('delivered')),
      ['delivered after 0 ms', 'delivered after 300 ms'],
    );
  });

  it('does not hold up a stop when the store is away', async () => {
    const { live, store } = recordingBench();
    await live.open();
    store.failure = away;
    await live.notify('one');
    await live.ambient.clock.advance(10_000);
    const stopped = live.hub.drain(0);
    await live.settle();
    await stopped;
    assert.equal(live.ambient.clock.pending, 0, 'no timer is left behind');
  });

  it('counts as taken when its bytes have left: a stream that opened before is sent it too', async () => {
    const live = liveBench({}, (store) =>
      storeWith(store, {
        async inboxSummary(owner) {
          await gate;
          return store.inboxSummary(owner);
        },
      }),
    );
    let gate: Promise<void> | undefined;
    const slow = new TestSink();
    await live.open({ sink: slow });
    slow.stalled = true;
    const { id } = await live.notify('one');
    await live.ambient.clock.advance(3_000);
    let go = () => {};
    gate = new Promise((resolve) => {
      go = resolve;
    });
    const opening = live.open();
    await live.ambient.clock.advance(10);
    slow.drain();
    await live.settle();
    assert.equal(wireStatus(await live.store.getNotification(alice, id)), 'delivered');
    go();
    const { sink } = await opening;
    await live.settle();
    assert.deepEqual(sink.ids, ['one']);
  });
});
