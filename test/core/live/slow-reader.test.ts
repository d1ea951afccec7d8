import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Notification } from '../../../src/core/glossary.ts';
import { bufferLimitBytes, stallTimeoutMs } from '../../../src/core/live/settings.ts';
import { liveBench, TestSink } from '../../support/live.ts';
import { storeWith } from '../../support/wrapped-store.ts';

const alice = { tenantId: 'demo', userId: 'alice' };

describe('a slow reader', () => {
  const big = 'x'.repeat(10_000);

  it('is sent a bounded number of bytes, and catches up from the store when it drains', async () => {
    const live = liveBench();
    const sink = new TestSink();
    await live.open({ sink });
    sink.stalled = true;
    for (let i = 0; i < 500; i += 1) await live.notify(`n${i}`, { body: big });
    assert.ok(sink.bufferedBytes() <= bufferLimitBytes + 11_000, `${sink.bufferedBytes()} bytes`);
    sink.drain();
    for (let turn = 0; turn < 20; turn += 1) await live.settle();
    assert.deepEqual(
      sink.ids,
      Array.from({ length: 500 }, (_, i) => `n${i}`),
    );
  });

  it('holds no page of a replay while its socket is blocked, and is read no more than it may buffer', async () => {
    const pages: WeakRef<readonly Notification[]>[] = [];
    const sizes: number[] = [];
    const live = liveBench({}, (store) =>
      storeWith(store, {
        async notificationsSince(owner, query) {
          const page = await store.notificationsSince(owner, query);
          // the texts as a driver reads them: an array of their own
          const notifications = page.notifications.map((item) => ({ ...item }));
          pages.push(new WeakRef(notifications));
          sizes.push(notifications.reduce((sum, { body }) => sum + body.length, 0));
          return { ...page, notifications };
        },
      }),
    );
    const expected = Array.from({ length: 100 }, (_, i) => `n${i}`);
    for (const [i, id] of expected.entries()) await live.notify(id, { body: i % 2 === 0 ? big : '' });
    const sink = new TestSink();
    sink.stalled = true;
    await live.open({ sink });
    assert.ok(sink.ids.length < 20, 'it is blocked');
    assert.ok(Math.max(...sizes) < bufferLimitBytes + big.length, 'pages are small');
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    assert.ok(
      pages.every((page) => page.deref() === undefined),
      'no page is held',
    );
    for (let turn = 0; turn < 100 && sink.ids.length < expected.length; turn += 1) {
      sink.drain();
      sink.stalled = true;
      await live.settle();
    }
    assert.deepEqual(sink.ids, expected);
  });

  it('delays nobody else', async () => {
    const live = liveBench();
    const slow = new TestSink();
    await live.open({ sink: slow });
    const fast = await live.open();
    slow.stalled = true;
    for (let i = 0; i < 50; i += 1) await live.notify(`n${i}`, { body: big });
    assert.equal(fast.sink.ids.length, 50);
  });

  it('is cut when it takes nothing for too long, and what it missed waits for the next stream', async () => {
    const live = liveBench();
    const sink = new TestSink();
    const { session } = await live.open({ sink });
    sink.stalled = true;
    for (let i = 0; i < 20; i += 1) await live.notify(`n${i}`, { body: big });
    const reached = sink.lastPosition;
    await live.ambient.clock.advance(stallTimeoutMs);
    assert.ok(sink.destroyed);
    assert.ok(session.ended);
    assert.ok(live.seen.includes('cut'));
    const again = await live.open({ start: { kind: 'after', position: reached } });
    assert.equal(again.sink.ids.at(-1), 'n19');
    assert.equal(new Set([...sink.ids, ...again.sink.ids]).size, 20);
  });

  it('is not cut as long as it takes something, however long a large item takes', async () => {
    const live = liveBench();
    const sink = new TestSink();
    const { session } = await live.open({ sink });
    sink.stalled = true;
    await live.notify('large', { body: 'x'.repeat(800_000) });
    await live.notify('next');
    for (let i = 0; i < 20; i += 1) {
      await live.ambient.clock.advance(stallTimeoutMs - 1);
      sink.take(40_000 - 1);
    }
    assert.ok(!session.ended);
    assert.deepEqual(sink.ids, ['large'], 'nothing more is sent meanwhile');
    sink.drain();
    for (let turn = 0; turn < 20; turn += 1) await live.settle();
    assert.deepEqual(sink.ids, ['large', 'next']);
    assert.equal(live.ambient.clock.pending, 1, 'of its timers only the heartbeat is left');
  });

  it('is cut when it takes nothing for too long after it has taken something', async () => {
    const live = liveBench();
    const sink = new TestSink();
    await live.open({ sink });
    sink.stalled = true;
    await live.notify('large', { body: 'x'.repeat(800_000) });
    await live.notify('next');
    await live.ambient.clock.advance(stallTimeoutMs - 1);
    sink.take(1);
    await live.ambient.clock.advance(stallTimeoutMs - 1);
    assert.ok(!sink.destroyed);
    await live.ambient.clock.advance(1);
    assert.ok(sink.destroyed);
    assert.ok(live.seen.includes('cut'));
  });

  it('is told the counts once it drains, instead of every change', async () => {
    const live = liveBench();
    const sink = new TestSink();
    await live.open({ sink });
    sink.stalled = true;
    for (let i = 0; i < 20; i += 1) await live.notify(`n${i}`, { body: big });
    const before = sink.of('inbox').length;
    for (let i = 0; i < 50; i += 1)
      live.hub.inboxChanged(alice, { summary: await live.store.inboxSummary(alice) });
    assert.equal(sink.of('inbox').length, before);
    sink.drain();
    for (let turn = 0; turn < 20; turn += 1) await live.settle();
    assert.equal(sink.of('inbox').length, before + 1);
    assert.equal(sink.of('inbox').at(-1)?.change.summary.unreadCount, 20);
  });
});

/** Collects what nothing refers to, at once. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}
