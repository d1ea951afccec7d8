import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NotifyError } from '../../../src/core/errors.ts';
import type { UserKey } from '../../../src/core/glossary.ts';
import { streamsPerRead } from '../../../src/core/live/settings.ts';
import type { Store } from '../../../src/core/store.ts';
import { type LiveBench, liveBench } from '../../support/live.ts';
import { storeWith } from '../../support/wrapped-store.ts';

const alice = { tenantId: 'demo', userId: 'alice' };
const away = () => new NotifyError('unavailable', 'the store is away');
const userOf = (i: number): string => `user-${i}`;

/** A hub whose store takes 5 ms for each read, and what was read at a time. */
function slowBench() {
  const seen = { reads: 0, underWay: 0, most: 0 };
  const live: LiveBench = liveBench({ maxStreamsPerUser: 1_000 }, (store) => {
    const counted = async <T>(read: () => Promise<T>): Promise<T> => {
      seen.reads += 1;
      seen.underWay += 1;
      seen.most = Math.max(seen.most, seen.underWay);
      const answer = await read();
      await new Promise<void>((resolve) => live.ambient.clock.after(5, resolve));
      seen.underWay -= 1;
      return answer;
    };
    return storeWith(store, {
      inboxSummary: (owner) => counted(() => store.inboxSummary(owner)),
      notificationsSince: (owner, query) => counted(() => store.notificationsSince(owner, query)),
      notificationsAfter: (streams, limits) => counted(() => store.notificationsAfter(streams, limits)),
    });
  });
  return { live, seen };
}

/** Stores an item as another replica does, which then says so. */
async function hear(live: LiveBench, id: string, user: string, body = ''): Promise<void> {
  const { position } = await live.notify(id, { user, body, quiet: true });
  live.hub.heardItem({ tenantId: 'demo', userId: user }, position);
}

/** Streams of so many users, all live. */
async function openAll(live: LiveBench, users: number) {
  const opened = [];
  for (let i = 0; i < users; i += 1) opened.push(live.open({ user: userOf(i) }));
  const streams = await Promise.all(opened);
  for (const { sink } of streams) while (!sink.kinds.includes('inbox')) await live.ambient.clock.advance(5);
  await live.ambient.clock.advance(100);
  return streams;
}

describe('what is read for streams', () => {
  for (const tabs of [1, 2])
    it(`is a user's inbox once at a time, whatever other replicas store for ${tabs} tab(s)`, async () => {
      const { live, seen } = slowBench();
      const streams = [];
      for (let i = 0; i < tabs; i += 1) streams.push(await live.open());
      await live.ambient.clock.advance(1_000);
      Object.assign(seen, { reads: 0, most: 0 });
      for (let i = 0; i < 200; i += 1) await hear(live, `n${i}`, 'alice');
      await live.ambient.clock.advance(1_000);
      for (const { sink } of streams)
        assert.deepEqual(
          sink.ids,
          Array.from({ length: 200 }, (_, i) => `n${i}`),
        );
      assert.equal(seen.most, 1);
      assert.ok(seen.reads <= 4, `${seen.reads} reads`);
    });

  it('is few users at a time while many streams open, and many by one call when they read on', async () => {
    const users = 1_000;
    const { live, seen } = slowBench();
    const streams = await openAll(live, users);
    assert.ok(seen.most <= 3, `${seen.most} reads at a time`);
    Object.assign(seen, { reads: 0, most: 0 });
    for (let i = 0; i < users; i += 1) await hear(live, 'one', userOf(i));
    await live.ambient.clock.advance(1_000);
    assert.ok(streams.every(({ sink }) => sink.ids.join() === 'one'));
    assert.ok(seen.most <= 2, `${seen.most} calls at a time`);
    assert.ok(seen.reads <= users / streamsPerRead + 4, `${seen.reads} calls`);
  });

  it('is all that everybody has to get, also where it is more than one call takes', async () => {
    const { live } = slowBench();
    const streams = await openAll(live, 40);
    const ids = Array.from({ length: 4 }, (_, i) => `n${i}`);
    for (const id of ids)
      for (let i = 0; i < streams.length; i += 1) await hear(live, id, userOf(i), 'x'.repeat(60_000));
    await live.ambient.clock.advance(2_000);
    for (const { sink } of streams) assert.deepEqual(sink.ids, ids);
  });

  it('is not read for a stream that has gone before its turn', async () => {
    const { live, seen } = slowBench();
    const opened = Array.from({ length: 100 }, (_, i) => live.open({ user: userOf(i) }));
    for (const { session } of await Promise.all(opened)) session.gone();
    await live.ambient.clock.advance(1_000);
    assert.ok(seen.reads <= 6, `${seen.reads} reads`);
  });
});

describe('a store that fails', () => {
  /** Live streams on a store that fails as long as `fails` says so. */
  async function failing(users: number) {
    const failure: { of: (owner: UserKey) => Error | undefined } = { of: () => undefined };
    const asking = async <T>(owners: readonly UserKey[], read: () => Promise<T>): Promise<T> => {
      for (const owner of owners) {
        const error = failure.of(owner);
        if (error) throw error;
      }
      return read();
    };
    const wrap = (store: Store) =>
      storeWith(store, {
        inboxSummary: (owner) => asking([owner], () => store.inboxSummary(owner)),
        notificationsSince: (owner, query) => asking([owner], () => store.notificationsSince(owner, query)),
        notificationsAfter: (streams, limits) =>
          asking(streams, () => store.notificationsAfter(streams, limits)),
      });
    const live = liveBench({}, wrap);
    return { live, failure, streams: await openAll(live, users) };
  }

  it('for a moment ends no stream: what they miss comes when it is back', async () => {
    const { live, failure, streams } = await failing(150);
    failure.of = away;
    for (let i = 0; i < streams.length; i += 1) await hear(live, 'one', userOf(i));
    await live.ambient.clock.advance(10_000);
    assert.ok(streams.every(({ sink }) => !sink.finished && sink.ids.length === 0));
    failure.of = () => undefined;
    await live.ambient.clock.advance(2_000);
    assert.ok(streams.every(({ sink }) => sink.ids.join() === 'one'));
    assert.ok(streams.every(({ sink }) => sink.of('end').length === 0));
  });

  it('for a moment loses no count either', async () => {
    const { live, failure, streams } = await failing(1);
    const [stream] = streams;
    failure.of = away;
    const user = { tenantId: 'demo', userId: userOf(0) };
    // older than what was told: the counts are asked for
    live.hub.inboxChanged(user, { summary: { unreadCount: 0, unseenCount: 0, version: 0 } });
    await live.ambient.clock.advance(5_000);
    const before = stream?.sink.of('inbox').length ?? 0;
    failure.of = () => undefined;
    await live.ambient.clock.advance(2_000);
    assert.equal(stream?.sink.of('inbox').length, before + 1);
  });

  it('for long ends the streams that have something to read, for another replica to take', async () => {
    const { live, failure, streams } = await failing(150);
    failure.of = away;
    for (let i = 0; i < streams.length - 1; i += 1) await hear(live, 'one', userOf(i));
    await live.ambient.clock.advance(60_000);
    const idle = streams.pop();
    for (const { sink } of streams)
      assert.deepEqual(sink.of('end'), [{ kind: 'end', reason: 'overloaded', reconnect: true }]);
    assert.equal(idle?.sink.finished, false);
  });

  it('for one user ends the streams of nobody else', async () => {
    const { live, failure, streams } = await failing(20);
    failure.of = ({ userId }) => (userId === userOf(7) ? new Error('unreadable') : undefined);
    for (let i = 0; i < streams.length; i += 1) await hear(live, 'one', userOf(i));
    await live.ambient.clock.advance(1_000);
    assert.deepEqual(
      streams.flatMap(({ sink }, i) => (sink.finished ? [i] : [])),
      [7],
    );
    assert.ok(streams.every(({ sink }, i) => i === 7 || sink.ids.join() === 'one'));
  });

  it('while a stream opens ends it at once', async () => {
    const { live, failure } = await failing(0);
    failure.of = away;
    const { sink } = await live.open();
    assert.deepEqual(sink.of('end'), [{ kind: 'end', reason: 'overloaded', reconnect: true }]);
    failure.of = () => undefined;
    await live.notify('one');
    assert.deepEqual((await live.open()).sink.ids, ['one']);
    assert.equal((await live.store.inboxSummary(alice)).unreadCount, 1);
  });
});
