import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MemoryStore } from '../../../../plugins/store/memory/memory-store.ts';
import { isFull, isGone, limited, refusal } from './limited.ts';

describe('the limit of notifications a user', () => {
  it('drops the oldest read item for a new one', async () => {
    const { ground } = limited({ notificationsPerUser: 4 });
    const owner = ground.user();
    const items = await ground.addMany(owner, 4);
    const [first, second, third, fourth] = items;
    assert.ok(first && second && third && fourth);
    for (const item of [fourth, second, third]) await ground.read(owner, item);
    const fifth = await ground.add(owner);
    assert.deepEqual(
      await ground.listAll(owner),
      [fifth, fourth, third, first].map(({ id }) => id),
    );
    await isGone(ground, owner, second);
    const sixth = await ground.add(owner);
    assert.deepEqual(
      await ground.listAll(owner),
      [sixth, fifth, fourth, first].map(({ id }) => id),
    );
    assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 3);
  });

  it('lets no stream resume from before a dropped item', async () => {
    const { ground } = limited({ notificationsPerUser: 2 });
    const owner = ground.user();
    const [first, second] = await ground.addMany(owner, 2);
    assert.ok(first && second);
    const { oldestResumable } = await ground.store.inboxSummary(owner);
    await ground.read(owner, second);
    await ground.add(owner);
    const summary = await ground.store.inboxSummary(owner);
    assert.ok(oldestResumable < second.position);
    assert.equal(summary.oldestResumable, second.position);
    await ground.read(owner, first);
    await ground.add(owner);
    assert.equal(
      (await ground.store.inboxSummary(owner)).oldestResumable,
      second.position,
      'it never moves back',
    );
  });

  it('frees the id of a dropped item', async () => {
    const { ground } = limited({ notificationsPerUser: 1 });
    const owner = ground.user();
    const first = await ground.add(owner, { key: 'k' });
    await ground.read(owner, first);
    await ground.add(owner);
    const isFree = async () =>
      (await refusal(ground.store as MemoryStore, ground.draft(owner, { key: 'k' })))?.message;
    assert.match((await isFree()) ?? '', /full/, 'no repeat, but no room either');
    await ground.change(owner, { kind: 'read_up_to', position: Number.MAX_SAFE_INTEGER, atMs: ground.now });
    assert.equal(await isFree(), undefined);
  });

  it('drops deleted, expired and suppressed items too', async () => {
    const { ground, store } = limited({ notificationsPerUser: 3 });
    const owner = ground.user();
    await ground.createOne(
      ground.draft(owner, { key: 'suppressed', deliveries: [ground.inApp(owner, { status: 'suppressed' })] }),
    );
    await ground.add(owner, { key: 'expiring', content: { expiresAtMs: ground.now + 10n } });
    const deleted = await ground.add(owner, { key: 'deleted' });
    assert.equal(
      await refusal(store, ground.draft(owner, { key: 'a' })),
      undefined,
      'in place of the suppressed one',
    );
    isFull(await refusal(store, ground.draft(owner)), /this inbox is full: .* 3 notifications a user/);
    await ground.ambient.clock.advance(10);
    assert.equal(
      await refusal(store, ground.draft(owner, { key: 'b' })),
      undefined,
      'in place of the expired one',
    );
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    await ground.delete(owner, deleted);
    assert.equal(
      await refusal(store, ground.draft(owner, { key: 'c' })),
      undefined,
      'in place of the deleted one',
    );
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    const listed = (await ground.list(owner)).notifications.map(({ notificationId }) => notificationId);
    assert.deepEqual(listed, ['c', 'b', 'a']);
  });

  it('never drops what is not read: archived, in no in-app channel, or marked unread again', async () => {
    const { ground, store } = limited({ notificationsPerUser: 4 });
    const owner = ground.user();
    const archived = await ground.add(owner);
    await ground.archive(owner, archived);
    const newsletter = await ground.add(owner, { deliveries: [ground.email({ provider: '' })] });
    const again = await ground.add(owner);
    await ground.read(owner, again);
    await ground.change(owner, { kind: 'unread', id: again.id });
    const taken = await ground.add(owner);
    await ground.take(taken, { status: 'acked' });
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    const kept = [taken, again, newsletter, archived].map(({ id }) => id);
    assert.deepEqual(await ground.listAll(owner, { archived: true }), kept);
    await ground.read(owner, newsletter);
    assert.equal(await refusal(store, ground.draft(owner)), undefined);
    await isGone(ground, owner, newsletter);
  });

  it('never drops what still has to be sent, though it was read or deleted', async () => {
    const { ground, store } = limited({ notificationsPerUser: 2 });
    const owner = ground.user();
    const deliveries = () => [ground.inApp(owner), ground.email()];
    const read = await ground.add(owner, { deliveries: deliveries() });
    const deleted = await ground.add(owner, { deliveries: deliveries() });
    await ground.read(owner, read);
    await ground.delete(owner, deleted);
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    await store.recordOutcomes([ground.outcome(deleted, 'email', { status: 'failed' })]);
    await ground.add(owner);
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    await store.recordOutcomes([ground.outcome(read, 'email')]);
    await ground.add(owner);
    await isGone(ground, owner, read);
  });

  it('refuses one row and stores the others of the batch, repeats included', async () => {
    const { ground, store } = limited({ notificationsPerUser: 2 });
    const owner = ground.user();
    const bob = { ...owner, userId: 'bob' };
    const row = (key: string, each = owner) => ground.draft(each, { key });
    const outcomes = await store.createNotifications([
      ...['a', 'b', 'c', 'a'].map((key) => row(key)),
      row('c', bob),
      row('d'),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => ('error' in outcome ? 'full' : outcome.created)),
      [true, true, 'full', false, true, 'full'],
    );
    assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 2);
    assert.equal((await ground.store.inboxSummary(owner)).version, 2);
  });
});
