import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DeliveryStatus } from '../../../src/core/glossary.ts';
import type { Outcome } from '../../../src/core/outbox.ts';
import { wireStatus } from '../../../src/core/status.ts';
import { at, deliveryOf, type Ground, isNotFound, parallel } from './ground.ts';

const statuses: readonly DeliveryStatus[] = ['pending', 'delivered', 'acked', 'failed', 'suppressed'];

/** What a delivery may become, written out here rather than taken from the code under test. */
const forward: Record<DeliveryStatus, readonly DeliveryStatus[]> = {
  pending: ['delivered', 'acked', 'failed', 'suppressed'],
  delivered: ['acked'],
  acked: [],
  failed: [],
  suppressed: [],
};

/** What became of attempts. */
export function outcomes(ground: Ground): void {
  describe('outcomes', () => {
    for (const from of statuses)
      it(`moves a delivery that is ${from} forward only`, async () => {
        const owner = ground.user();
        for (const to of statuses) {
          const added = await ground.add(owner, { deliveries: [ground.email()] });
          const write = (status: DeliveryStatus, atMs: bigint) =>
            ground.store.recordOutcomes([ground.outcome(added, 'email', { status, atMs, reason: status })]);
          await write(from, 1_000n);
          const before = deliveryOf(await ground.store.getNotification(owner, added.id), 'email');
          await write(to, 2_000n);
          const after = deliveryOf(await ground.store.getNotification(owner, added.id), 'email');
          if (forward[from].includes(to)) assert.equal(after.status, to);
          else if (from !== 'pending' || to !== 'pending')
            assert.deepEqual(after, before, `${from} stays on ${to}`);
        }
      });

    it('stamps delivered and acknowledged once, each with its own time', async () => {
      const owner = ground.user();
      const added = await ground.add(owner, { deliveries: [ground.email()] });
      for (const [status, atMs] of [
        ['delivered', 1_000n],
        ['delivered', 2_000n],
        ['acked', 3_000n],
        ['acked', 4_000n],
      ] as const)
        await ground.store.recordOutcomes([ground.outcome(added, 'email', { status, atMs })]);
      const { deliveredAtMs, ackAtMs, status } = deliveryOf(
        await ground.store.getNotification(owner, added.id),
        'email',
      );
      assert.deepEqual([status, deliveredAtMs, ackAtMs], ['acked', 1_000n, 3_000n]);
    });

    it('counts an acknowledged delivery as delivered where nobody had said so', async () => {
      const owner = ground.user();
      const added = await ground.add(owner, { deliveries: [ground.email()] });
      await ground.store.recordOutcomes([ground.outcome(added, 'email', { status: 'acked', atMs: 1_000n })]);
      const { deliveredAtMs, ackAtMs } = deliveryOf(
        await ground.store.getNotification(owner, added.id),
        'email',
      );
      assert.deepEqual([deliveredAtMs, ackAtMs], [1_000n, 1_000n]);
    });

    it('stamps no time on what stays pending, failed or was suppressed', async () => {
      const owner = ground.user();
      for (const status of ['pending', 'failed', 'suppressed'] as const) {
        const added = await ground.add(owner, { deliveries: [ground.email()] });
        await ground.store.recordOutcomes([ground.outcome(added, 'email', { status })]);
        const { deliveredAtMs, ackAtMs } = deliveryOf(
          await ground.store.getNotification(owner, added.id),
          'email',
        );
        assert.deepEqual([deliveredAtMs, ackAtMs], [0n, 0n], status);
      }
    });

    it('keeps why a delivery is where it is, how often it was tried, and the provider’s id', async () => {
      const owner = ground.user();
      const added = await ground.add(owner, { deliveries: [ground.email()] });
      const write = (over: Partial<Outcome>) =>
        ground.store.recordOutcomes([ground.outcome(added, 'email', over)]);
      await write({ status: 'pending', reason: 'timeout' });
      await write({ status: 'pending', reason: 'http_503' });
      let delivery = deliveryOf(await ground.store.getNotification(owner, added.id), 'email');
      assert.deepEqual([delivery.status, delivery.reason, delivery.attempts], ['pending', 'http_503', 2]);
      await write({ status: 'delivered', reason: '', providerMessageId: 'm-1' });
      await write({ status: 'acked', reason: '', attempts: [] });
      delivery = deliveryOf(await ground.store.getNotification(owner, added.id), 'email');
      assert.deepEqual(
        [delivery.status, delivery.reason, delivery.attempts, delivery.providerMessageId],
        ['acked', '', 3, 'm-1'],
      );
    });

    it('shows no provider’s message id beside another, nor that of an earlier message', async () => {
      const owner = ground.user();
      for (const [over, shown] of [
        [{ status: 'pending' }, ['first', 'm-1']],
        [{ status: 'delivered' }, ['first', '']],
        [{ status: 'delivered', providerMessageId: 'm-2' }, ['first', 'm-2']],
        [{ status: 'failed', attempts: [] }, ['first', 'm-1']],
        [{ status: 'pending', attempts: [ground.attempt({ provider: 'second' })] }, ['second', '']],
        [{ status: 'delivered', attempts: [ground.attempt({ provider: 'second' })] }, ['second', '']],
      ] as const) {
        const added = await ground.add(owner, { deliveries: [ground.email({ provider: 'first' })] });
        const attempts = [ground.attempt({ provider: 'first' })];
        const failed = { status: 'pending', reason: '', attempts, providerMessageId: 'm-1' } as const;
        await ground.store.recordOutcomes([ground.outcome(added, 'email', failed)]);
        await ground.store.recordOutcomes([ground.outcome(added, 'email', { attempts, ...over })]);
        const { provider, providerMessageId } = deliveryOf(
          await ground.store.getNotification(owner, added.id),
          'email',
        );
        assert.deepEqual([provider, providerMessageId], shown, JSON.stringify(over.status));
      }
    });

    it('writes one delivery without touching the others of the item', async () => {
      const owner = ground.user();
      const phone = ground.email({ channel: 'mobile_push', destination: 'phone', provider: 'fcm' });
      const tablet = ground.email({ channel: 'mobile_push', destination: 'tablet', provider: 'fcm' });
      const added = await ground.add(owner, {
        deliveries: [ground.inApp(owner), phone, tablet, ground.email()],
      });
      await ground.store.recordOutcomes([
        ground.outcome(added, 'in_app', { deliveryId: tablet.id }),
        ground.outcome(added, 'email', { status: 'failed', reason: 'bounced' }),
      ]);
      const stored = await ground.store.getNotification(owner, added.id);
      assert.deepEqual(
        stored.deliveries.map(({ destination, status }) => [destination, status]),
        [
          [owner.userId, 'pending'],
          ['phone', 'pending'],
          ['tablet', 'delivered'],
          ['ada@example.org', 'failed'],
        ],
      );
      assert.equal(wireStatus(stored), 'delivered');
    });

    it('writes a batch over many users in its order, and skips what it does not know', async () => {
      const { tenantId } = ground.user();
      const owners = ['ada', 'bob', 'eve'].map((userId) => ({ tenantId, userId }));
      const items = (await ground.create(...owners.map((owner) => ground.draft(owner)))).map(
        (o) => o.notification,
      );
      await ground.store.recordOutcomes([
        ground.outcome(at(items, 2), 'in_app', { atMs: 1n }),
        ground.outcome(at(items, 0), 'in_app', { id: ground.ambient.ids.next() }),
        ground.outcome(at(items, 0), 'in_app', { deliveryId: ground.ambient.ids.next() }),
        ground.outcome(at(items, 0), 'in_app', { userId: 'nobody' }),
        ground.outcome(at(items, 0), 'in_app', { id: 'no uuid', deliveryId: 'none' }),
        ground.outcome(at(items, 1), 'in_app', { atMs: 2n }),
        ground.outcome(at(items, 2), 'in_app', { status: 'acked', atMs: 3n }),
      ]);
      await ground.store.recordOutcomes([]);
      const stored = await Promise.all(
        owners.map((owner, i) => ground.store.getNotification(owner, at(items, i).id)),
      );
      assert.deepEqual(stored.map(wireStatus), ['pending', 'delivered', 'acked']);
    });

    it('leaves a read item read, whatever arrives late', async () => {
      const owner = ground.user();
      const added = await ground.add(owner);
      await ground.read(owner, added, 1_000n);
      for (const status of ['delivered', 'pending', 'failed', 'acked'] as const)
        await ground.take(added, { status });
      const stored = await ground.store.getNotification(owner, added.id);
      assert.deepEqual([wireStatus(stored), stored.readAtMs], ['read', 1_000n]);
      assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 0);
    });

    it('changes neither version nor position nor counts', async () => {
      const owner = ground.user();
      const added = await ground.add(owner, { deliveries: [ground.inApp(owner), ground.email()] });
      const before = await ground.store.inboxSummary(owner);
      await ground.take(added);
      await ground.store.recordOutcomes([ground.outcome(added, 'email', { status: 'failed' })]);
      assert.deepEqual(await ground.store.inboxSummary(owner), before);
    });

    it('takes an item out of the inbox when its in-app delivery is suppressed', async () => {
      const owner = ground.user();
      const added = await ground.add(owner, { key: 'k' });
      const before = await ground.store.inboxSummary(owner);
      await ground.take(added, { status: 'suppressed', reason: 'cancelled' });
      await isNotFound(ground.store.getNotification(owner, added.id));
      assert.deepEqual(await ground.listAll(owner), []);
      assert.deepEqual((await ground.since(owner)).notifications, []);
      const after = await ground.store.inboxSummary(owner);
      assert.deepEqual([after.unreadCount, after.unseenCount], [0, 0]);
      assert.ok(after.version > before.version);
      assert.equal((await ground.createOne(ground.draft(owner, { key: 'k' }))).created, false);
    });

    it('still records what became of a deleted item’s deliveries', async () => {
      const owner = ground.user();
      const added = await ground.add(owner, { key: 'k', deliveries: [ground.email()] });
      await ground.delete(owner, added);
      await ground.store.recordOutcomes([ground.outcome(added, 'email')]);
      const { notification } = await ground.createOne(ground.draft(owner, { key: 'k' }));
      assert.equal(deliveryOf(notification, 'email').status, 'delivered');
    });

    it('survives updates at the same time, and ends forward', async () => {
      const owner = ground.user();
      const added = await ground.add(owner, { deliveries: [ground.email()] });
      const written = ['pending', 'delivered', 'pending', 'acked'] as const;
      await parallel(32, (i) => {
        const status = written[i % written.length] ?? 'acked';
        return ground.store.recordOutcomes([ground.outcome(added, 'email', { status })]);
      });
      // one that was written to a delivered row at the latest by now
      await ground.store.recordOutcomes([ground.outcome(added, 'email', { status: 'pending' })]);
      const stored = await ground.store.getNotification(owner, added.id);
      assert.equal(wireStatus(stored), 'acked');
    });
  });
}
