import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { namedIds } from '../../../src/core/store.ts';
import { at, type Ground, isNotFound, parallel } from './ground.ts';
import { changesOf } from './isolation.ts';

/** Read, seen, archived, deleted. */
export function changes(ground: Ground): void {
  describe('changes of the inbox', () => {
    it('stamps the time of reading once', async () => {
      const owner = ground.user();
      const added = await ground.add(owner);
      const first = await ground.read(owner, added, 1_000n);
      assert.deepEqual([first.changed, first.ids], [1, [added.id]]);
      const again = await ground.read(owner, added, 2_000n);
      assert.deepEqual([again.changed, again.ids], [0, []]);
      assert.deepEqual(again.summary, first.summary);
      assert.equal((await ground.store.getNotification(owner, added.id)).readAtMs, 1_000n);
    });

    it('stamps delivered and read each with its own time', async () => {
      const owner = ground.user();
      const added = await ground.add(owner);
      await ground.take(added, { atMs: 1_000n });
      await ground.read(owner, added, 2_000n);
      const stored = await ground.store.getNotification(owner, added.id);
      assert.deepEqual([stored.deliveries[0]?.deliveredAtMs, stored.readAtMs], [1_000n, 2_000n]);
    });

    it('answers a change with the counts after it', async () => {
      const owner = ground.user();
      const [one] = await ground.addMany(owner, 3);
      assert.ok(one);
      for (const change of changesOf(one.id, ground.now)) {
        const { summary } = await ground.change(owner, change);
        assert.deepEqual(summary, await ground.store.inboxSummary(owner));
      }
    });

    it('moves the version by one with every change, and not when nothing changed', async () => {
      const owner = ground.user();
      const [one, two] = await ground.addMany(owner, 2);
      assert.ok(one && two);
      let version = 2;
      for (const change of [
        ...changesOf(one.id, ground.now),
        { kind: 'seen_up_to', position: two.position } as const,
        { kind: 'read_up_to', position: two.position, atMs: ground.now } as const,
      ]) {
        const done = await ground.change(owner, change);
        version++;
        assert.deepEqual([done.changed, done.summary.version], [1, version], change.kind);
        // once more: nothing left to do
        const again = await ground.change(owner, change).catch(() => undefined);
        if (again)
          assert.deepEqual([again.changed, again.ids, again.summary.version], [0, [], version], change.kind);
      }
      assert.equal((await ground.store.inboxSummary(owner)).newestPosition, two.position, 'positions stay');
    });

    it('counts an item marked unread again, and may stamp it anew', async () => {
      const owner = ground.user();
      const added = await ground.add(owner);
      await ground.read(owner, added, 1_000n);
      const unread = await ground.change(owner, { kind: 'unread', id: added.id });
      assert.deepEqual([unread.changed, unread.summary.unreadCount], [1, 1]);
      assert.equal((await ground.store.getNotification(owner, added.id)).readAtMs, 0n);
      assert.deepEqual(await ground.listAll(owner, { unreadOnly: true }), [added.id]);
      await ground.read(owner, added, 2_000n);
      assert.equal((await ground.store.getNotification(owner, added.id)).readAtMs, 2_000n);
    });

    it('keeps archived items out of the counts, and brings them back', async () => {
      const owner = ground.user();
      const [one] = await ground.addMany(owner, 2);
      assert.ok(one);
      const archived = await ground.archive(owner, one);
      assert.deepEqual([archived.summary.unreadCount, archived.summary.unseenCount], [1, 1]);
      assert.notEqual((await ground.store.getNotification(owner, one.id)).archivedAtMs, 0n);
      await ground.read(owner, one);
      const readStill = await ground.change(owner, { kind: 'unread', id: one.id });
      assert.equal(readStill.summary.unreadCount, 1, 'reading and unreading an archived item counts nothing');
      const back = await ground.change(owner, { kind: 'unarchive', id: one.id });
      assert.deepEqual([back.summary.unreadCount, back.summary.unseenCount], [2, 2]);
      assert.equal((await ground.store.getNotification(owner, one.id)).archivedAtMs, 0n);
    });

    it('hides a deleted item for good', async () => {
      const owner = ground.user();
      const [one, two] = await ground.addMany(owner, 2);
      assert.ok(one && two);
      const deleted = await ground.delete(owner, one);
      assert.deepEqual([deleted.changed, deleted.ids, deleted.summary.unreadCount], [1, [one.id], 1]);
      await isNotFound(ground.store.getNotification(owner, one.id));
      for (const change of changesOf(one.id, ground.now))
        if (change.kind !== 'delete') await isNotFound(ground.change(owner, change));
      assert.deepEqual(await ground.listAll(owner, { archived: true }), [two.id]);
      assert.deepEqual(await ground.replayed(owner), [two.id]);
      assert.deepEqual(
        (await ground.since(owner)).notifications.map(({ id }) => id),
        [two.id],
      );
      const all = await ground.change(owner, {
        kind: 'read_up_to',
        position: two.position,
        atMs: ground.now,
      });
      assert.deepEqual(all.ids, [two.id]);
    });

    it('lets a user delete an item twice', async () => {
      const owner = ground.user();
      const added = await ground.add(owner);
      const first = await ground.delete(owner, added);
      const again = await ground.delete(owner, added);
      assert.deepEqual(again, { changed: 0, ids: [], summary: first.summary });
    });

    it('keeps the idempotency key and the deliveries of a deleted item', async () => {
      const owner = ground.user();
      const added = await ground.add(owner, { key: 'k', deliveries: [ground.inApp(owner), ground.email()] });
      await ground.store.recordOutcomes([ground.outcome(added, 'email')]);
      const before = await ground.delete(owner, added);
      const again = await ground.createOne(
        ground.draft(owner, { key: 'k', deliveries: [ground.inApp(owner), ground.email()] }),
      );
      assert.equal(again.created, false);
      assert.equal(again.notification.id, added.id);
      assert.deepEqual(again.attempt, []);
      assert.deepEqual(
        again.notification.deliveries.map(({ status }) => status),
        ['pending', 'delivered'],
      );
      assert.deepEqual(await ground.store.inboxSummary(owner), before.summary);
    });

    it('reads an item without in-app, which changes no count', async () => {
      const owner = ground.user();
      await ground.add(owner);
      const newsletter = await ground.add(owner, { deliveries: [ground.email()] });
      const read = await ground.read(owner, newsletter, 1_000n);
      assert.deepEqual([read.changed, read.summary.unreadCount, read.summary.unseenCount], [1, 1, 1]);
      assert.equal((await ground.store.getNotification(owner, newsletter.id)).readAtMs, 1_000n);
      const unread = await ground.change(owner, { kind: 'unread', id: newsletter.id });
      assert.deepEqual([unread.changed, unread.summary.unreadCount], [1, 1]);
      for (const change of changesOf(newsletter.id, ground.now))
        assert.equal((await ground.change(owner, change)).summary.unreadCount, 1, change.kind);
    });

    it('reads all up to a position, that one included, and no item twice', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 5);
      await ground.read(owner, at(items, 1), 1_000n);
      const upTo = { kind: 'read_up_to', position: at(items, 3).position } as const;
      const done = await ground.change(owner, { ...upTo, atMs: 2_000n });
      assert.equal(done.changed, 3);
      assert.deepEqual(new Set(done.ids), new Set([0, 2, 3].map((i) => at(items, i).id)));
      assert.equal(done.summary.unreadCount, 1);
      const read = (await ground.list(owner)).notifications.map(({ readAtMs }) => readAtMs);
      assert.deepEqual(read, [0n, 2_000n, 2_000n, 1_000n, 2_000n]);
    });

    it('leaves archived items and those without in-app as they are when all are read', async () => {
      const owner = ground.user();
      const archived = await ground.add(owner);
      await ground.archive(owner, archived);
      const newsletter = await ground.add(owner, { deliveries: [ground.email()] });
      const plain = await ground.add(owner);
      const done = await ground.change(owner, {
        kind: 'read_up_to',
        position: plain.position,
        atMs: ground.now,
      });
      assert.deepEqual([done.changed, done.ids, done.summary.unreadCount], [1, [plain.id], 0]);
      for (const { id } of [archived, newsletter])
        assert.equal((await ground.store.getNotification(owner, id)).readAtMs, 0n);
      const back = await ground.change(owner, { kind: 'unarchive', id: archived.id });
      assert.equal(back.summary.unreadCount, 1);
    });

    it('names up to a hundred changed items, and no more', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 2 * namedIds + 1);
      const upTo = async (i: number) =>
        ground.change(owner, { kind: 'read_up_to', position: at(items, i).position, atMs: ground.now });
      const named = await upTo(namedIds - 1);
      assert.deepEqual([named.changed, named.ids?.length], [namedIds, namedIds]);
      const unnamed = await upTo(2 * namedIds);
      assert.deepEqual([unnamed.changed, unnamed.ids], [namedIds + 1, undefined]);
      assert.equal(unnamed.summary.unreadCount, 0);
    });

    it('counts as unseen what is unread past the seen position', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 5);
      await ground.add(owner, { deliveries: [ground.email()] });
      await ground.read(owner, at(items, 4));
      assert.equal((await ground.store.inboxSummary(owner)).unseenCount, 4);
      const seen = await ground.change(owner, { kind: 'seen_up_to', position: at(items, 1).position });
      assert.deepEqual([seen.changed, seen.summary.unseenCount, seen.summary.unreadCount], [1, 2, 4]);
      const flags = (await ground.list(owner)).notifications.map((item) => item.seen);
      assert.deepEqual(flags, [false, false, false, false, true, true]);
      assert.equal((await ground.read(owner, at(items, 2))).summary.unseenCount, 1, 'read past it');
      assert.equal((await ground.read(owner, at(items, 0))).summary.unseenCount, 1, 'read before it');
      const again = await ground.change(owner, { kind: 'unread', id: at(items, 0).id });
      assert.deepEqual(
        [again.summary.unreadCount, again.summary.unseenCount],
        [3, 1],
        'unread again, but seen',
      );
    });

    it('never moves the seen position back, nor past the newest item', async () => {
      const owner = ground.user();
      const [one, two] = await ground.addMany(owner, 2);
      assert.ok(one && two);
      const far = await ground.change(owner, { kind: 'seen_up_to', position: two.position + 1_000_000 });
      assert.deepEqual([far.changed, far.summary.unseenCount], [1, 0]);
      const back = await ground.change(owner, { kind: 'seen_up_to', position: one.position });
      assert.deepEqual([back.changed, back.summary], [0, far.summary]);
      const next = await ground.add(owner);
      assert.equal(next.seen, false);
      assert.equal((await ground.store.inboxSummary(owner)).unseenCount, 1);
    });

    it('says of one of 16 callers at once that it read the item', async () => {
      const owner = ground.user();
      const [added] = await ground.addMany(owner, 2);
      assert.ok(added);
      const done = await parallel(16, () => ground.read(owner, added));
      assert.equal(
        done.reduce((sum, { changed }) => sum + changed, 0),
        1,
      );
      const summary = await ground.store.inboxSummary(owner);
      assert.deepEqual([summary.unreadCount, summary.version], [1, 3]);
    });
  });
}
