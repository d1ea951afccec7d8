import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Notification, UserKey } from '../../../src/core/glossary.ts';
import { deliveryOf, type Ground, isNotFound } from './ground.ts';
import { changesOf } from './isolation.ts';

/** Expiry stops what has not gone out yet. */
export function expiry(ground: Ground): void {
  const lifetimeMs = 60_000;
  const addExpiring = (owner: UserKey, key?: string): Promise<Notification> =>
    ground.add(owner, {
      ...(key === undefined ? {} : { key }),
      content: { expiresAtMs: ground.now + BigInt(lifetimeMs) },
      deliveries: [ground.inApp(owner), ground.email()],
    });

  describe('expiry', () => {
    it('takes an item out of the inbox that nobody took, at its time and not before', async () => {
      const owner = ground.user();
      const kept = await ground.add(owner);
      const expiring = await addExpiring(owner);
      const before = await ground.store.inboxSummary(owner);
      await ground.ambient.clock.advance(lifetimeMs - 1);
      assert.deepEqual(await ground.store.inboxSummary(owner), before);
      assert.deepEqual(await ground.listAll(owner), [expiring.id, kept.id]);
      await ground.ambient.clock.advance(1);
      assert.deepEqual(await ground.listAll(owner, { archived: true }), [kept.id]);
      const after = await ground.store.inboxSummary(owner);
      assert.deepEqual([after.unreadCount, after.unseenCount], [1, 1]);
      assert.ok(after.version > before.version, 'the inbox has changed');
      assert.equal(after.newestPosition, before.newestPosition, 'its position stays given');
      assert.equal((await ground.add(owner)).position, expiring.position + 1);
    });

    for (const [what, look] of [
      ['the counts', async (owner: UserKey) => (await ground.store.inboxSummary(owner)).unreadCount],
      ['a list', async (owner: UserKey) => (await ground.list(owner)).notifications.length],
      ['the counts of a list', async (owner: UserKey) => (await ground.list(owner)).summary.unreadCount],
      ['a stream', async (owner: UserKey) => (await ground.since(owner)).notifications.length],
      ['a replay', async (owner: UserKey) => (await ground.replayed(owner)).length],
      [
        'marking all as read',
        async (owner: UserKey) =>
          (
            await ground.change(owner, {
              kind: 'read_up_to',
              position: Number.MAX_SAFE_INTEGER,
              atMs: ground.now,
            })
          ).changed,
      ],
    ] as const)
      it(`shows in ${what}, when that is the first to be asked`, async () => {
        const owner = ground.user();
        await addExpiring(owner);
        await ground.ambient.clock.advance(lifetimeMs);
        assert.equal(await look(owner), 0);
      });

    it('answers not_found for what has expired', async () => {
      const owner = ground.user();
      const added = await addExpiring(owner);
      await ground.ambient.clock.advance(lifetimeMs);
      await isNotFound(ground.store.getNotification(owner, added.id));
      for (const change of changesOf(added.id, ground.now)) await isNotFound(ground.change(owner, change));
    });

    it('keeps the key, and tells a repeat that the item was suppressed', async () => {
      const owner = ground.user();
      const added = await addExpiring(owner, 'k');
      await ground.ambient.clock.advance(lifetimeMs);
      const again = await ground.createOne(ground.draft(owner, { key: 'k' }));
      assert.deepEqual([again.created, again.notification.id, again.attempt], [false, added.id, []]);
      const { status, reason } = deliveryOf(again.notification, 'in_app');
      assert.deepEqual([status, reason], ['suppressed', 'expired']);
      assert.equal(
        deliveryOf(again.notification, 'email').status,
        'pending',
        'its other channels are not touched',
      );
    });

    it('leaves items alone that were taken, read or archived in time', async () => {
      const owner = ground.user();
      const taken = await addExpiring(owner);
      const read = await addExpiring(owner);
      const archived = await addExpiring(owner);
      await ground.take(taken);
      await ground.read(owner, read);
      await ground.archive(owner, archived);
      const before = await ground.store.inboxSummary(owner);
      await ground.ambient.clock.advance(lifetimeMs);
      assert.deepEqual(await ground.listAll(owner, { archived: true }), [archived.id, read.id, taken.id]);
      assert.deepEqual(await ground.store.inboxSummary(owner), before);
    });

    it('lets an outcome still count that a stream had in time and that is written late', async () => {
      const owner = ground.user();
      const added = await addExpiring(owner);
      const takenAt = ground.now;
      await ground.ambient.clock.advance(lifetimeMs);
      await ground.take(added, { atMs: takenAt });
      assert.deepEqual(await ground.listAll(owner), [added.id]);
    });

    it('leaves items alone that never expire, and those without in-app', async () => {
      const owner = ground.user();
      const never = await ground.add(owner);
      const content = { expiresAtMs: ground.now + 1n };
      const newsletter = await ground.add(owner, { content, deliveries: [ground.email()] });
      await ground.ambient.clock.advance(24 * 3_600_000);
      assert.deepEqual(await ground.listAll(owner), [newsletter.id, never.id]);
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 1);
    });

    it('goes by each item’s own time, in whatever order they came', async () => {
      const owner = ground.user();
      const lifetimes = [30, 10, 50, 20, 40];
      const items: Notification[] = [];
      for (const ms of lifetimes)
        items.push(await ground.add(owner, { content: { expiresAtMs: ground.now + BigInt(ms) } }));
      for (const passed of [10, 20, 30, 40, 50]) {
        await ground.ambient.clock.advance(10);
        const left = items.filter((_, i) => (lifetimes[i] ?? 0) > passed).map(({ id }) => id);
        assert.deepEqual(await ground.listAll(owner), left.reverse());
        assert.equal((await ground.store.inboxSummary(owner)).unreadCount, left.length);
      }
    });

    it('takes an expired item out once it comes back to the unread ones', async () => {
      const owner = ground.user();
      const read = await addExpiring(owner);
      const archived = await addExpiring(owner);
      await ground.read(owner, read);
      await ground.archive(owner, archived);
      await ground.ambient.clock.advance(lifetimeMs);
      for (const change of [
        { kind: 'unread', id: read.id },
        { kind: 'unarchive', id: archived.id },
      ] as const) {
        const done = await ground.change(owner, change);
        assert.deepEqual([done.changed, done.summary.unreadCount], [1, 0]);
        assert.deepEqual(done.summary, await ground.store.inboxSummary(owner));
        await isNotFound(ground.store.getNotification(owner, change.id));
      }
    });
  });
}
