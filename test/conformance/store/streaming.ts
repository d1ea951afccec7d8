import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Content } from '../../../src/core/glossary.ts';
import { at, type Ground } from './ground.ts';

const idsOf = (items: readonly { readonly id: string }[]) => items.map(({ id }) => id);

/** What streams read: notificationsSince. */
export function streaming(ground: Ground): void {
  describe('streaming', () => {
    it('resumes strictly after a position, oldest first', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 5);
      const page = await ground.since(owner, { after: at(items, 1).position });
      assert.deepEqual(idsOf(page.notifications), idsOf(items.slice(2)));
      assert.equal(page.through, at(items, 4).position);
      assert.deepEqual(await ground.since(owner, { after: page.through }), {
        notifications: [],
        through: page.through,
        more: false,
        isOfAnother: false,
      });
    });

    it('says how far a page got: to its last item when it is full, else to the newest position', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 3);
      const newsletter = await ground.add(owner, { deliveries: [ground.email()] });
      const first = await ground.since(owner, { limit: 2 });
      assert.deepEqual(idsOf(first.notifications), idsOf(items.slice(0, 2)));
      assert.equal(first.through, at(items, 1).position);
      const second = await ground.since(owner, { limit: 2, after: first.through });
      assert.deepEqual(idsOf(second.notifications), [at(items, 2).id]);
      assert.equal(second.through, newsletter.position);
      const exact = await ground.since(owner, { limit: 3 });
      assert.equal(exact.through, at(items, 2).position);
    });

    it('ends a page with the item that makes it too large, however few they are', async () => {
      const owner = ground.user();
      const [small, large, larger, last] = [
        ...(await ground.addMany(owner, 1)),
        ...(await ground.addMany(owner, 2, { content: { body: 'x'.repeat(500_000) } })),
        ...(await ground.addMany(owner, 1)),
      ];
      assert.ok(small && large && larger && last);
      const untakenAtMs = ground.now + 1n;
      await ground.take(larger);
      for (const query of [{}, { untakenAtMs }]) {
        const first = await ground.since(owner, { ...query, maxBytes: 400_000 });
        assert.deepEqual(idsOf(first.notifications), idsOf([small, large]));
        assert.deepEqual([first.through, first.more], [large.position, true]);
        const second = await ground.since(owner, { ...query, maxBytes: 1, after: first.through });
        assert.equal(second.notifications[0]?.body.length, query.untakenAtMs ? last.body.length : 500_000);
        assert.equal(second.notifications.length, 1);
        assert.deepEqual(await ground.sinceAll(owner, { ...query, limit: 10, maxBytes: 1 }), [
          ...idsOf([small, large]),
          ...(query.untakenAtMs ? [] : [larger.id]),
          last.id,
        ]);
      }
    });

    it('counts every text of an item', async () => {
      const owner = ground.user();
      const long = 'x'.repeat(1_000);
      const contents: Partial<Content>[] = [
        { title: long },
        { body: long },
        { data: JSON.stringify({ long }) },
        { actions: [{ label: 'Open', url: `/${long}` }] },
        { actionUrl: `/${long}` },
      ];
      for (const content of contents) await ground.add(owner, { content });
      await ground.addMany(owner, 1);
      const pages: number[] = [];
      for (let after = 0, more = true; more; ) {
        const page = await ground.since(owner, { after, maxBytes: 1_000 });
        pages.push(page.notifications.length);
        after = page.through;
        more = page.more;
      }
      assert.deepEqual(pages, [1, 1, 1, 1, 1, 1]);
    });

    it('reads on for many streams at once, each from its own position, in order', async () => {
      const [one, two, quiet, nobody] = [ground.user(), ground.user(), ground.user(), ground.user()];
      const ofOne = await ground.addMany(one, 3);
      const ofTwo = await ground.addMany(two, 2);
      await ground.read(two, at(ofTwo, 0));
      const [known] = await ground.addMany(quiet, 1);
      assert.ok(known);
      const streams = [
        { ...two, after: 0 },
        { ...quiet, after: known.position },
        { ...one, after: at(ofOne, 0).position },
        { ...nobody, after: 0 },
        { ...one, after: at(ofOne, 1).position },
      ];
      const pages = await ground.after(streams);
      assert.deepEqual(
        pages.map(({ notifications }) => idsOf(notifications)),
        [[at(ofTwo, 1).id], [], idsOf(ofOne.slice(1)), [], [at(ofOne, 2).id]],
      );
      assert.deepEqual(
        pages,
        await Promise.all(streams.map(({ after, ...owner }) => ground.since(owner, { after }))),
      );
      const limited = await ground.after(streams, { limit: 1 });
      assert.deepEqual(
        limited.map(({ notifications, more }) => [notifications.length, more]),
        [
          [1, true],
          [0, false],
          [1, true],
          [0, false],
          [1, true],
        ],
      );
      assert.deepEqual(await ground.after([]), []);
    });

    it('leaves pages for later where those before them have reached the bound of all', async () => {
      const users = [ground.user(), ground.user(), ground.user(), ground.user()];
      const [idle, large, next, last] = users;
      assert.ok(idle && large && next && last);
      const body = 'x'.repeat(10_000);
      for (const owner of [large, next, last]) await ground.addMany(owner, 3, { content: { body } });
      const streams = users.map((owner) => ({ ...owner, after: 0 }));
      const pages = await ground.after(streams, { maxBytes: 15_000, maxBytesOfAll: 25_000 });
      assert.deepEqual(
        pages.map(({ notifications, more }) => [notifications.length, more]),
        [
          [0, false],
          [2, true],
          [1, true],
          [0, true],
        ],
      );
      assert.equal(pages[3]?.through, 0, 'it goes on where it was');
      const [, first, ...none] = await ground.after(streams, { maxBytesOfAll: 1 });
      assert.equal(first?.notifications.length, 1, 'never nothing at all');
      assert.deepEqual(
        none.map(({ notifications, more }) => [notifications.length, more]),
        [
          [0, true],
          [0, true],
        ],
      );
    });

    it('never reads on into what has expired', async () => {
      const [gone, kept] = [ground.user(), ground.user()];
      const expiresAtMs = ground.now + 1_000n;
      await ground.add(gone, { content: { expiresAtMs } });
      const item = await ground.add(kept);
      await ground.ambient.clock.advance(1_001);
      const streams = [gone, kept].map((owner) => ({ ...owner, after: 0 }));
      const pages = await ground.after(streams);
      assert.deepEqual(
        pages.map(({ notifications }) => idsOf(notifications)),
        [[], [item.id]],
      );
      assert.equal((await ground.store.inboxSummary(gone)).unreadCount, 0);
    });

    it('passes over items without in-app', async () => {
      const owner = ground.user();
      for (let i = 0; i < 2; i++) await ground.add(owner, { deliveries: [ground.email()] });
      const { notifications, through } = await ground.since(owner);
      assert.deepEqual(notifications, []);
      assert.equal(through, (await ground.store.inboxSummary(owner)).newestPosition);
      assert.deepEqual(await ground.replayed(owner), []);
    });

    it('resumes with items that another stream took, and with those read after that', async () => {
      const owner = ground.user();
      const [taken, read, fresh] = await ground.addMany(owner, 3);
      assert.ok(taken && read && fresh);
      await ground.take(taken);
      await ground.take(read);
      await ground.read(owner, read);
      assert.deepEqual(idsOf((await ground.since(owner)).notifications), idsOf([taken, read, fresh]));
    });

    it('does not stream what was read or seen before any stream took it', async () => {
      const owner = ground.user();
      const [seen, read, fresh] = await ground.addMany(owner, 3);
      assert.ok(seen && read && fresh);
      await ground.change(owner, { kind: 'seen_up_to', position: seen.position });
      await ground.read(owner, read);
      assert.deepEqual(idsOf((await ground.since(owner)).notifications), [fresh.id]);
      assert.deepEqual(await ground.replayed(owner), [fresh.id]);
    });

    it('streams an item again that is marked unread, unless it was seen', async () => {
      const owner = ground.user();
      const [seen, unseen] = await ground.addMany(owner, 2);
      assert.ok(seen && unseen);
      await ground.change(owner, { kind: 'read_up_to', position: unseen.position, atMs: ground.now });
      await ground.change(owner, { kind: 'seen_up_to', position: seen.position });
      for (const { id } of [seen, unseen]) await ground.change(owner, { kind: 'unread', id });
      assert.deepEqual(await ground.replayed(owner), [unseen.id]);
      assert.deepEqual(idsOf((await ground.since(owner)).notifications), [unseen.id]);
    });

    it('never streams what is archived or deleted, taken or not, and streams again what comes back', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 4);
      const [archived, archivedTaken, deleted, deletedTaken] = items;
      assert.ok(archived && archivedTaken && deleted && deletedTaken);
      const openedAt = ground.now;
      for (const item of [archivedTaken, deletedTaken]) await ground.take(item);
      for (const item of [archived, archivedTaken]) await ground.archive(owner, item);
      for (const item of [deleted, deletedTaken]) await ground.delete(owner, item);
      assert.deepEqual((await ground.since(owner)).notifications, []);
      assert.deepEqual((await ground.since(owner, { untakenAtMs: openedAt })).notifications, []);
      for (const { id } of [archived, archivedTaken]) await ground.change(owner, { kind: 'unarchive', id });
      assert.deepEqual(idsOf((await ground.since(owner)).notifications), idsOf([archived, archivedTaken]));
      assert.deepEqual(
        idsOf((await ground.since(owner, { untakenAtMs: openedAt })).notifications),
        idsOf([archived, archivedTaken]),
      );
    });

    it('replays what no stream has taken, and no more once one has', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 4);
      await ground.take(at(items, 1));
      await ground.take(at(items, 3));
      await ground.ambient.clock.advance(1);
      assert.deepEqual(await ground.replayed(owner), [at(items, 0).id, at(items, 2).id]);
      await ground.take(at(items, 0));
      await ground.take(at(items, 2));
      await ground.ambient.clock.advance(1);
      assert.deepEqual(await ground.replayed(owner), []);
      const { newestPosition } = await ground.store.inboxSummary(owner);
      assert.equal((await ground.since(owner, { untakenAtMs: ground.now })).through, newestPosition);
    });

    it('replays to two streams that open at one moment, whichever takes an item first', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 6);
      await ground.take(at(items, 0));
      await ground.ambient.clock.advance(10);
      const openedAt = ground.now;
      // the other stream takes some, at the same millisecond and later, not in their order
      await ground.take(at(items, 3));
      await ground.ambient.clock.advance(5);
      await ground.take(at(items, 1));
      await ground.take(at(items, 4), { status: 'acked' });
      const all = await ground.since(owner, { untakenAtMs: openedAt });
      assert.deepEqual(idsOf(all.notifications), idsOf(items.slice(1)));
      const ids = await ground.sinceAll(owner, { untakenAtMs: openedAt, limit: 2 });
      assert.deepEqual(ids, idsOf(items.slice(1)));
    });

    it('replays exactly what is left of a long inbox', async () => {
      const owner = ground.user();
      const items = await ground.addMany(owner, 250);
      // 7 and 250 have no common divisor: every item once, all over the inbox
      const shuffled = items.map((_, i) => at(items, (i * 7) % items.length));
      const [taken, read, archived, deleted] = [0, 60, 120, 150, 180].map((from, i, all) =>
        shuffled.slice(from, all[i + 1]),
      );
      assert.ok(taken && read && archived && deleted);
      await ground.store.recordOutcomes(taken.map((item) => ground.outcome(item, 'in_app')));
      for (const item of read) await ground.read(owner, item);
      for (const item of archived) await ground.archive(owner, item);
      for (const item of deleted) await ground.delete(owner, item);
      await ground.ambient.clock.advance(1);
      const left = new Set(shuffled.slice(180));
      const idsLeft = () => idsOf(items.filter((item) => left.has(item)));
      assert.deepEqual(await ground.replayed(owner), idsLeft());
      for (const { id } of archived) await ground.change(owner, { kind: 'unarchive', id });
      for (const { id } of read) await ground.change(owner, { kind: 'unread', id });
      for (const item of [...archived, ...read]) left.add(item);
      assert.deepEqual(await ground.replayed(owner), idsLeft());
      for (const item of taken) left.add(item);
      assert.deepEqual(idsOf((await ground.since(owner)).notifications), idsLeft());
      assert.deepEqual(await ground.listAll(owner, { limit: 33 }), idsLeft().reverse());
    });

    it('does not replay an item that failed to go live, but resumes with it', async () => {
      const owner = ground.user();
      const added = await ground.add(owner);
      await ground.take(added, { status: 'failed', reason: 'gone' });
      assert.deepEqual(await ground.replayed(owner), []);
      assert.deepEqual(idsOf((await ground.since(owner)).notifications), [added.id]);
    });

    it('misses no item and repeats none when a reader follows writers', async () => {
      const owner = ground.user();
      const { newestPosition } = await ground.store.inboxSummary(owner);
      const writers = 8;
      const each = 10;
      let writing = true;
      const written = Promise.all(
        Array.from({ length: writers }, async () => {
          for (let i = 0; i < each; i++) await ground.createOne(ground.draft(owner));
        }),
      ).finally(() => {
        writing = false;
      });
      const positions: number[] = [];
      let after = newestPosition;
      for (let last = false; !last; ) {
        last = !writing;
        const page = await ground.since(owner, { after, limit: 3 });
        positions.push(...page.notifications.map(({ position }) => position));
        assert.ok(positions.length <= writers * each, 'no item comes twice');
        after = page.through;
        if (page.notifications.length > 0) last = false;
        await new Promise((resolve) => setImmediate(resolve));
      }
      await written;
      assert.deepEqual(
        positions.map((position) => position - newestPosition),
        Array.from({ length: writers * each }, (_, i) => i + 1),
      );
    });
  });
}
