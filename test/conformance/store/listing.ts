import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UserKey } from '../../../src/core/glossary.ts';
import { at, type Ground } from './ground.ts';

const idsOf = (items: readonly { readonly id: string }[]) => items.map(({ id }) => id);

/** GetNotifications. */
export function listing(ground: Ground): void {
  describe('listing', () => {
    it('shows what came last first, whatever time it says it was created', async () => {
      const owner = ground.user();
      const ids: string[] = [];
      for (const createdAtMs of [500n, 100n, 900n, 100n])
        ids.unshift((await ground.add(owner, { createdAtMs })).id);
      assert.deepEqual(await ground.listAll(owner), ids);
    });

    it('pages 5 items by 2 as 2, 2 and 1', async () => {
      const owner = ground.user();
      const ids = idsOf(await ground.addMany(owner, 5)).reverse();
      const sizes: number[] = [];
      const seen: string[] = [];
      let before: number | undefined;
      let more = true;
      while (more) {
        const page = await ground.list(owner, { before, limit: 2 });
        sizes.push(page.notifications.length);
        seen.push(...idsOf(page.notifications));
        assert.ok(sizes.length <= 3, 'pages come to an end');
        before = page.notifications.at(-1)?.position;
        more = page.more;
      }
      assert.deepEqual(sizes, [2, 2, 1]);
      assert.deepEqual(seen, ids);
    });

    it('says that nothing follows a last page that is full', async () => {
      const owner = ground.user();
      await ground.addMany(owner, 4);
      const first = await ground.list(owner, { limit: 2 });
      assert.equal(first.more, true);
      const second = await ground.list(owner, { limit: 2, before: at(first.notifications, -1).position });
      assert.deepEqual([second.notifications.length, second.more], [2, false]);
      assert.equal((await ground.list(owner, { limit: 4 })).more, false);
    });

    it('pages 250 items of one millisecond by 100, each once', async () => {
      const owner = ground.user();
      const createdAtMs = ground.now;
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.push(...idsOf(await ground.addMany(owner, 50, { createdAtMs })));
      assert.deepEqual(await ground.listAll(owner, { limit: 100 }), ids.reverse());
    });

    it('starts a page strictly after its cursor, also when the item there has gone', async () => {
      const owner = ground.user();
      const [oldest, middle, newest] = await ground.addMany(owner, 3);
      assert.ok(oldest && middle && newest);
      const after = async () => idsOf((await ground.list(owner, { before: middle.position })).notifications);
      assert.deepEqual(await after(), [oldest.id]);
      await ground.delete(owner, middle);
      assert.deepEqual(await after(), [oldest.id]);
      assert.deepEqual((await ground.list(owner, { before: oldest.position })).notifications, []);
      assert.deepEqual(await ground.listAll(owner, { before: newest.position + 1_000 }), [
        newest.id,
        oldest.id,
      ]);
    });

    it('neither repeats nor skips an item when new ones arrive between two pages', async () => {
      const owner = ground.user();
      const ids = idsOf(await ground.addMany(owner, 4)).reverse();
      const first = await ground.list(owner, { limit: 2 });
      await ground.addMany(owner, 3);
      const second = await ground.list(owner, { limit: 2, before: at(first.notifications, -1).position });
      assert.deepEqual(idsOf([...first.notifications, ...second.notifications]), ids);
    });

    it('ends a page with the item that brings it to its size, and goes on from there', async () => {
      const owner = ground.user();
      const body = 'x'.repeat(1_000);
      const ids = idsOf(await ground.addMany(owner, 5, { content: { body } })).reverse();
      for (const query of [{}, { unreadOnly: true }, { archived: true }, { types: ['comment'] }]) {
        const page = await ground.list(owner, { ...query, maxBytes: 1_500 });
        assert.deepEqual(idsOf(page.notifications), ids.slice(0, 2));
        assert.equal(page.more, true);
        assert.deepEqual(await ground.listAll(owner, { ...query, maxBytes: 1_500 }), ids);
        assert.deepEqual(await ground.listAll(owner, { ...query, maxBytes: 1 }), ids, 'never an empty page');
      }
      const exact = await ground.list(owner, { limit: 2, maxBytes: 1_500, before: undefined });
      assert.equal(exact.more, true);
    });

    it('filters and counts unread items that share a millisecond', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 6, { createdAtMs: ground.now });
      const read = items.filter((_, i) => i % 2 === 0);
      for (const item of read) await ground.read(owner, item);
      const unread = idsOf(items.filter((_, i) => i % 2 === 1)).reverse();
      assert.deepEqual(await ground.listAll(owner, { unreadOnly: true, limit: 1 }), unread);
      assert.equal((await ground.list(owner)).summary.unreadCount, 3);
    });

    it('shows failed and pending items too', async () => {
      const owner = ground.user();
      const failed = await ground.add(owner, { deliveries: [ground.email()] });
      await ground.store.recordOutcomes([
        ground.outcome(failed, 'email', { status: 'failed', reason: 'bounced' }),
      ]);
      const pending = await ground.add(owner, { deliveries: [ground.unaddressed()] });
      assert.deepEqual(await ground.listAll(owner), [pending.id, failed.id]);
    });

    it('carries the counts of the whole inbox on every page, whatever the filter', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 5, { content: { type: 'a' } });
      await ground.read(owner, at(items, 0));
      await ground.change(owner, { kind: 'seen_up_to', position: at(items, 2).position });
      const summary = await ground.store.inboxSummary(owner);
      assert.deepEqual([summary.unreadCount, summary.unseenCount], [4, 2]);
      for (const query of [
        {},
        { limit: 1 },
        { types: ['b'] },
        { before: at(items, 1).position },
        { unreadOnly: true },
      ])
        assert.deepEqual((await ground.list(owner, query)).summary, summary);
    });

    it('tells which of many inboxes are others than is known, in order', async () => {
      const [quiet, seen, added] = [ground.user(), ground.user(), ground.user()];
      const known = async (owner: UserKey) => {
        const { version, newestPosition } = await ground.store.inboxSummary(owner);
        return { ...owner, version, newestPosition };
      };
      for (const owner of [quiet, seen, added]) await ground.addMany(owner, 2);
      const before = [await known(seen), await known(quiet), await known(added)];
      assert.deepEqual(await ground.store.changedInboxes(before), [undefined, undefined, undefined]);
      await ground.change(seen, { kind: 'seen_up_to', position: (await known(seen)).newestPosition });
      await ground.add(added);
      const now = [await ground.store.inboxSummary(seen), await ground.store.inboxSummary(added)];
      assert.deepEqual(await ground.store.changedInboxes([...before, ...before.slice(0, 1)]), [
        now[0],
        undefined,
        now[1],
        now[0],
      ]);
      assert.deepEqual(await ground.store.changedInboxes([]), []);
    });

    it('filters by type, exactly, through all pages', async () => {
      const owner = ground.user();
      const items = new Map<string, string>();
      for (const type of ['a', 'b', 'A', 'a.b', '', 'b'])
        items.set((await ground.add(owner, { content: { type } })).id, type);
      const expected = (...types: string[]) =>
        [...items]
          .filter(([, type]) => types.includes(type))
          .map(([id]) => id)
          .reverse();
      for (const types of [['a'], ['b', 'a.b'], [''], ['a', 'b', 'A'], ['%'], ['nothing']])
        assert.deepEqual(await ground.listAll(owner, { types, limit: 1 }), expected(...types), types.join());
      assert.equal((await ground.listAll(owner, { types: [] })).length, 6);
    });

    it('filters by channel: items that go to one of those named', async () => {
      const owner = ground.user();
      const both = await ground.add(owner, { deliveries: [ground.inApp(owner), ground.email()] });
      const inApp = await ground.add(owner);
      const sms = await ground.add(owner, { deliveries: [ground.unaddressed({ channel: 'sms' })] });
      assert.deepEqual(await ground.listAll(owner, { channels: ['email'] }), [both.id]);
      assert.deepEqual(await ground.listAll(owner, { channels: ['in_app'], limit: 1 }), [inApp.id, both.id]);
      assert.deepEqual(await ground.listAll(owner, { channels: ['sms', 'email'] }), [sms.id, both.id]);
      assert.deepEqual(await ground.listAll(owner, { channels: ['webhook'] }), []);
      assert.deepEqual(await ground.listAll(owner, { channels: ['email'], unreadOnly: true }), [both.id]);
    });

    it('leaves archived items out unless they are asked for', async () => {
      const owner = ground.user();
      const [read, unread, plain] = await ground.addMany(owner, 3);
      assert.ok(read && unread && plain);
      await ground.read(owner, read);
      await ground.archive(owner, read);
      await ground.archive(owner, unread);
      assert.deepEqual(await ground.listAll(owner), [plain.id]);
      assert.deepEqual(await ground.listAll(owner, { archived: true, limit: 1 }), [
        plain.id,
        unread.id,
        read.id,
      ]);
      assert.deepEqual(await ground.listAll(owner, { unreadOnly: true }), [plain.id]);
      assert.deepEqual(await ground.listAll(owner, { unreadOnly: true, archived: true }), [
        plain.id,
        unread.id,
      ]);
    });
  });
}
