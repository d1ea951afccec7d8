import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Notification, UserKey } from '../../../src/core/glossary.ts';
import { at, type Draft, deliveryOf, type Ground, isNotFound, parallel } from './ground.ts';

/** Items that appear later, come back, expire, or are cancelled. */
export function items(ground: Ground): void {
  const later = (ms: number) => ground.now + BigInt(ms);
  /** Does all that is due; @returns what happened to one user's inbox. */
  const advance = async (owner: UserKey) => {
    const appeared: Notification[] = [];
    const removedIds: string[] = [];
    let summary: unknown;
    for (;;) {
      const { changes, more } = await ground.store.advanceItems(50);
      for (const change of changes) {
        if (change.tenantId !== owner.tenantId || change.userId !== owner.userId) continue;
        appeared.push(...change.appeared);
        removedIds.push(...change.removedIds);
        summary = change.summary;
      }
      if (!more) return { appeared, removedIds, summary };
    }
  };
  const cancel = (owner: UserKey, notificationId: string, over: object = {}) =>
    ground.store.cancelNotification({
      tenantId: owner.tenantId,
      notificationId,
      userIds: [],
      retract: false,
      atMs: ground.now,
      ...over,
    });
  const idsOf = async (owner: UserKey) => (await ground.list(owner)).notifications.map(({ id }) => id);

  describe('a scheduled notification', () => {
    it('is neither visible nor counted before its time, and appears at it', async () => {
      const owner = ground.user();
      const before = await ground.store.inboxSummary(owner);
      const stored = await ground.add(owner, { appearsAtMs: later(1_000) });
      assert.equal(stored.position, 0);
      assert.deepEqual(await ground.store.inboxSummary(owner), before);
      assert.deepEqual(await idsOf(owner), []);
      assert.deepEqual((await ground.since(owner)).notifications, []);
      await isNotFound(ground.store.getNotification(owner, stored.id));
      await ground.ambient.clock.advance(999);
      assert.deepEqual((await advance(owner)).appeared, []);
      await ground.ambient.clock.advance(1);
      const { appeared, summary } = await advance(owner);
      assert.deepEqual(appeared, [{ ...stored, position: before.newestPosition + 1 }]);
      assert.deepEqual(await ground.list(owner).then((page) => page.notifications), appeared);
      assert.deepEqual(summary, {
        ...before,
        unreadCount: 1,
        unseenCount: 1,
        version: before.version + 1,
        newestPosition: before.newestPosition + 1,
      });
      assert.deepEqual(await ground.store.inboxSummary(owner), summary);
      assert.deepEqual((await advance(owner)).appeared, [], 'once');
    });

    it('gets the position of the moment it appears, without a gap', async () => {
      const owner = ground.user();
      const scheduled = await ground.add(owner, { appearsAtMs: later(1_000) });
      const [first, second] = await ground.addMany(owner, 2);
      assert.ok(first && second);
      assert.equal(second.position, first.position + 1);
      await ground.ambient.clock.advance(1_000);
      const { appeared } = await advance(owner);
      assert.deepEqual(
        appeared.map(({ id, position }) => [id, position]),
        [[scheduled.id, second.position + 1]],
      );
    });

    it('appears in the order of the times', async () => {
      const owner = ground.user();
      const last = await ground.add(owner, { appearsAtMs: later(3_000) });
      const first = await ground.add(owner, { appearsAtMs: later(1_000) });
      await ground.ambient.clock.advance(3_000);
      const { appeared } = await advance(owner);
      assert.deepEqual(
        appeared.map(({ id }) => id),
        [first.id, last.id],
      );
      assert.equal(at(appeared, 1).position, at(appeared, 0).position + 1);
    });

    it('appears once, whoever looks at the same time', async () => {
      const owner = ground.user();
      await parallel(5, () => ground.add(owner, { appearsAtMs: later(1_000) }));
      await ground.ambient.clock.advance(1_000);
      const results = await parallel(6, () => advance(owner));
      assert.equal(results.flatMap(({ appeared }) => appeared).length, 5);
      const { unreadCount, version } = await ground.store.inboxSummary(owner);
      assert.equal(unreadCount, 5);
      assert.ok(version >= 1);
    });

    it('has its deliveries due at its time, and a repeat changes nothing', async () => {
      const owner = ground.user();
      const key = ground.fresh('note');
      const appearsAtMs = later(2_000);
      const row = ground.draft(owner, {
        key,
        appearsAtMs,
        deliveries: [ground.inApp(owner), ground.email()],
      });
      const { notification, attempt } = await ground.createOne(row);
      assert.deepEqual(attempt, []);
      const { dueAtMs, firstDueAtMs } = deliveryOf(notification, 'email');
      assert.deepEqual([dueAtMs, firstDueAtMs], [appearsAtMs, appearsAtMs]);
      const repeat = await ground.createOne(
        ground.draft(owner, { key, deliveries: [ground.inApp(owner), ground.email()] }),
      );
      assert.deepEqual([repeat.created, repeat.attempt], [false, []]);
      assert.deepEqual(repeat.notification, notification);
    });

    it('says when it appears, to a repeat as to the first call, until it has or never will', async () => {
      const owner = ground.user();
      const appearsAtMs = later(2_000);
      const asked = (key: string, draft: Draft = {}) =>
        ground.createOne(ground.draft(owner, { key, ...draft }));
      assert.equal((await asked('now')).appearsAtMs, 0n);
      assert.equal((await asked('now')).appearsAtMs, 0n);
      for (const key of ['shown', 'cancelled'])
        assert.equal((await asked(key, { appearsAtMs })).appearsAtMs, appearsAtMs);
      const [first, again] = await ground.create(
        ground.draft(owner, { key: 'both', appearsAtMs, deliveries: [ground.email()] }),
        ground.draft(owner, { key: 'both', appearsAtMs: later(9_000) }),
      );
      assert.deepEqual([first?.appearsAtMs, again?.appearsAtMs], [appearsAtMs, appearsAtMs]);
      assert.equal((await asked('shown', { appearsAtMs: later(9_000) })).appearsAtMs, appearsAtMs);
      assert.equal((await asked('shown')).appearsAtMs, appearsAtMs, 'also one that names no time');
      await cancel(owner, 'cancelled');
      assert.equal((await asked('cancelled', { appearsAtMs })).appearsAtMs, 0n);
      await ground.ambient.clock.advance(2_000);
      await advance(owner);
      assert.equal((await asked('shown', { appearsAtMs })).appearsAtMs, 0n);
      const { notification } = await asked('shown');
      await ground.change(owner, { kind: 'snooze', id: notification.id, untilMs: later(5_000) });
      assert.equal((await asked('shown')).appearsAtMs, 0n, 'it comes back, which is another thing');
    });

    it('never appears when it has expired by then', async () => {
      const owner = ground.user();
      const stored = await ground.add(owner, {
        appearsAtMs: later(1_000),
        content: { expiresAtMs: later(2_000) },
      });
      await ground.ambient.clock.advance(2_000);
      assert.deepEqual((await advance(owner)).appeared, []);
      assert.deepEqual(await idsOf(owner), []);
      const { deliveries } = await ground.store.listDeliveries(all(owner, stored));
      assert.deepEqual(
        [at(deliveries, 0).delivery.status, at(deliveries, 0).delivery.reason],
        ['suppressed', 'expired'],
      );
    });

    it('without in-app appears uncounted', async () => {
      const owner = ground.user();
      const stored = await ground.add(owner, { appearsAtMs: later(1_000), deliveries: [ground.email()] });
      await ground.ambient.clock.advance(1_000);
      assert.deepEqual(
        (await advance(owner)).appeared.map(({ id }) => id),
        [stored.id],
      );
      assert.deepEqual(await idsOf(owner), [stored.id]);
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 0);
    });

    it('expires after it has appeared like any other', async () => {
      const owner = ground.user();
      const stored = await ground.add(owner, {
        appearsAtMs: later(1_000),
        content: { expiresAtMs: later(2_000) },
      });
      await ground.ambient.clock.advance(1_000);
      await advance(owner);
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 1);
      await ground.ambient.clock.advance(1_000);
      assert.deepEqual((await advance(owner)).removedIds, [stored.id]);
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 0);
    });
  });

  const all = (owner: UserKey, { notificationId }: { notificationId: string }) => ({
    tenantId: owner.tenantId,
    userId: owner.userId,
    notificationId,
    channel: undefined,
    status: undefined,
    sinceMs: 0n,
    untilMs: 0n,
    after: undefined,
    limit: 100,
  });

  describe('an expiry that falls due', () => {
    it('takes the item out, and tells who it was', async () => {
      const owner = ground.user();
      const stays = await ground.add(owner);
      const gone = await ground.add(owner, { content: { expiresAtMs: later(500) } });
      await ground.ambient.clock.advance(500);
      const { removedIds, summary } = await advance(owner);
      assert.deepEqual(removedIds, [gone.id]);
      assert.deepEqual(await idsOf(owner), [stays.id]);
      assert.deepEqual(await ground.store.inboxSummary(owner), summary);
    });

    it('is told also where somebody looked at the inbox before', async () => {
      const owner = ground.user();
      const gone = await ground.add(owner, { content: { expiresAtMs: later(500) } });
      await ground.ambient.clock.advance(500);
      assert.deepEqual(await idsOf(owner), []);
      assert.deepEqual((await advance(owner)).removedIds, [gone.id]);
      assert.deepEqual((await advance(owner)).removedIds, []);
    });

    it('leaves what a stream took, or the user has read', async () => {
      const owner = ground.user();
      const [taken, read] = await ground.addMany(owner, 2, { content: { expiresAtMs: later(500) } });
      assert.ok(taken && read);
      await ground.take(taken);
      await ground.read(owner, read);
      await ground.ambient.clock.advance(500);
      assert.deepEqual((await advance(owner)).removedIds, []);
      assert.equal((await idsOf(owner)).length, 2);
    });

    it('stops deliveries that wait, and not one that is under way', async () => {
      const owner = ground.user();
      const content = { expiresAtMs: later(500) };
      const [waits] = await ground.createFor(
        undefined,
        ground.draft(owner, { content, deliveries: [ground.email()] }),
      );
      const [runs] = await ground.createFor(
        ground.lease(),
        ground.draft(owner, { content, deliveries: [ground.email()] }),
      );
      assert.ok(waits && runs);
      await ground.ambient.clock.advance(500);
      await advance(owner);
      const status = async ({ id }: Notification) => {
        const { status, reason } = deliveryOf(await ground.store.getNotification(owner, id), 'email');
        return [status, reason];
      };
      assert.deepEqual(await status(waits.notification), ['suppressed', 'expired']);
      assert.deepEqual(await status(runs.notification), ['pending', '']);
    });

    it('stops what was under way a little after that was handed back or put off, and tells nobody twice', async () => {
      const owner = ground.user();
      const mine = ground.lease();
      const draft = () =>
        ground.draft(owner, {
          content: { expiresAtMs: later(500) },
          deliveries: [ground.inApp(owner), ground.email()],
        });
      const [back] = await ground.createFor(mine, draft());
      const [late] = await ground.createFor(mine, draft());
      assert.ok(back && late);
      const of = ({ notification }: typeof back) => ({
        ...owner,
        id: notification.id,
        deliveryId: deliveryOf(notification, 'email').id,
      });
      await ground.ambient.clock.advance(500);
      assert.equal((await advance(owner)).removedIds.length, 2);
      await ground.ambient.clock.advance(6_000);
      assert.deepEqual((await advance(owner)).removedIds, [], 'both are under way');
      await ground.store.releaseLeases(mine.token, [of(back)]);
      await ground.store.recordOutcomes([
        ground.outcome(late.notification, 'email', {
          ...of(late),
          status: 'pending',
          reason: 'http_503',
          leaseToken: mine.token,
          dueAtMs: later(60_000),
        }),
      ]);
      await ground.ambient.clock.advance(6_000);
      assert.deepEqual((await advance(owner)).removedIds, []);
      for (const one of [back, late]) {
        const { delivery } = await ground.store.getDelivery(owner.tenantId, of(one).deliveryId);
        assert.deepEqual([delivery.status, delivery.reason, delivery.dueAtMs], ['suppressed', 'expired', 0n]);
      }
      await ground.ambient.clock.advance(6_000);
      assert.deepEqual((await advance(owner)).removedIds, []);
    });
  });

  describe('a snoozed item', () => {
    it('leaves the list and the counts, and comes back at the top', async () => {
      const owner = ground.user();
      const [item, newer] = await ground.addMany(owner, 2);
      assert.ok(item && newer);
      const untilMs = later(60_000);
      const changed = await ground.change(owner, { kind: 'snooze', id: item.id, untilMs });
      assert.deepEqual([changed.changed, changed.ids], [1, [item.id]]);
      assert.deepEqual([changed.summary.unreadCount, changed.summary.unseenCount], [1, 1]);
      assert.deepEqual(await idsOf(owner), [newer.id]);
      assert.deepEqual(await ground.replayed(owner), [newer.id]);
      const hidden = await ground.store.getNotification(owner, item.id);
      assert.deepEqual([hidden.position, hidden.snoozedUntilMs], [0, untilMs]);
      await ground.ambient.clock.advance(59_999);
      assert.deepEqual((await advance(owner)).appeared, []);
      await ground.ambient.clock.advance(1);
      const { appeared } = await advance(owner);
      assert.deepEqual(appeared, [{ ...item, position: newer.position + 1 }]);
      assert.deepEqual(await idsOf(owner), [item.id, newer.id]);
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 2);
    });

    it('moves the version by one, and again when it comes back', async () => {
      const owner = ground.user();
      const item = await ground.add(owner);
      const { version } = await ground.store.inboxSummary(owner);
      const { summary } = await ground.change(owner, { kind: 'snooze', id: item.id, untilMs: later(1_000) });
      assert.equal(summary.version, version + 1);
      await ground.ambient.clock.advance(1_000);
      await advance(owner);
      assert.equal((await ground.store.inboxSummary(owner)).version, version + 2);
    });

    it('comes back at once when its snooze is ended', async () => {
      const owner = ground.user();
      const [item, newer] = await ground.addMany(owner, 2);
      assert.ok(item && newer);
      await ground.change(owner, { kind: 'snooze', id: item.id, untilMs: later(60_000) });
      const { changed, summary } = await ground.change(owner, { kind: 'snooze', id: item.id, untilMs: 0n });
      assert.deepEqual([changed, summary.unreadCount, summary.newestPosition], [1, 2, newer.position + 1]);
      assert.deepEqual(await idsOf(owner), [item.id, newer.id]);
      const again = await ground.change(owner, { kind: 'snooze', id: item.id, untilMs: 0n });
      assert.equal(again.changed, 0);
      await ground.ambient.clock.advance(60_000);
      assert.deepEqual((await advance(owner)).appeared, [], 'the old time does nothing');
    });

    it('can be snoozed anew, read, archived and deleted meanwhile', async () => {
      const owner = ground.user();
      const [read, archived, gone, moved] = await ground.addMany(owner, 4);
      assert.ok(read && archived && gone && moved);
      for (const { id } of [read, archived, gone, moved])
        await ground.change(owner, { kind: 'snooze', id, untilMs: later(1_000) });
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 0);
      await ground.read(owner, read);
      await ground.archive(owner, archived);
      await ground.delete(owner, gone);
      await isNotFound(ground.store.getNotification(owner, gone.id));
      await ground.change(owner, { kind: 'snooze', id: moved.id, untilMs: later(5_000) });
      await ground.ambient.clock.advance(1_000);
      assert.deepEqual(
        (await advance(owner)).appeared.map(({ id }) => id).sort(),
        [read.id, archived.id].sort(),
      );
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 0);
      assert.deepEqual(await idsOf(owner), [read.id]);
      await ground.ambient.clock.advance(4_000);
      assert.deepEqual(
        (await advance(owner)).appeared.map(({ id }) => id),
        [moved.id],
      );
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 1);
    });

    it('is not found for another user, nor an item that is still to come', async () => {
      const owner = ground.user();
      const item = await ground.add(owner);
      const hidden = await ground.add(owner, { appearsAtMs: later(1_000) });
      const snooze = (who: UserKey, id: string) =>
        ground.change(who, { kind: 'snooze', id, untilMs: later(1_000) });
      await isNotFound(snooze(ground.user(), item.id));
      await isNotFound(snooze({ ...owner, userId: 'eve' }, item.id));
      await isNotFound(snooze(owner, hidden.id));
      await isNotFound(snooze(owner, 'no-uuid'));
    });

    it('is not marked as read by what marks everything', async () => {
      const owner = ground.user();
      const [item, shown] = await ground.addMany(owner, 2);
      assert.ok(item && shown);
      await ground.change(owner, { kind: 'snooze', id: item.id, untilMs: later(1_000) });
      const { changed } = await ground.change(owner, {
        kind: 'read_up_to',
        position: Number.MAX_SAFE_INTEGER,
        atMs: ground.now,
      });
      assert.equal(changed, 1);
      await ground.ambient.clock.advance(1_000);
      await advance(owner);
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 1);
    });
  });

  describe('a cancelled notification', () => {
    it('never appears and never goes out, where it was for later', async () => {
      const owner = ground.user();
      const stored = await ground.add(owner, {
        appearsAtMs: later(1_000),
        deliveries: [ground.inApp(owner), ground.email()],
      });
      assert.deepEqual(await cancel(owner, stored.notificationId), { cancelled: 2, changes: [] });
      assert.deepEqual((await cancel(owner, stored.notificationId)).cancelled, 0, 'idempotent');
      await ground.ambient.clock.advance(1_000);
      assert.deepEqual((await advance(owner)).appeared, []);
      const { deliveries } = await ground.store.listDeliveries(all(owner, stored));
      assert.deepEqual(
        deliveries.map(({ delivery }) => [delivery.status, delivery.reason, delivery.dueAtMs]),
        [
          ['suppressed', 'cancelled', 0n],
          ['suppressed', 'cancelled', 0n],
        ],
      );
    });

    it('stays in the inbox once it has appeared, and stops only what waits', async () => {
      const owner = ground.user();
      const [stored] = await ground.createFor(
        undefined,
        ground.draft(owner, { deliveries: [ground.inApp(owner), ground.email()] }),
      );
      assert.ok(stored);
      const { id, notificationId } = stored.notification;
      assert.deepEqual(await cancel(owner, notificationId), { cancelled: 1, changes: [] });
      assert.deepEqual(await idsOf(owner), [id]);
      const { status, reason } = deliveryOf(await ground.store.getNotification(owner, id), 'email');
      assert.deepEqual([status, reason], ['suppressed', 'cancelled']);
    });

    it('leaves a delivery that is under way to its holder', async () => {
      const owner = ground.user();
      const lease = ground.lease();
      const [stored] = await ground.createFor(lease, ground.draft(owner, { deliveries: [ground.email()] }));
      assert.ok(stored);
      assert.equal((await cancel(owner, stored.notification.notificationId)).cancelled, 0);
      const outcome = ground.outcome(stored.notification, 'email', { leaseToken: lease.token });
      assert.deepEqual(await ground.store.recordOutcomes([outcome]), [true]);
    });

    it('leaves the inboxes when it is retracted, and tells which', async () => {
      const owner = ground.user();
      const key = ground.fresh('note');
      const bob = { ...owner, userId: 'bob' };
      const mine = await ground.add(owner, { key });
      const his = await ground.add(bob, { key });
      await ground.take(his);
      const other = await ground.add(owner);
      const { changes } = await cancel(owner, key, { retract: true });
      assert.deepEqual(changes.map(({ userId, removedIds }) => [userId, removedIds]).sort(), [
        ['ada', [mine.id]],
        ['bob', [his.id]],
      ]);
      assert.deepEqual(await idsOf(owner), [other.id]);
      assert.deepEqual(await idsOf(bob), []);
      for (const who of [owner, bob]) {
        const summary = await ground.store.inboxSummary(who);
        assert.deepEqual(summary, changes.find(({ userId }) => userId === who.userId)?.summary);
      }
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 1);
      assert.deepEqual((await cancel(owner, key, { retract: true })).changes, []);
      const repeat = await ground.createOne(ground.draft(owner, { key }));
      assert.equal(repeat.created, false, 'its key stays taken');
    });

    it('concerns only the named users, and only this tenant', async () => {
      const owner = ground.user();
      const key = ground.fresh('note');
      const bob = { ...owner, userId: 'bob' };
      const stranger = ground.user();
      for (const who of [owner, bob, stranger]) await ground.add(who, { key, appearsAtMs: later(1_000) });
      assert.equal((await cancel(owner, key, { userIds: ['bob', 'nobody'] })).cancelled, 1);
      assert.equal((await cancel(owner, ground.fresh('unknown'))).cancelled, 0);
      await ground.ambient.clock.advance(1_000);
      await ground.store.advanceItems(100);
      assert.equal((await idsOf(owner)).length, 1);
      assert.equal((await idsOf(bob)).length, 0);
      assert.equal((await idsOf(stranger)).length, 1);
    });
  });

  describe('the delivery log', () => {
    it('keeps all attempts that led to one outcome, and the provider of the last', async () => {
      const owner = ground.user();
      const stored = await ground.add(owner, { deliveries: [ground.inApp(owner), ground.email()] });
      const { id } = deliveryOf(stored, 'email');
      const away = (provider: string) =>
        ground.attempt({ provider, status: 'failed', reason: 'http_503', detail: 'one\nother, {"} \\n' });
      const round = [away('ses'), away('smtp')];
      const status = 'pending' as const;
      await ground.store.recordOutcomes([
        ground.outcome(stored, 'email', { status, reason: 'http_503', attempts: round }),
      ]);
      const waits = await ground.store.getDelivery(owner.tenantId, id);
      assert.deepEqual([waits.log, waits.delivery.attempts, waits.delivery.provider], [round, 2, 'smtp']);
      const taken = ground.attempt({ provider: 'ses' });
      await ground.store.recordOutcomes([ground.outcome(stored, 'email', { attempts: [taken] })]);
      const { log, delivery } = await ground.store.getDelivery(owner.tenantId, id);
      assert.deepEqual([log, delivery.attempts, delivery.provider], [[...round, taken], 3, 'ses']);
    });

    it('shows a delivery with every attempt', async () => {
      const owner = ground.user();
      const stored = await ground.add(owner, { deliveries: [ground.inApp(owner), ground.email()] });
      const first = ground.attempt({ status: 'failed', reason: 'http_503', detail: 'try "later" — \\o/' });
      const second = ground.attempt({ provider: 'ses', durationMs: 3 });
      await ground.store.recordOutcomes([
        ground.outcome(stored, 'email', { status: 'pending', reason: 'http_503', attempts: [first] }),
      ]);
      await ground.store.recordOutcomes([ground.outcome(stored, 'email', { attempts: [second] })]);
      const { id } = deliveryOf(stored, 'email');
      const record = await ground.store.getDelivery(owner.tenantId, id);
      assert.deepEqual(record.log, [first, second]);
      assert.deepEqual(
        [record.userId, record.id, record.notificationId, record.createdAtMs],
        [owner.userId, stored.id, stored.notificationId, stored.createdAtMs],
      );
      assert.deepEqual(
        record.delivery,
        deliveryOf(await ground.store.getNotification(owner, stored.id), 'email'),
      );
      assert.equal(record.delivery.provider, 'ses', 'whoever took it');
      await isNotFound(ground.store.getDelivery(ground.user().tenantId, id));
      await isNotFound(ground.store.getDelivery(owner.tenantId, ground.ambient.ids.next()));
      await isNotFound(ground.store.getDelivery(owner.tenantId, 'no-uuid'));
    });

    it('pages over deliveries, newest notification first, without a gap or a repeat', async () => {
      const owner = ground.user();
      const expected: string[] = [];
      for (let i = 0; i < 7; i++) {
        const stored = await ground.add(
          { ...owner, userId: `user-${i % 3}` },
          { deliveries: [ground.inApp(owner), ground.email(), ground.email({ destination: 'second' })] },
        );
        expected.unshift(...stored.deliveries.map(({ id }) => id));
      }
      const seen: string[] = [];
      let after: { id: string; ordinal: number } | undefined;
      do {
        const query = { ...all(owner, { notificationId: '' }), userId: '', after, limit: 4 };
        const page = await ground.store.listDeliveries(query);
        assert.ok(page.deliveries.length <= 4);
        seen.push(...page.deliveries.map(({ delivery }) => delivery.id));
        after = page.next;
      } while (after !== undefined);
      assert.deepEqual(seen, expected);
    });

    it('filters by user, notification, channel, status and time together', async () => {
      const owner = ground.user();
      const bob = { ...owner, userId: 'bob' };
      const deliveries = () => [ground.inApp(owner), ground.email(), ground.email({ channel: 'sms' })];
      const [early] = await ground.addMany(owner, 1, { deliveries: deliveries() });
      await ground.ambient.clock.advance(5_000);
      const mid = ground.now;
      const late = await ground.add(owner, { deliveries: deliveries() });
      const his = await ground.add(bob, { deliveries: deliveries() });
      assert.ok(early);
      await ground.store.recordOutcomes([
        ground.outcome(late, 'email', { status: 'failed', reason: 'http_400' }),
      ]);
      const list = async (over: object) => {
        const query = { ...all(owner, { notificationId: '' }), userId: '', ...over };
        const { deliveries } = await ground.store.listDeliveries(query);
        return deliveries.map(({ id, delivery }) => `${id} ${delivery.channel}`).sort();
      };
      const of = (stored: Notification, ...channels: string[]) =>
        channels.map((channel) => `${stored.id} ${channel}`);
      assert.deepEqual(await list({ userId: 'bob' }), of(his, 'email', 'in_app', 'sms'));
      assert.deepEqual(
        await list({ notificationId: early.notificationId }),
        of(early, 'email', 'in_app', 'sms'),
      );
      assert.deepEqual(
        await list({ channel: 'sms' }),
        [...of(early, 'sms'), ...of(late, 'sms'), ...of(his, 'sms')].sort(),
      );
      assert.deepEqual(await list({ channel: 'in_app', userId: 'bob' }), of(his, 'in_app'));
      assert.deepEqual(await list({ status: 'failed' }), of(late, 'email'));
      assert.deepEqual(
        await list({ sinceMs: mid, channel: 'email' }),
        [...of(late, 'email'), ...of(his, 'email')].sort(),
      );
      assert.deepEqual(await list({ untilMs: mid }), of(early, 'email', 'in_app', 'sms'));
      assert.deepEqual(await list({ untilMs: mid, sinceMs: mid - 1n }), []);
      assert.deepEqual(await list({ tenantId: ground.user().tenantId }), []);
    });
  });
}
