import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { liveBench, TestSink } from '../../support/live.ts';

/** A stream to which something cannot be written: its encoder throws. */
class UnwritableSink extends TestSink {
  unwritable: string[] = [];

  override send(...args: Parameters<TestSink['send']>): void {
    if (this.unwritable.includes(args[0].kind)) throw new Error('not an int32: 1.5');
    super.send(...args);
  }
}

describe('a look at the store for many streams', () => {
  for (const unwritable of [['heartbeat'], ['heartbeat', 'end']])
    it(`ends the one to which no ${unwritable.join(' and no ')} can be written, and no other`, async () => {
      const live = liveBench({ heartbeatIntervalMs: 30_000 });
      const sink = new UnwritableSink();
      const { session } = await live.open({ sink });
      // in one slot of the wheel, before and behind it
      const others = [await live.open({ user: 'bob' }), await live.open({ user: 'carol' })];
      sink.unwritable = unwritable;
      await live.ambient.clock.advance(31_000);
      assert.equal(session.ended, true);
      assert.equal(sink.finished || sink.destroyed, true, 'its response is over too');
      for (const other of others) assert.equal(other.sink.of('heartbeat').length, 2);
      assert.ok(live.seen.some((line) => line.startsWith('failed stream')));
    });
});

describe('heartbeats', () => {
  it('of many streams at once leave turns of the event loop to others', async () => {
    let answered = Promise.resolve();
    const live = liveBench({ heartbeatIntervalMs: 320 }, (store) => {
      const changed = store.changedInboxes.bind(store);
      store.changedInboxes = (known) => answered.then(() => changed(known));
      return store;
    });
    let [beats, turns, isCounted] = [0, 0, false];
    class CountingSink extends TestSink {
      override send(...args: Parameters<TestSink['send']>): void {
        super.send(...args);
        beats += 1;
        if (isCounted) return;
        isCounted = true;
        turns += 1;
        setImmediate(() => {
          isCounted = false;
        });
      }
    }
    for (let i = 0; i < 640; i++) await live.open({ user: `user-${i}`, sink: new CountingSink() });
    await live.ambient.clock.advance(10_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    answered = promise;
    // two groups wait for the store, and all others are the next one
    await live.ambient.clock.advance(1_000);
    [beats, turns] = [0, 0];
    resolve();
    await eventually('all are beaten', () => beats >= 640);
    assert.ok(turns >= 6, `${beats} in ${turns} turns`);
  });

  it('ask a slow store for no more than two groups at once, and come again when it is fast', async () => {
    let slowMs = 5_000;
    let [underWay, most] = [0, 0];
    const live = liveBench({ heartbeatIntervalMs: 320 }, (store) => {
      const changed = store.changedInboxes.bind(store);
      store.changedInboxes = async (known) => {
        most = Math.max(most, ++underWay);
        await new Promise<void>((resolve) => live.ambient.clock.after(slowMs, resolve));
        underWay -= 1;
        return changed(known);
      };
      return store;
    });
    const sinks: TestSink[] = [];
    for (let i = 0; i < 40; i++) {
      sinks.push((await live.open({ user: `user-${i}` })).sink);
      await live.ambient.clock.advance(10);
    }
    const beats = () => sinks.map((sink) => sink.of('heartbeat').length);
    await live.ambient.clock.advance(20_000);
    assert.equal(most, 2);
    // whose turn came while both were under way is in the next group
    assert.ok(Math.min(...beats()) >= 3, `${beats()}`);
    slowMs = 1;
    await live.ambient.clock.advance(5_000);
    const before = beats();
    await live.ambient.clock.advance(3_200);
    assert.deepEqual(
      beats(),
      before.map((count) => count + 10),
    );
  });
});
