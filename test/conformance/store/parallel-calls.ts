import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, type Ground, parallel } from './ground.ts';

/** Many callers at once. */
export function parallelCalls(ground: Ground): void {
  describe('parallel calls', () => {
    it('store 16 different ids, with positions without a gap', async () => {
      const owner = ground.user();
      const { newestPosition } = await ground.store.inboxSummary(owner);
      const outcomes = await parallel(16, () => ground.createOne(ground.draft(owner)));
      assert.ok(outcomes.every(({ created }) => created));
      assert.deepEqual(
        outcomes.map(({ notification }) => notification.position - newestPosition).sort((a, b) => a - b),
        Array.from({ length: 16 }, (_, i) => i + 1),
      );
      assert.deepEqual(
        outcomes.map(({ version }) => version).sort((a, b) => a - b),
        Array.from({ length: 16 }, (_, i) => i + 1),
      );
      const summary = await ground.store.inboxSummary(owner);
      assert.deepEqual([summary.unreadCount, summary.newestPosition], [16, newestPosition + 16]);
    });

    it('store one id once, answer it to all 16, and let one of them send', async () => {
      const owner = ground.user();
      const outcomes = await parallel(16, () =>
        ground.createOne(
          ground.draft(owner, { key: 'one', deliveries: [ground.inApp(owner), ground.email()] }),
        ),
      );
      assert.equal(outcomes.filter(({ created }) => created).length, 1);
      assert.equal(outcomes.flatMap(({ attempt }) => attempt).length, 1);
      assert.equal(new Set(outcomes.map(({ notification }) => notification.id)).size, 1);
      assert.equal(
        new Set(outcomes.flatMap(({ notification }) => notification.deliveries.map(({ id }) => id))).size,
        2,
      );
      const summary = await ground.store.inboxSummary(owner);
      assert.deepEqual([summary.unreadCount, summary.version], [1, 1]);
    });

    it('let 32 writers read what they wrote', async () => {
      const { tenantId } = ground.user();
      await parallel(32, async (i) => {
        const owner = { tenantId, userId: `user-${i % 4}` };
        const added = await ground.add(owner, { content: { title: `from ${i}` } });
        assert.equal((await ground.store.getNotification(owner, added.id)).title, `from ${i}`);
        assert.ok((await ground.listAll(owner)).includes(added.id));
        await ground.read(owner, added);
        assert.notEqual((await ground.store.getNotification(owner, added.id)).readAtMs, 0n);
      });
    });

    it('succeed when they name the same users in different orders', async () => {
      const { tenantId } = ground.user();
      const users = Array.from({ length: 10 }, (_, i) => ({ tenantId, userId: `user-${i}` }));
      await parallel(16, (call) => {
        const order = call % 2 === 0 ? users : users.toReversed();
        return ground.create(...order.map((owner) => ground.draft(owner, { key: `call-${call % 8}` })));
      });
      for (const owner of users) {
        assert.equal((await ground.listAll(owner)).length, 8);
        assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 8);
      }
    });

    it('leave counts that agree with the list, whatever they changed', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 40);
      const atMs = ground.now;
      await parallel(160, async (i) => {
        const { id, position } = at(items, (i * 7) % items.length);
        const kinds = [
          'read',
          'unread',
          'archive',
          'unarchive',
          'read_up_to',
          'seen_up_to',
          'add',
          'take',
        ] as const;
        const kind = kinds[i % kinds.length] ?? 'read';
        if (kind === 'add') await ground.add(owner);
        else if (kind === 'take') await ground.take(at(items, (i * 7) % items.length));
        else if (kind === 'seen_up_to') await ground.change(owner, { kind, position });
        else if (kind === 'read_up_to')
          await ground.change(owner, { kind, position: at(items, i % 10).position, atMs });
        else if (kind === 'unread' || kind === 'unarchive') await ground.change(owner, { kind, id });
        else await ground.change(owner, { kind, id, atMs });
      });
      const { notifications, summary } = await ground.list(owner, { unreadOnly: true });
      assert.equal(summary.unreadCount, notifications.length);
      assert.equal(summary.unseenCount, notifications.filter(({ seen }) => !seen).length);
      assert.equal(summary.newestPosition, at(items, 0).position + 59);
    });
  });
}
