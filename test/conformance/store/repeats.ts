import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deliveryOf, type Ground } from './ground.ts';

/** The one thing that a repeated call may still do: bring an address that was missing. */
export function repeats(ground: Ground): void {
  describe('repeats that bring an address', () => {
    it('give it to the channel that waits for one, to be attempted once', async () => {
      const owner = ground.user();
      const first = ground.unaddressed();
      await ground.add(owner, { key: 'k', deliveries: [ground.inApp(owner), first] });
      const repeat = (destination: string) =>
        ground.createOne(
          ground.draft(owner, { key: 'k', deliveries: [ground.inApp(owner), ground.email({ destination })] }),
        );
      const taken = await repeat('ada@example.org');
      assert.equal(taken.created, false);
      assert.deepEqual(taken.attempt, [first.id]);
      const delivery = deliveryOf(taken.notification, 'email');
      assert.deepEqual(
        { id: delivery.id, destination: delivery.destination, provider: delivery.provider },
        { id: first.id, destination: 'ada@example.org', provider: 'smtp' },
      );
      assert.equal(delivery.status, 'pending');
      assert.equal(delivery.reason, '');
      const again = await repeat('eve@example.org');
      assert.deepEqual(again.attempt, []);
      assert.equal(deliveryOf(again.notification, 'email').destination, 'ada@example.org');
    });

    it('give two devices that wait one address each', async () => {
      const owner = ground.user();
      const waiting = [
        ground.unaddressed({ channel: 'mobile_push' }),
        ground.unaddressed({ channel: 'mobile_push' }),
      ];
      await ground.add(owner, { key: 'k', deliveries: waiting });
      const brought = ['phone', 'tablet', 'watch'].map((destination) =>
        ground.email({ channel: 'mobile_push', destination, provider: 'fcm' }),
      );
      const { attempt, notification } = await ground.createOne(
        ground.draft(owner, { key: 'k', deliveries: brought }),
      );
      assert.deepEqual(
        attempt,
        waiting.map(({ id }) => id),
      );
      assert.deepEqual(
        notification.deliveries.map(({ destination }) => destination),
        ['phone', 'tablet'],
      );
    });

    it('are attempted once also when they come at the same moment', async () => {
      const owner = ground.user();
      await ground.add(owner, { key: 'k', deliveries: [ground.unaddressed()] });
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, () =>
          ground.createOne(ground.draft(owner, { key: 'k', deliveries: [ground.email()] })),
        ),
      );
      assert.equal(outcomes.flatMap(({ attempt }) => attempt).length, 1);
    });

    it('work inside the batch of the first call too', async () => {
      const owner = ground.user();
      const outcomes = await ground.create(
        ground.draft(owner, { key: 'k', deliveries: [ground.unaddressed()] }),
        ground.draft(owner, { key: 'k', deliveries: [ground.email()] }),
      );
      assert.deepEqual(
        outcomes.map(({ attempt }) => attempt.length),
        [0, 1],
      );
    });

    it('leave the first call’s text, version and position alone', async () => {
      const owner = ground.user();
      const first = await ground.add(owner, {
        key: 'k',
        deliveries: [ground.inApp(owner), ground.unaddressed()],
      });
      const before = await ground.store.inboxSummary(owner);
      const deliveries = [ground.email()];
      const { notification } = await ground.createOne(
        ground.draft(owner, { key: 'k', content: { title: 'other' }, deliveries }),
      );
      assert.equal(notification.title, first.title);
      assert.equal(notification.position, first.position);
      assert.deepEqual(await ground.store.inboxSummary(owner), before);
    });

    it('add no channel and no second destination', async () => {
      const owner = ground.user();
      const first = await ground.add(owner, { key: 'k', deliveries: [ground.inApp(owner), ground.email()] });
      const { notification, attempt } = await ground.createOne(
        ground.draft(owner, {
          key: 'k',
          deliveries: [
            ground.inApp(owner),
            ground.email({ destination: 'eve@example.org' }),
            ground.email({ channel: 'sms', destination: '+15550100' }),
          ],
        }),
      );
      assert.deepEqual(attempt, []);
      assert.deepEqual(notification.deliveries, first.deliveries);
    });

    it('give nothing to another channel', async () => {
      const owner = ground.user();
      const first = await ground.add(owner, {
        key: 'k',
        deliveries: [ground.unaddressed({ channel: 'sms' })],
      });
      const { notification, attempt } = await ground.createOne(
        ground.draft(owner, { key: 'k', deliveries: [ground.email()] }),
      );
      assert.deepEqual(attempt, []);
      assert.deepEqual(notification.deliveries, first.deliveries);
    });

    it('give nothing to a channel that waits for something else, or was sent', async () => {
      const owner = ground.user();
      const sms = ground.email({ channel: 'sms', provider: '', reason: 'no_provider' });
      const first = await ground.add(owner, { key: 'k', deliveries: [ground.unaddressed(), sms] });
      await ground.store.recordOutcomes([
        ground.outcome(first, 'email', { status: 'failed', reason: 'no_destination' }),
      ]);
      const { attempt, notification } = await ground.createOne(
        ground.draft(owner, {
          key: 'k',
          deliveries: [ground.email(), ground.email({ channel: 'sms', provider: 'twilio' })],
        }),
      );
      assert.deepEqual(attempt, []);
      assert.equal(deliveryOf(notification, 'email').destination, '');
      assert.equal(deliveryOf(notification, 'sms').provider, '');
    });

    it('change nothing when they bring none either, or one that must not go out', async () => {
      const owner = ground.user();
      const first = await ground.add(owner, { key: 'k', deliveries: [ground.unaddressed()] });
      for (const delivery of [
        ground.unaddressed(),
        ground.email({ status: 'suppressed', reason: 'expired' }),
      ]) {
        const { attempt, notification } = await ground.createOne(
          ground.draft(owner, { key: 'k', deliveries: [delivery] }),
        );
        assert.deepEqual(attempt, []);
        assert.deepEqual(notification.deliveries, first.deliveries);
      }
    });

    it('keep an address that no provider can send to, without an attempt', async () => {
      const owner = ground.user();
      await ground.add(owner, { key: 'k', deliveries: [ground.unaddressed({ provider: '' })] });
      const deliveries = [ground.email({ provider: '', reason: 'no_provider' })];
      const { attempt, notification } = await ground.createOne(ground.draft(owner, { key: 'k', deliveries }));
      assert.deepEqual(attempt, []);
      const delivery = deliveryOf(notification, 'email');
      assert.deepEqual([delivery.destination, delivery.reason], ['ada@example.org', 'no_provider']);
    });

    it('send nothing for an item that the user deleted, nor for one that has expired', async () => {
      const owner = ground.user();
      const deliveries = [ground.inApp(owner), ground.unaddressed()];
      const deleted = await ground.add(owner, { key: 'deleted', deliveries });
      await ground.delete(owner, deleted);
      const content = { expiresAtMs: ground.now + 1_000n };
      await ground.add(owner, {
        key: 'expired',
        content,
        deliveries: [ground.inApp(owner), ground.unaddressed()],
      });
      await ground.ambient.clock.advance(1_000);
      for (const key of ['deleted', 'expired']) {
        const { created, attempt, notification } = await ground.createOne(
          ground.draft(owner, { key, deliveries: [ground.email()] }),
        );
        assert.equal(created, false);
        assert.deepEqual(attempt, []);
        assert.equal(deliveryOf(notification, 'email').destination, '');
      }
    });
  });
}
