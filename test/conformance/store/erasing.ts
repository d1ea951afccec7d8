import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { InboxSummary, UserKey } from '../../../src/core/glossary.ts';
import { resumeAfter } from '../../../src/core/live/stream-start.ts';
import { at, deliveryOf, type Ground, isNotFound, parallel } from './ground.ts';

/** Forgetting a user. */
export function erasing(ground: Ground): void {
  const put = (owner: UserKey) =>
    ground.store.putRecipients(
      [
        {
          ...owner,
          addresses: { email: 'ada@example.org' },
          locale: '',
          timeZone: '',
          attributes: undefined,
        },
      ],
      ground.now,
    );
  /** Two notifications, an email that is due and one that has failed, a device, a record: six rows. */
  const furnish = async (owner: UserKey) => {
    const sent = await ground.add(owner, { key: 'sent', deliveries: [ground.inApp(owner), ground.email()] });
    await ground.store.recordOutcomes([
      ground.outcome(sent, 'email', { status: 'failed', reason: 'http_400' }),
    ]);
    const due = ground.draft(owner, { key: 'due', deliveries: [ground.email()] });
    await ground.createFor(undefined, due);
    await ground.store.registerDevice(ground.device(owner));
    await put(owner);
    return sent;
  };
  const claimable = async (tenantId: string) => {
    const claim = {
      lease: ground.lease(),
      room: new Map([['email', 1_000]] as const),
      suspect: true,
      takeOver: true,
    };
    const { deliveries } = await ground.store.claimDeliveries(claim);
    return deliveries.filter(({ notification }) => notification.tenantId === tenantId).length;
  };

  describe('erasing a user', () => {
    it('leaves nothing of them, and says how much there was', async () => {
      const owner = ground.user();
      const first = await ground.store.inboxSummary(owner);
      const sent = await furnish(owner);
      assert.equal(await ground.store.eraseUser(owner), 6);
      assert.deepEqual(await ground.listAll(owner), []);
      assert.deepEqual(await ground.store.inboxSummary(owner), first);
      const { version, newestPosition } = first;
      const known = [
        { ...owner, version, newestPosition },
        { ...owner, version: version + 1, newestPosition },
        { ...owner, version, newestPosition: newestPosition + 1 },
      ];
      assert.deepEqual(await ground.store.changedInboxes(known), [undefined, first, first]);
      assert.deepEqual(await ground.since(owner), {
        notifications: [],
        through: first.newestPosition,
        more: false,
        isOfAnother: false,
      });
      await isNotFound(ground.store.getNotification(owner, sent.id));
      await isNotFound(ground.store.getRecipient(owner));
      assert.deepEqual(await ground.store.listDevices(owner), []);
      const { tenantId, userId } = owner;
      for (const { id } of sent.deliveries) await isNotFound(ground.store.getDelivery(tenantId, id));
      const query = { userId, notificationId: '', channel: undefined, status: undefined };
      const span = { sinceMs: 0n, untilMs: 0n, after: undefined, limit: 10 };
      assert.deepEqual(await ground.store.listDeliveries({ tenantId, ...query, ...span }), {
        deliveries: [],
        next: undefined,
      });
      assert.equal(await claimable(tenantId), 0);
      assert.equal(await ground.store.eraseUser(owner), 0, 'a second time there is nothing');
    });

    it('lets the same id create anew, at a position that was never given before', async () => {
      const owner = ground.user();
      await furnish(owner);
      const before = await ground.store.inboxSummary(owner);
      await ground.store.eraseUser(owner);
      const again = await ground.createOne(ground.draft(owner, { key: 'sent' }));
      assert.equal(again.created, true);
      assert.ok(again.notification.position > before.newestPosition);
      assert.deepEqual(await ground.listAll(owner), [again.notification.id]);
      const after = await ground.store.inboxSummary(owner);
      assert.deepEqual([after.unreadCount, after.unseenCount], [1, 1]);
      assert.equal(after.newestPosition, again.notification.position);
      assert.equal(again.version, after.version);
      assert.equal((await ground.add(owner)).position, after.newestPosition + 1, 'without gaps');
    });

    it('never takes a position or a version from before for one of the new inbox', async () => {
      const owner = ground.user();
      const before: InboxSummary[] = [];
      // the new inbox grows as far as the one before and further, each time
      for (const size of [3, 1, 5, 2]) {
        const items = await ground.addMany(owner, size);
        const summary = await ground.store.inboxSummary(owner);
        for (const { newestPosition, version } of before) {
          assert.ok(summary.version > version + size, 'not what comes next for a client either');
          for (let position = newestPosition - 5; position <= newestPosition; position++)
            if (position > 0)
              assert.equal(resumeAfter({ kind: 'after', position }, summary), undefined, 'it has to reset');
          const page = await ground.since(owner, { after: newestPosition });
          assert.equal(page.isOfAnother, true);
          assert.equal(page.notifications.length, size);
          const atMs = ground.now;
          const stale = { kind: 'read_up_to', position: newestPosition, atMs } as const;
          assert.equal((await ground.change(owner, stale)).changed, 0);
          assert.equal((await ground.change(owner, { ...stale, kind: 'seen_up_to' })).changed, 0);
          assert.deepEqual(await ground.listAll(owner, { before: newestPosition + 1 }), []);
        }
        const own = await ground.since(owner, { after: at(items, 0).position });
        assert.equal(own.isOfAnother, false);
        assert.equal((await ground.since(owner)).isOfAnother, false, 'from the start');
        await ground.read(owner, at(items, 0));
        before.push(await ground.store.inboxSummary(owner));
        await ground.store.eraseUser(owner);
        const nothing = await ground.store.inboxSummary(owner);
        assert.equal(nothing.version, 0);
        assert.equal(resumeAfter({ kind: 'after', position: summary.newestPosition }, nothing), undefined);
      }
    });

    it('has the next inbox begin above one of which the state was changed more often than it grew', async () => {
      const owner = ground.user();
      const item = await ground.add(owner);
      for (let i = 0; i < 10; i++) {
        await ground.read(owner, item);
        await ground.change(owner, { kind: 'unread', id: item.id });
      }
      const { version } = await ground.store.inboxSummary(owner);
      await ground.store.eraseUser(owner);
      await ground.add(owner);
      assert.ok((await ground.store.inboxSummary(owner)).version > version);
    });

    it('has an inbox begin anew also where its first item is one for later', async () => {
      const owner = ground.user();
      const before = await ground.add(owner);
      await ground.store.eraseUser(owner);
      const soon = ground.now + 1_000n;
      const { id } = await ground.add(owner, { appearsAtMs: soon });
      await ground.ambient.clock.advance(2_000);
      while ((await ground.store.advanceItems(1_000)).more);
      const appeared = await ground.store.getNotification(owner, id);
      assert.ok(appeared.position > before.position);
      assert.equal((await ground.since(owner, { after: before.position })).isOfAnother, true);
      assert.deepEqual(await ground.replayed(owner), [id]);
    });

    it('says nothing to those who were at no position yet', async () => {
      const owner = ground.user();
      const { newestPosition } = await ground.store.inboxSummary({ ...owner, userId: 'bob' });
      await ground.add(owner);
      await ground.store.eraseUser(owner);
      const bob = await ground.add({ ...owner, userId: 'bob' });
      const page = await ground.since({ ...owner, userId: 'bob' }, { after: newestPosition });
      assert.equal(page.isOfAnother, false);
      assert.deepEqual(
        page.notifications.map(({ id }) => id),
        [bob.id],
      );
    });

    it('leaves other users and tenants as they are', async () => {
      const owner = ground.user();
      const others = [
        { ...owner, userId: 'bob' },
        { ...ground.user(), userId: owner.userId },
      ];
      await furnish(owner);
      for (const other of others) await furnish(other);
      const states = () =>
        Promise.all(
          others.map(async (other) => [
            await ground.list(other),
            await ground.store.listDevices(other),
            await ground.store.getRecipient(other),
          ]),
        );
      const before = await states();
      await ground.store.eraseUser(owner);
      assert.deepEqual(await states(), before);
    });

    it('takes what is scheduled, snoozed or about to expire with it', async () => {
      const owner = ground.user();
      const soon = ground.now + 1_000n;
      await ground.add(owner, { appearsAtMs: soon });
      await ground.add(owner, { content: { expiresAtMs: soon } });
      const snoozed = await ground.add(owner);
      await ground.change(owner, { kind: 'snooze', id: snoozed.id, untilMs: soon });
      assert.equal(await ground.store.eraseUser(owner), 3);
      await ground.ambient.clock.advance(2_000);
      const { changes } = await ground.store.advanceItems(1_000);
      assert.deepEqual(
        changes.filter(({ tenantId }) => tenantId === owner.tenantId),
        [],
      );
      assert.deepEqual(await ground.listAll(owner), []);
    });

    it('makes what an attempt or a stream says too late nothing', async () => {
      const owner = ground.user();
      const lease = ground.lease();
      const draft = ground.draft(owner, { deliveries: [ground.inApp(owner), ground.email()] });
      const { notification } = at(await ground.createFor(lease, draft), 0);
      await ground.store.eraseUser(owner);
      const { id: deliveryId } = deliveryOf(notification, 'email');
      const { tenantId, userId } = owner;
      const ref = { tenantId, userId, id: notification.id, deliveryId };
      assert.deepEqual(await ground.store.renewLeases(lease, [ref]), [false]);
      const outcomes = [
        ground.outcome(notification, 'email', { leaseToken: lease.token }),
        ground.outcome(notification, 'in_app'),
      ];
      assert.deepEqual(await ground.store.recordOutcomes(outcomes), [false, false]);
      assert.deepEqual(await ground.listAll(owner), []);
    });

    it('takes a large inbox whole', async () => {
      const owner = ground.user();
      await ground.addMany(owner, 250);
      assert.equal(await ground.store.eraseUser(owner), 250);
      assert.deepEqual(await ground.listAll(owner), []);
    });

    it('and notifying them at once leaves counts that agree with the list', async () => {
      const owner = ground.user();
      await parallel(6, async (writer) => {
        for (let i = 0; i < 20; i++)
          if (writer === 0) await ground.store.eraseUser(owner);
          // most are repeats, of one that may be erased in that moment
          else await ground.createOne(ground.draft(owner, { key: i % 4 === 0 ? `${writer}-${i}` : 'same' }));
      });
      const ids = await ground.listAll(owner);
      const { unreadCount, unseenCount, oldestResumable, newestPosition } =
        await ground.store.inboxSummary(owner);
      assert.deepEqual(
        [unreadCount, unseenCount, newestPosition - oldestResumable],
        [ids.length, ids.length, ids.length],
      );
      assert.equal(await ground.store.eraseUser(owner), ids.length);
    });
  });
}
