import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import type { Notification } from '../../../src/core/glossary.ts';
import { bufferLimitBytes, stallTimeoutMs } from '../../../src/core/live/settings.ts';
import { wireStatus } from '../../../src/core/status.ts';
import type { Store } from '../../../src/core/store.ts';
import { liveBench, TestSink } from '../../support/live.ts';

const alice = { tenantId: 'demo', userId: 'alice' };

describe('opening a stream', () => {
  it('begins with a heartbeat, replays what no stream has taken, oldest first, and then tells the counts', async () => {
    const live = liveBench();
    await live.notify('one');
    await live.notify('two');
    const { sink, session } = await live.open();
    assert.deepEqual(sink.kinds, ['heartbeat', 'notification', 'notification', 'inbox']);
    assert.deepEqual(sink.ids, ['one', 'two']);
    assert.ok(sink.received.every(({ sessionId }) => sessionId === session.id));
    assert.deepEqual(sink.of('inbox')[0]?.change.summary.unreadCount, 2);
  });

  it('starts at the position before the first item that no stream has taken', async () => {
    const live = liveBench();
    const first = await live.notify('one');
    await live.notify('two');
    const { sink } = await live.open();
    assert.deepEqual(
      sink.received.map(({ position }) => (position ?? 0) - first.position),
      [-1, 0, 1, 1],
    );
  });

  it('starts at the newest position when everything has been taken', async () => {
    const live = liveBench();
    const only = await live.notify('one');
    await live.open();
    await live.ambient.clock.advance(1); // what another stream takes in the same millisecond is sent to both
    const { sink } = await live.open();
    assert.deepEqual(sink.ids, []);
    assert.equal(sink.received[0]?.position, only.position);
  });

  it('records what a stream took as delivered, with the time the stream showed', async () => {
    const live = liveBench();
    const { id } = await live.notify('one');
    await live.ambient.clock.advance(1_000);
    const { sink } = await live.open();
    const shown = sink.of('notification')[0]?.notification;
    const stored = await live.store.getNotification(alice, id);
    assert.equal(wireStatus(stored), 'delivered');
    assert.equal(stored.deliveries[0]?.deliveredAtMs, BigInt(live.ambient.clock.now()));
    assert.deepEqual(shown?.deliveries, stored.deliveries);
  });

  it('does not replay what was read, seen, archived or deleted before any stream took it', async () => {
    const live = liveBench();
    const atMs = 1n;
    const seen = await live.notify('seen');
    await live.store.changeInbox(alice, { kind: 'seen_up_to', position: seen.position });
    const ids = [await live.notify('read'), await live.notify('archived'), await live.notify('deleted')].map(
      (n) => n.id,
    );
    await live.notify('kept');
    const [read = '', archived = '', deleted = ''] = ids;
    await live.store.changeInbox(alice, { kind: 'read', id: read, atMs });
    await live.store.changeInbox(alice, { kind: 'archive', id: archived, atMs });
    await live.store.changeInbox(alice, { kind: 'delete', id: deleted, atMs });
    assert.deepEqual((await live.open()).sink.ids, ['kept']);
  });

  it('sends everything to each of two streams that open at the same moment', async () => {
    const live = liveBench();
    for (let i = 0; i < 250; i += 1) await live.notify(`n${i}`);
    const [a, b] = await Promise.all([live.open(), live.open()]);
    assert.equal(a.sink.ids.length, 250);
    assert.deepEqual(a.sink.ids, b.sink.ids);
  });

  it('misses nothing that arrives while it replays', async () => {
    const live = liveBench({}, (store) => slowly(store));
    for (let i = 0; i < 150; i += 1) await live.notify(`n${i}`);
    const opening = live.open();
    for (let i = 150; i < 300; i += 1) await live.notify(`n${i}`);
    const { sink } = await opening;
    for (let turn = 0; turn < 50; turn += 1) await live.settle();
    assert.deepEqual(
      sink.ids,
      Array.from({ length: 300 }, (_, i) => `n${i}`),
    );
  });
});

describe('resuming', () => {
  it('sends what came after the position, taken by another stream or not', async () => {
    const live = liveBench();
    const first = await live.notify('one');
    const other = await live.open();
    await live.notify('two');
    await live.notify('three');
    assert.deepEqual(other.sink.ids, ['one', 'two', 'three']);
    const { sink } = await live.open({ start: { kind: 'after', position: first.position } });
    assert.deepEqual(sink.ids, ['two', 'three']);
    assert.equal(sink.received[0]?.position, first.position);
  });

  it('is from the start at position 0', async () => {
    const live = liveBench();
    await live.notify('one');
    await live.open();
    assert.deepEqual((await live.open({ start: { kind: 'after', position: 0 } })).sink.ids, ['one']);
  });

  it('says reset, with the newest position, when the position is unreadable, too old or too new', async () => {
    const live = liveBench();
    const newest = await live.notify('one');
    for (const start of [
      { kind: 'unreadable' } as const,
      { kind: 'after', position: 5 } as const, // from before this store was opened
      { kind: 'after', position: newest.position + 1 } as const,
    ]) {
      const { sink } = await live.open({ start });
      assert.deepEqual(sink.kinds, ['heartbeat', 'reset', 'inbox']);
      assert.ok(sink.received.every(({ position }) => position === newest.position));
    }
    await live.notify('two');
  });

  it('never leaves a gap and never repeats, however often a stream drops', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            { weight: 4, arbitrary: fc.constant('notify' as const) },
            { weight: 1, arbitrary: fc.constant('email' as const) },
            { weight: 2, arbitrary: fc.constant('drop' as const) },
            { weight: 2, arbitrary: fc.constant('reopen' as const) },
            { weight: 1, arbitrary: fc.constant('late' as const) },
          ),
          { maxLength: 60 },
        ),
        async (steps) => {
          const live = liveBench({}, (store) => slowly(store));
          const expected: string[] = [];
          const got: string[] = [];
          let stream = await live.open();
          let position = 0;
          let open = true;
          const leave = () => {
            if (!open) return;
            open = false;
            stream.session.gone();
            got.push(...stream.sink.ids);
            position = stream.sink.lastPosition;
          };
          const late: Awaited<ReturnType<typeof live.notify>>[] = [];
          for (const [i, step] of steps.entries()) {
            if (step === 'notify') {
              expected.push(`n${i}`);
              await live.notify(`n${i}`);
            } else if (step === 'email') await live.notify(`n${i}`, { channels: ['email'] });
            else if (step === 'late') {
              // committed, but announced after what comes next
              expected.push(`n${i}`);
              late.push(await live.notify(`n${i}`, { quiet: true }));
            } else if (step === 'drop') leave();
            else if (!open) {
              open = true;
              stream = await live.open({ start: { kind: 'after', position } });
            }
            if (i % 3 === 0) for (const item of late.splice(0)) live.hub.publish(item);
          }
          for (const item of late) live.hub.publish(item);
          if (!open) {
            open = true;
            stream = await live.open({ start: { kind: 'after', position } });
          }
          for (let turn = 0; turn < 30; turn += 1) await live.settle();
          leave();
          assert.deepEqual(got, expected);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('a live stream', () => {
  it('gets an item at once, at its position, to every stream of the user and to nobody else', async () => {
    const live = liveBench();
    const [a, b, otherTenant, otherUser] = await Promise.all([
      live.open(),
      live.open(),
      live.open({ tenant: 'other' }),
      live.open({ user: 'bob' }),
    ]);
    const item = await live.notify('one');
    for (const { sink } of [a, b]) {
      assert.deepEqual(sink.ids, ['one']);
      assert.equal(sink.lastPosition, item.position);
    }
    assert.deepEqual([...otherTenant.sink.ids, ...otherUser.sink.ids], []);
  });

  it('is not sent what goes out by email only, and passes over its position', async () => {
    const live = liveBench();
    const { sink } = await live.open();
    await live.notify('mail', { channels: ['email'] });
    const shown = await live.notify('shown');
    assert.deepEqual(sink.ids, ['shown']);
    assert.equal(sink.lastPosition, shown.position);
  });

  it('is not sent what comes back into the archive, and passes over its position', async () => {
    const live = liveBench();
    const { id } = await live.notify('one');
    const { sink } = await live.open();
    const untilMs = BigInt(live.ambient.clock.now() + 1_000);
    await live.store.changeInbox(alice, { kind: 'snooze', id, untilMs });
    await live.store.changeInbox(alice, { kind: 'archive', id, atMs: 1n });
    await live.store.changeInbox(alice, { kind: 'snooze', id, untilMs: 0n });
    live.hub.publish(await live.store.getNotification(alice, id));
    await live.notify('two');
    assert.deepEqual(sink.ids, ['one', 'two']);
  });

  it('is never told older counts than before, when two changes overtake each other', async () => {
    const live = liveBench();
    const [one, two] = [await live.notify('one'), await live.notify('two')];
    const { sink } = await live.open();
    const read = async ({ id }: Notification) => ({
      id,
      ...(await live.store.changeInbox(alice, { kind: 'read', id, atMs: 1n })),
    });
    const [first, second] = [await read(one), await read(two)];
    for (const { id, summary } of [second, first]) live.hub.inboxChanged(alice, { summary, readIds: [id] });
    await live.settle();
    assert.deepEqual(
      sink
        .of('inbox')
        .slice(1)
        .map(({ change: { summary, readIds } }) => [summary.unreadCount, summary.version, readIds]),
      [
        [0, second.summary.version, [two.id]],
        [0, second.summary.version, [one.id]],
        [0, second.summary.version, undefined],
      ],
    );
  });

  it('is told counts that have everything, when an item overtakes a change', async () => {
    const live = liveBench();
    const { id } = await live.notify('one');
    const { sink } = await live.open();
    const { summary } = await live.store.changeInbox(alice, { kind: 'read', id, atMs: 1n });
    await live.notify('two');
    live.hub.inboxChanged(alice, { summary, readIds: [id] });
    await live.settle();
    const last = sink.of('inbox').at(-1)?.change.summary;
    assert.deepEqual([last?.unreadCount, last?.version], [1, summary.version + 1]);
  });

  it('beats once an interval, with the inbox version', async () => {
    const live = liveBench({ heartbeatIntervalMs: 30_000 });
    const { sink } = await live.open();
    await live.ambient.clock.advance(95_000);
    assert.equal(sink.of('heartbeat').length, 1 + 3);
    await live.notify('one');
    await live.ambient.clock.advance(30_000);
    assert.equal(sink.of('heartbeat').at(-1)?.inboxVersion, (await live.store.inboxSummary(alice)).version);
  });

  it('ends at a random 80 to 100 % of its age limit', async () => {
    const live = liveBench({ maxAgeMs: 100_000 });
    const streams = await Promise.all(Array.from({ length: 10 }, () => live.open()));
    await live.ambient.clock.advance(79_000);
    assert.ok(streams.every(({ sink }) => !sink.finished));
    await live.ambient.clock.advance(21_000);
    assert.ok(streams.every(({ sink }) => sink.finished));
    assert.deepEqual(streams[0]?.sink.of('end'), [{ kind: 'end', reason: 'max_age', reconnect: true }]);
  });

  it('ends with its token', async () => {
    const live = liveBench();
    const { sink } = await live.open({ tokenExpiresAtMs: live.ambient.clock.now() + 60_000 });
    await live.ambient.clock.advance(59_000);
    assert.equal(sink.finished, false);
    await live.ambient.clock.advance(1_000);
    assert.equal(sink.of('end')[0]?.reason, 'token_expired');
  });

  it('is told to reset when its user is erased, and the next one goes on from the first position', async () => {
    const live = liveBench();
    const first = await live.store.inboxSummary(alice);
    const { sink } = await live.open();
    const bob = await live.open({ user: 'bob' });
    for (const id of ['one', 'two']) await live.notify(id);
    await live.store.eraseUser(alice);
    live.hub.userErased(alice, first.oldestResumable);
    assert.deepEqual(sink.kinds.slice(-2), ['reset', 'end']);
    assert.deepEqual(sink.of('end'), [{ kind: 'end', reason: 'erased', reconnect: true }]);
    assert.equal(sink.finished, true);
    assert.equal(bob.sink.finished, false);
    await live.notify('three');
    const next = await live.open({ start: { kind: 'after', position: sink.lastPosition } });
    assert.deepEqual(next.sink.ids, ['three']);
    assert.deepEqual(next.sink.of('reset'), []);
  });

  it('finds with its heartbeat that its user was erased without a word', async () => {
    const live = liveBench({ heartbeatIntervalMs: 30_000 });
    const { sink } = await live.open();
    for (const id of ['one', 'two']) await live.notify(id);
    await live.store.eraseUser(alice);
    await live.notify('three');
    await live.ambient.clock.advance(31_000);
    assert.deepEqual(sink.kinds.slice(-2), ['reset', 'end']);
    const next = await live.open({ start: { kind: 'after', position: sink.lastPosition } });
    assert.deepEqual(next.sink.ids, ['three']);
  });

  it('refuses a stream over the limit of its user, and only there', async () => {
    const live = liveBench({ maxStreamsPerUser: 2 });
    const first = await live.open();
    await live.open();
    assert.equal(live.hub.refusal(alice)?.reason, 'too_many_streams');
    assert.equal(live.hub.refusal({ tenantId: 'other', userId: 'alice' }), undefined);
    first.session.gone();
    assert.equal(live.hub.refusal(alice), undefined);
  });

  it('refuses a stream over the limit of its tenant, or of the process', async () => {
    const live = liveBench({ maxStreams: 3, maxStreamsPerTenant: 2 });
    const first = await live.open({ user: 'bob' });
    await live.open({ user: 'carol' });
    assert.equal(live.hub.refusal(alice)?.reason, 'too_many_streams');
    assert.match(live.hub.refusal(alice)?.error.message ?? '', /NOTIFY_LIVE_MAX_STREAMS_PER_TENANT/);
    await live.open({ tenant: 'other' });
    const full = live.hub.refusal({ tenantId: 'third', userId: 'alice' });
    assert.equal(full?.reason, 'overloaded');
    assert.equal(full?.error.code, 'resource_exhausted');
    first.session.gone();
    assert.equal(live.hub.refusal(alice), undefined);
  });

  it('ends cleanly on shutdown, and no new one opens', async () => {
    const live = liveBench();
    const streams = await Promise.all(Array.from({ length: 5 }, () => live.open()));
    const drained = live.hub.drain(5_000);
    assert.equal(live.hub.refusal(alice)?.reason, 'shutdown');
    await live.ambient.clock.advance(25);
    await drained;
    for (const { sink } of streams)
      assert.deepEqual(sink.of('end'), [{ kind: 'end', reason: 'shutdown', reconnect: true }]);
    assert.equal(live.ambient.clock.pending, 0, 'no timer is left behind');
  });

  it('ends at a moment of its own on shutdown, within the window', async () => {
    const live = liveBench();
    const streams = await Promise.all(
      Array.from({ length: 200 }, (_, i) => live.open({ user: `user-${i}` })),
    );
    const drained = live.hub.drain(500);
    const ended: number[] = [];
    for (let step = 0; step < 5; step++) {
      await live.ambient.clock.advance(100);
      ended.push(streams.filter(({ sink }) => sink.finished).length);
    }
    await drained;
    for (const [step, count] of ended.entries())
      assert.ok(Math.abs(count - 40 * (step + 1)) <= 25, `${ended} of 200, in equal steps`);
    assert.equal(ended.at(-1), 200);
  });

  it('goes on when the store fails once, as a new stream', async () => {
    let broken = true;
    const live = liveBench({}, (store) => ({
      ...bound(store),
      inboxSummary: (owner) => (broken ? Promise.reject(new Error('away')) : store.inboxSummary(owner)),
    }));
    const { sink } = await live.open();
    assert.deepEqual(sink.of('end'), [{ kind: 'end', reason: 'overloaded', reconnect: true }]);
    assert.equal(sink.received[0]?.position, undefined, 'it has no position yet');
    broken = false;
    assert.equal((await live.open()).sink.kinds[0], 'heartbeat');
  });
});

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
    const live = liveBench({}, (store) => ({
      ...bound(store),
      async notificationsSince(owner, query) {
        const page = await store.notificationsSince(owner, query);
        // the texts as a driver reads them: an array of their own
        const notifications = page.notifications.map((item) => ({ ...item }));
        pages.push(new WeakRef(notifications));
        sizes.push(notifications.reduce((sum, { body }) => sum + body.length, 0));
        return { ...page, notifications };
      },
    }));
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

/** Collects what nothing refers to, at once. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

/** The same store, whose reads take a few turns of the event loop. */
function slowly(store: Store): Store {
  const later = async () => {
    for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    ...bound(store),
    async notificationsSince(owner, query) {
      await later();
      const page = await store.notificationsSince(owner, query);
      await later();
      return page;
    },
    async inboxSummary(owner) {
      await later();
      return store.inboxSummary(owner);
    },
  };
}

/** A store's methods as an object's own. */
function bound(store: Store): Store {
  return {
    name: store.name,
    now: () => store.now(),
    createNotifications: (batch) => store.createNotifications(batch),
    getNotification: (owner, id) => store.getNotification(owner, id),
    listNotifications: (owner, query) => store.listNotifications(owner, query),
    notificationsSince: (owner, query) => store.notificationsSince(owner, query),
    inboxSummary: (owner) => store.inboxSummary(owner),
    changedInboxes: (known) => store.changedInboxes(known),
    changeInbox: (owner, change) => store.changeInbox(owner, change),
    claimDeliveries: (claim) => store.claimDeliveries(claim),
    renewLeases: (lease, held) => store.renewLeases(lease, held),
    releaseLeases: (token, held) => store.releaseLeases(token, held),
    recordOutcomes: (outcomes) => store.recordOutcomes(outcomes),
    recordReceipts: (receipts) => store.recordReceipts(receipts),
    advanceItems: (limit) => store.advanceItems(limit),
    cancelNotification: (cancel) => store.cancelNotification(cancel),
    retryDeliveries: (retry) => store.retryDeliveries(retry),
    listDeliveries: (query) => store.listDeliveries(query),
    getDelivery: (tenantId, deliveryId) => store.getDelivery(tenantId, deliveryId),
    registerDevice: (device) => store.registerDevice(device),
    listDevices: (owner) => store.listDevices(owner),
    removeDevice: (owner, which) => store.removeDevice(owner, which),
    putRecipients: (recipients, atMs) => store.putRecipients(recipients, atMs),
    getRecipient: (owner) => store.getRecipient(owner),
    destinations: (lookUps) => store.destinations(lookUps),
    eraseUser: (owner) => store.eraseUser(owner),
    markAddressesDead: (batch) => store.markAddressesDead(batch),
    deadAddresses: (addresses) => store.deadAddresses(addresses),
    listDeadAddresses: (query) => store.listDeadAddresses(query),
    reviveAddress: (address, atMs) => store.reviveAddress(address, atMs),
    ready: () => store.ready(),
    close: () => store.close(),
  };
}
