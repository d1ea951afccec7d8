import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { liveBench } from '../../support/live.ts';

const alice = { tenantId: 'demo', userId: 'alice' };

describe('limits of streams', () => {
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
});

describe('a user who is erased', () => {
  it('is told to reset, and the next stream begins with what came since', async () => {
    const live = liveBench();
    const { sink } = await live.open();
    const bob = await live.open({ user: 'bob' });
    for (const id of ['one', 'two']) await live.notify(id);
    await live.store.eraseUser(alice);
    live.hub.userErased(alice, 0);
    assert.deepEqual(sink.kinds.slice(-2), ['reset', 'end']);
    assert.deepEqual(sink.of('end'), [{ kind: 'end', reason: 'erased', reconnect: true }]);
    assert.equal(sink.finished, true);
    assert.equal(bob.sink.finished, false);
    await live.notify('three');
    const next = await live.open({ start: { kind: 'after', position: sink.lastPosition } });
    assert.deepEqual(next.sink.ids, ['three']);
    assert.deepEqual(next.sink.of('reset'), []);
  });

  it('is told to reset with its next stream where it was away, however many items came since', async () => {
    for (const since of [0, 1, 3, 5]) {
      const live = liveBench();
      const before = await live.open();
      for (const id of ['a', 'b', 'c']) await live.notify(id);
      before.session.gone();
      await live.store.eraseUser(alice);
      live.hub.userErased(alice, 0);
      for (let i = 0; i < since; i++) await live.notify(`after ${i}`);
      const start = { kind: 'after', position: before.sink.lastPosition } as const;
      const { sink } = await live.open({ start });
      assert.deepEqual(sink.kinds, ['heartbeat', 'reset', 'inbox']);
      await live.notify('live');
      await live.settle();
      assert.deepEqual(sink.ids, ['live']);
    }
  });

  it('finds with its heartbeat that its user was erased without a word', async () => {
    const live = liveBench({ heartbeatIntervalMs: 30_000 });
    const { sink } = await live.open();
    for (const id of ['one', 'two']) await live.notify(id);
    await live.store.eraseUser(alice);
    await live.ambient.clock.advance(31_000);
    assert.deepEqual(sink.kinds.slice(-2), ['reset', 'end']);
  });

  it('finds with the next item that its user was erased without a word, and sends nothing of the new inbox', async () => {
    const live = liveBench();
    const { sink } = await live.open();
    for (const id of ['one', 'two']) await live.notify(id);
    await live.store.eraseUser(alice);
    for (const id of ['three', 'four', 'five']) await live.notify(id);
    await live.settle();
    assert.deepEqual(sink.kinds.slice(-2), ['reset', 'end']);
    assert.deepEqual(sink.ids, ['one', 'two']);
    const next = await live.open({ start: { kind: 'after', position: sink.lastPosition } });
    assert.deepEqual(next.sink.ids, ['three', 'four', 'five']);
    assert.deepEqual(next.sink.of('reset'), []);
  });

  it('is not told so where it had nothing to lose', async () => {
    const live = liveBench();
    await live.notify('erased');
    await live.store.eraseUser(alice);
    const { sink } = await live.open({ user: 'bob' });
    await live.notify('first', { user: 'bob' });
    await live.settle();
    assert.deepEqual(sink.kinds, ['heartbeat', 'inbox', 'notification']);
  });
});

describe('a stop', () => {
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
});
