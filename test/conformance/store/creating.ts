import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Content } from '../../../src/core/glossary.ts';
import { at, deliveryOf, type Ground, isNotFound } from './ground.ts';

/** Everything a producer can say. */
const fullContent: Omit<Content, 'notificationId'> = {
  type: 'billing.invoice',
  subjectRef: 'invoice/7',
  subjectType: 'invoice',
  title: 'Invoice 7',
  body: 'It is due on Friday.',
  urgency: 'high',
  data: '{ "b": 1, "a": 1.0, "url": "/i/7" }',
  actionUrl: 'https://example.org/i/7',
  iconUrl: 'https://example.org/i.png',
  actions: [
    { label: 'Pay', url: 'https://example.org/pay' },
    { label: 'Später', url: '' },
  ],
  expiresAtMs: 4_102_444_800_000n,
};

export function creating(ground: Ground): void {
  describe('creating', () => {
    it('reads a notification back as it was stored', async () => {
      const owner = ground.user();
      const deliveries = [
        ground.inApp(owner),
        ground.email(),
        ground.email({ channel: 'sms', destination: '', provider: '', reason: 'no_destination' }),
      ];
      const row = ground.draft(owner, { content: fullContent, createdAtMs: 1_700_000_000_123n, deliveries });
      const { notification, created } = await ground.createOne(row);
      const { newestPosition } = await ground.store.inboxSummary(owner);
      assert.equal(created, true);
      assert.deepEqual(notification, {
        ...owner,
        ...row.content,
        id: row.id,
        position: newestPosition,
        createdAtMs: 1_700_000_000_123n,
        readAtMs: 0n,
        archivedAtMs: 0n,
        snoozedUntilMs: 0n,
        seen: false,
        deliveries: deliveries.map((delivery) => ({
          ...delivery,
          attempts: 0,
          providerMessageId: '',
          deliveredAtMs: 0n,
          ackAtMs: 0n,
          dueAtMs: delivery.provider === 'smtp' ? ground.now + 60_000n : 0n,
          firstDueAtMs: delivery.provider === 'smtp' ? 1_700_000_000_123n : 0n,
          openedAtMs: 0n,
          clickedAtMs: 0n,
        })),
      });
      assert.deepEqual(await ground.store.getNotification(owner, row.id), notification);
      assert.deepEqual((await ground.list(owner)).notifications, [notification]);
      assert.deepEqual((await ground.since(owner)).notifications, [notification]);
    });

    it('answers not_found for an unknown id and for one that is no UUID', async () => {
      const owner = ground.user();
      await ground.add(owner);
      for (const id of [
        ground.ambient.ids.random(),
        '',
        'no-uuid',
        "'; drop table x; --",
        'ä'.repeat(36),
        '0'.repeat(400),
      ])
        await isNotFound(ground.store.getNotification(owner, id));
    });

    it('finds an id in whatever letter case a client sends it', async () => {
      const owner = ground.user();
      const { id } = await ground.add(owner);
      assert.equal((await ground.store.getNotification(owner, id.toUpperCase())).id, id);
    });

    it('gives a new user’s items positions without gaps, one after the other', async () => {
      const owner = ground.user();
      const { newestPosition: first, oldestResumable } = await ground.store.inboxSummary(owner);
      assert.ok(oldestResumable <= first, 'a stream may start where the inbox does');
      const one = await ground.add(owner);
      const more = await ground.addMany(owner, 3);
      assert.deepEqual(
        [one, ...more].map(({ position }) => position - first),
        [1, 2, 3, 4],
      );
      const summary = await ground.store.inboxSummary(owner);
      assert.equal(summary.newestPosition, first + 4);
      assert.equal(summary.oldestResumable, oldestResumable);
      assert.equal(summary.version, 4);
    });

    it('keeps the first of two notifications with one id, and answers it', async () => {
      const owner = ground.user();
      const first = await ground.createOne(ground.draft(owner, { key: 'k' }));
      await ground.read(owner, first.notification);
      const stored = await ground.store.getNotification(owner, first.notification.id);
      const before = await ground.store.inboxSummary(owner);
      const again = await ground.createOne(
        ground.draft(owner, {
          key: 'k',
          content: { ...fullContent, title: 'Another text' },
          createdAtMs: 5n,
          deliveries: [ground.inApp(owner), ground.email()],
        }),
      );
      assert.equal(again.created, false);
      assert.deepEqual(again.attempt, []);
      assert.equal(again.version, 0);
      assert.deepEqual(again.notification, stored);
      assert.deepEqual(await ground.store.getNotification(owner, stored.id), stored);
      assert.deepEqual(await ground.store.inboxSummary(owner), before);
    });

    it('takes a duplicate inside one batch as a repeat of the first', async () => {
      const owner = ground.user();
      const rows = ['a', 'b', 'a'].map((key, i) =>
        ground.draft(owner, { key, content: { title: `text ${i}` } }),
      );
      const outcomes = await ground.create(...rows);
      assert.deepEqual(
        outcomes.map(({ created }) => created),
        [true, true, false],
      );
      assert.equal(at(outcomes, 2).notification.id, at(rows, 0).id);
      assert.equal(at(outcomes, 2).notification.title, 'text 0');
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 2);
    });

    it('answers a batch row for row, and numbers each user’s items in its order', async () => {
      const { tenantId } = ground.user();
      const users = ['zoe', 'ada', 'zoe', 'bob', 'ada', 'zoe'];
      const rows = users.map((userId) => ground.draft({ tenantId, userId }));
      const outcomes = await ground.create(...rows);
      assert.deepEqual(
        outcomes.map(({ notification }) => notification.id),
        rows.map(({ id }) => id),
      );
      assert.deepEqual(
        outcomes.map(({ notification }) => notification.userId),
        users,
      );
      for (const userId of ['ada', 'bob', 'zoe']) {
        const own = rows.filter((row) => row.userId === userId).map(({ id }) => id);
        assert.deepEqual(await ground.listAll({ tenantId, userId }), own.reverse());
      }
    });

    it('stores a thousand recipients in one call, and nothing for an empty one', async () => {
      const { tenantId } = ground.user();
      const rows = Array.from({ length: 1_000 }, (_, i) =>
        ground.draft({ tenantId, userId: `user-${i}` }, { key: 'k' }),
      );
      const outcomes = await ground.create(...rows);
      assert.ok(outcomes.every(({ created }) => created));
      assert.equal((await ground.list({ tenantId, userId: 'user-999' })).notifications.length, 1);
      assert.deepEqual(await ground.store.createNotifications([]), []);
    });

    it('says which version the inbox has after each new item', async () => {
      const owner = ground.user();
      const outcomes = await ground.create(...Array.from({ length: 3 }, () => ground.draft(owner)));
      assert.deepEqual(
        outcomes.map(({ version }) => version),
        [1, 2, 3],
      );
      assert.equal((await ground.store.inboxSummary(owner)).version, 3);
    });

    it('lists for an attempt what a provider can send now, and nothing else', async () => {
      const owner = ground.user();
      const email = ground.email();
      const push = ground.email({ channel: 'mobile_push', destination: 'token', provider: 'fcm' });
      const { attempt } = await ground.createOne(
        ground.draft(owner, {
          deliveries: [
            ground.inApp(owner),
            email,
            ground.email({ channel: 'sms', destination: '', reason: 'no_destination' }),
            ground.email({ channel: 'whatsapp', provider: '', reason: 'no_provider' }),
            ground.email({ channel: 'webhook', status: 'suppressed', reason: 'preference' }),
            push,
          ],
        }),
      );
      assert.deepEqual(attempt, [email.id, push.id]);
    });

    it('does not change what it has answered when the item changes later', async () => {
      const owner = ground.user();
      const added = await ground.add(owner);
      const page = await ground.list(owner);
      const copy = structuredClone(added);
      await ground.read(owner, added);
      await ground.change(owner, { kind: 'seen_up_to', position: added.position });
      await ground.take(added);
      assert.deepEqual(added, copy);
      assert.deepEqual(page.notifications, [copy]);
    });

    it('stores an item that is suppressed on arrival, but does not show it', async () => {
      const owner = ground.user();
      const before = await ground.store.inboxSummary(owner);
      const deliveries = [ground.inApp(owner, { status: 'suppressed', reason: 'expired' })];
      const { notification, created, attempt } = await ground.createOne(
        ground.draft(owner, { key: 'k', deliveries }),
      );
      assert.equal(created, true);
      assert.deepEqual(attempt, []);
      assert.equal(notification.position, 0);
      assert.equal(notification.seen, false);
      assert.deepEqual(await ground.store.inboxSummary(owner), before);
      assert.deepEqual(await ground.listAll(owner, { archived: true }), []);
      assert.deepEqual((await ground.since(owner)).notifications, []);
      await isNotFound(ground.store.getNotification(owner, notification.id));
      await isNotFound(ground.read(owner, notification));
      await isNotFound(ground.delete(owner, notification));
      const again = await ground.createOne(ground.draft(owner, { key: 'k' }));
      assert.equal(again.created, false);
      assert.equal(deliveryOf(again.notification, 'in_app').status, 'suppressed');
      assert.equal((await ground.add(owner)).position, before.newestPosition + 1);
    });

    it('lists an item without in-app, which is neither unread nor unseen', async () => {
      const owner = ground.user();
      const deliveries = [ground.email({ status: 'suppressed', reason: 'preference' })];
      const newsletter = await ground.add(owner, { deliveries });
      const summary = await ground.store.inboxSummary(owner);
      assert.deepEqual(await ground.listAll(owner), [newsletter.id]);
      assert.equal(newsletter.position, summary.newestPosition);
      assert.equal(summary.version, 1);
      assert.equal(summary.unreadCount, 0);
      assert.equal(summary.unseenCount, 0);
      assert.deepEqual(await ground.listAll(owner, { unreadOnly: true }), []);
    });
  });
}
