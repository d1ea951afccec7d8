import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Notification } from '../../../src/core/glossary.ts';
import type { Session } from '../../../src/core/live/session.ts';
import { wireStatus } from '../../../src/core/status.ts';
import { type LiveBench, liveBench, TestSink } from '../../support/live.ts';
import { slowly, storeWith } from '../../support/wrapped-store.ts';

const alice = { tenantId: 'demo', userId: 'alice' };

/** A bench on whose clock 5 ms pass from when the store reads on until its answer comes. */
function benchOfLatePages(): LiveBench {
  const live: LiveBench = liveBench({}, (store) =>
    storeWith(store, {
      async notificationsAfter(streams, limits) {
        const pages = await store.notificationsAfter(streams, limits);
        await new Promise<void>((resolve) => live.ambient.clock.after(5, resolve));
        return pages;
      },
    }),
  );
  return live;
}

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

  for (const kind of ['read', 'delete'] as const)
    for (const tabs of [1, 2])
      it(`shows no item as it was before a change (${kind}, ${tabs} tab(s)) that came while the store was read`, async () => {
        const live = benchOfLatePages();
        const streams = [];
        for (let i = 0; i < tabs; i += 1) streams.push(await live.open());
        const { id, position } = await live.notify('one', { quiet: true });
        live.hub.heardItem(alice, position);
        await live.ambient.clock.advance(2);
        const { summary } = await live.store.changeInbox(alice, { kind, id, atMs: 1n });
        live.hub.heardInbox(alice, { summary, [kind === 'read' ? 'readIds' : 'removedIds']: [id] });
        await live.ambient.clock.advance(50);
        for (const { sink } of streams) {
          assert.deepEqual(sink.kinds.slice(-2), ['notification', 'inbox']);
          assert.deepEqual(sink.of('inbox').at(-1)?.change, {
            summary: await live.store.inboxSummary(alice),
            [kind === 'read' ? 'readIds' : 'removedIds']: [id],
          });
        }
      });

  it('is told the counts alone after several changes that came while the store was read', async () => {
    const live = benchOfLatePages();
    const { sink } = await live.open();
    const { id, position } = await live.notify('one', { quiet: true });
    live.hub.heardItem(alice, position);
    await live.settle();
    for (const change of [{ kind: 'read', id, atMs: 1n } as const, { kind: 'unread', id } as const]) {
      const { summary } = await live.store.changeInbox(alice, change);
      live.hub.heardInbox(alice, { summary, [`${change.kind}Ids`]: [id] });
    }
    await live.ambient.clock.advance(50);
    assert.deepEqual(sink.kinds.slice(-2), ['notification', 'inbox']);
    assert.deepEqual(sink.of('inbox').at(-1)?.change, { summary: await live.store.inboxSummary(alice) });
  });

  it('shows an item as it is, when a change of it was told before the item', async () => {
    const live = liveBench();
    const { sink } = await live.open();
    const item = await live.notify('one', { quiet: true });
    const { version } = await live.store.inboxSummary(alice);
    const { summary } = await live.store.changeInbox(alice, { kind: 'read', id: item.id, atMs: 1n });
    await live.notify('two', { quiet: true });
    live.hub.inboxChanged(alice, { summary, readIds: [item.id] });
    live.hub.publish(item, version);
    await live.settle();
    // nobody had taken it before it was read: it is sent to no stream
    assert.deepEqual(sink.ids, ['two']);
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

  it('beats on while the store is away', async () => {
    let isAway = false;
    const live = liveBench({ heartbeatIntervalMs: 30_000 }, (store) =>
      storeWith(store, {
        changedInboxes: (known) => (isAway ? Promise.reject(new Error('away')) : store.changedInboxes(known)),
      }),
    );
    const { sink, session } = await live.open();
    const other = await live.open({ user: 'bob' });
    await live.notify('one');
    isAway = true;
    other.session.gone();
    await live.ambient.clock.advance(95_000);
    const { version } = await live.store.inboxSummary(alice);
    assert.deepEqual(
      sink.of('heartbeat').map(({ inboxVersion }) => inboxVersion),
      [0, version, version, version],
    );
    assert.equal(other.sink.of('heartbeat').length, 1, 'one that has ended is sent nothing');
    await live.notify('kept', { quiet: true });
    isAway = false;
    await live.ambient.clock.advance(30_000);
    assert.deepEqual(sink.ids, ['one', 'kept']);
    assert.equal(session.ended, false);
  });

  it('is told nothing more once it has ended, whatever it waited for', async () => {
    let reads = 0;
    let session: Session | undefined;
    const live = liveBench({}, (store) =>
      storeWith(store, {
        async inboxSummary(owner) {
          reads += 1;
          // the second is for the event after the replay
          if (reads === 2) session?.end('shutdown', true);
          return store.inboxSummary(owner);
        },
      }),
    );
    const sink = new TestSink();
    session = live.hub.open(
      { owner: alice, deviceType: 'browser', start: { kind: 'untaken' }, tokenExpiresAtMs: undefined },
      sink,
    );
    await live.settle();
    assert.equal(reads, 2);
    assert.deepEqual(sink.kinds, ['heartbeat', 'end']);
  });

  it('goes on when the store fails once, as a new stream', async () => {
    let broken = true;
    const live = liveBench({}, (store) =>
      storeWith(store, {
        inboxSummary: (owner) => (broken ? Promise.reject(new Error('away')) : store.inboxSummary(owner)),
      }),
    );
    const { sink } = await live.open();
    assert.deepEqual(sink.of('end'), [{ kind: 'end', reason: 'overloaded', reconnect: true }]);
    assert.equal(sink.received[0]?.position, undefined, 'it has no position yet');
    assert.equal(sink.error?.code, 'internal', 'and an RPC client is not told to come back at once');
    broken = false;
    assert.equal((await live.open()).sink.kinds[0], 'heartbeat');
  });
});
