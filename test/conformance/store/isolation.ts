import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UserKey } from '../../../src/core/glossary.ts';
import type { InboxChange } from '../../../src/core/store.ts';
import { at, type Ground, isNotFound } from './ground.ts';

/** That tenant and user are part of every key. */
export function isolation(ground: Ground): void {
  describe('isolation', () => {
    it('makes one id another notification for another user and in another tenant', async () => {
      const owner = ground.user();
      const owners = [owner, { ...owner, userId: 'bob' }, { ...ground.user(), userId: owner.userId }];
      const outcomes = await ground.create(...owners.map((each) => ground.draft(each, { key: 'same' })));
      assert.ok(outcomes.every(({ created }) => created));
      for (const [i, each] of owners.entries())
        assert.deepEqual(await ground.listAll(each), [at(outcomes, i).notification.id]);
    });

    it('answers not_found for somebody else’s notification, whatever is asked', async () => {
      const owner = ground.user();
      const added = await ground.add(owner);
      const others = [
        { ...owner, userId: 'bob' },
        { ...ground.user(), userId: owner.userId },
      ];
      for (const other of others) {
        await ground.add(other);
        await isNotFound(ground.store.getNotification(other, added.id));
        for (const change of changesOf(added.id, ground.now)) await isNotFound(ground.change(other, change));
        await ground.store.recordOutcomes([{ ...ground.outcome(added, 'in_app'), ...other }]);
      }
      assert.deepEqual(await ground.store.getNotification(owner, added.id), added);
    });

    it('keeps counts, lists and streams of users and tenants apart', async () => {
      const owner = ground.user();
      const others = [
        { ...owner, userId: 'bob' },
        { ...ground.user(), userId: owner.userId },
      ];
      const mine = await ground.addMany(owner, 2);
      for (const other of others) {
        const [theirs] = await ground.addMany(other, 3);
        assert.ok(theirs);
        await ground.change(other, { kind: 'read_up_to', position: theirs.position, atMs: ground.now });
        await ground.change(other, { kind: 'seen_up_to', position: theirs.position + 1 });
        assert.equal((await ground.since(other)).notifications.length, 1);
      }
      const ids = mine.map(({ id }) => id);
      const page = await ground.list(owner);
      assert.deepEqual(
        page.notifications.map(({ id }) => id),
        ids.toReversed(),
      );
      assert.equal(page.summary.unreadCount, 2);
      assert.equal(page.summary.unseenCount, 2);
      assert.equal(page.summary.version, 2);
      assert.deepEqual(await ground.replayed(owner), ids);
    });

    it('shows an unknown tenant nothing: empty lists, zero counts, not_found, no devices', async () => {
      const owner = ground.user();
      const page = await ground.list(owner);
      assert.deepEqual(page.notifications, []);
      assert.equal(page.more, false);
      assert.deepEqual([page.summary.unreadCount, page.summary.unseenCount, page.summary.version], [0, 0, 0]);
      assert.deepEqual(await ground.store.inboxSummary(owner), page.summary);
      assert.deepEqual(await ground.since(owner), {
        notifications: [],
        through: page.summary.newestPosition,
        more: false,
        isOfAnother: false,
      });
      assert.deepEqual(await ground.store.listDevices(owner), []);
      await isNotFound(ground.store.getNotification(owner, ground.ambient.ids.next()));
      for (const change of changesOf(ground.ambient.ids.next(), ground.now))
        await isNotFound(ground.change(owner, change));
    });

    it('keeps the first position for a user who marked an empty inbox as read and seen', async () => {
      const owner = ground.user();
      const position = Number.MAX_SAFE_INTEGER;
      const before = await ground.store.inboxSummary(owner);
      for (const change of [
        { kind: 'read_up_to', position, atMs: ground.now },
        { kind: 'seen_up_to', position },
      ] as const)
        assert.deepEqual(await ground.change(owner, change), { changed: 0, ids: [], summary: before });
      const added = await ground.add(owner);
      assert.equal(added.position, before.newestPosition + 1);
      assert.equal((await ground.store.inboxSummary(owner)).unseenCount, 1);
    });

    it('keeps ids apart that would join alike', async () => {
      const tenant = ground.fresh('t');
      const triples: [string, string, string][] = [];
      for (const mark of ['|', ':', '/', ',', '"', '\\', '1:', ' ', '\u0001'])
        triples.push(
          [`${tenant}${mark}a`, 'b', 'c'],
          [tenant, `a${mark}b`, 'c'],
          [tenant, 'a', `b${mark}c`],
          [`${tenant}${mark}`, 'a', 'c'],
          [tenant, `${mark}a`, 'c'],
        );
      const rows = triples.map(([tenantId, userId, key]) => ground.draft({ tenantId, userId }, { key }));
      const outcomes = await ground.create(...rows);
      assert.deepEqual(
        outcomes.map(({ notification: { tenantId, userId, notificationId } }) => [
          tenantId,
          userId,
          notificationId,
        ]),
        triples,
      );
      assert.ok(outcomes.every(({ created }) => created));
    });

    it('keeps ids apart that differ only in case, outer spaces or the form of an accent', async () => {
      const owner = ground.user();
      const variants = ['Key', 'key', ' key', 'key ', 'k\u00e9y', 'ke\u0301y'];
      const owners: UserKey[] = variants.map((userId) => ({ ...owner, userId }));
      const rows = [
        ...variants.map((key) => ground.draft(owner, { key })),
        ...owners.map((each) => ground.draft(each, { key: 'k' })),
        ...variants.map((word) =>
          ground.draft({ ...owner, tenantId: `${owner.tenantId}${word}` }, { key: 'k' }),
        ),
      ];
      const outcomes = await ground.create(...rows);
      assert.ok(outcomes.every(({ created }) => created));
    });

    it('never writes in a name that JavaScript objects inherit', async () => {
      for (const name of ['__proto__', 'constructor', 'toString']) {
        const owner = { tenantId: ground.fresh('t') + name, userId: name };
        const added = await ground.add(owner, { key: name });
        assert.equal((await ground.store.getNotification(owner, added.id)).notificationId, name);
        await ground.store.registerDevice(ground.device(owner, { deviceId: name, token: name }));
        assert.equal((await ground.store.listDevices(owner)).length, 1);
      }
    });
  });
}

/** Every change that names an item. */
export const changesOf = (id: string, atMs: bigint): InboxChange[] => [
  { kind: 'read', id, atMs },
  { kind: 'unread', id },
  { kind: 'archive', id, atMs },
  { kind: 'unarchive', id },
  { kind: 'delete', id, atMs },
];
