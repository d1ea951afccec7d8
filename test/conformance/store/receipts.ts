import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { DeliveryStatus } from '../../../src/core/glossary.ts';
import { receiptKinds } from '../../../src/core/receipts/receipt.ts';
import { at, type Ground, parallel } from './ground.ts';
import { channel, lost, number, receiving } from './receiving.ts';

/** What providers say of deliveries afterwards. */
export function receipts(ground: Ground, runs: number): void {
  const { due, receiptOf, refOf, tell, stateOf, recordOf, logOf, settle, claim } = receiving(ground);

  describe('receipts', () => {
    const after: Record<DeliveryStatus, readonly [arrived: DeliveryStatus, lost: DeliveryStatus]> = {
      pending: ['acked', 'failed'],
      delivered: ['acked', 'failed'],
      acked: ['acked', 'acked'],
      failed: ['acked', 'failed'],
      suppressed: ['acked', 'suppressed'],
    };
    for (const [from, [arrived, gone]] of Object.entries(after) as [
      DeliveryStatus,
      (typeof after)['acked'],
    ][])
      it(`makes of a delivery that is ${from}: ${arrived} when it has arrived, ${gone} when it is lost`, async () => {
        for (const [over, to] of [
          [{}, arrived],
          [{ kind: 'opened' }, arrived],
          [{ kind: 'clicked' }, arrived],
          [lost, gone],
        ] as const) {
          const stored = await due();
          const before = from === 'pending' ? '' : 'before';
          if (from !== 'pending') await settle(stored, { status: from, reason: 'before', atMs: 1_000n });
          assert.deepEqual(await tell(stored, { ...over, atMs: 2_000n }), [{ destination: number }]);
          const { status, reason, dueAtMs } = await stateOf(stored);
          assert.equal(status, to);
          const moved = to !== from;
          const isLost = over === lost;
          assert.equal(
            reason,
            moved && (isLost || from !== 'delivered') ? (isLost ? 'twilio_30005' : '') : before,
          );
          assert.equal(dueAtMs, 0n);
        }
      });

    it('stamps what happened first, whatever is told first', async () => {
      const stored = await due();
      await settle(stored, { atMs: 1_000n });
      await tell(stored, { kind: 'clicked', atMs: 5_000n });
      await tell(stored, { kind: 'opened', atMs: 4_000n }, { kind: 'opened', atMs: 3_000n });
      await tell(
        stored,
        { kind: 'opened', atMs: 6_000n },
        { atMs: 2_000n },
        { kind: 'clicked', atMs: 7_000n },
      );
      const { deliveredAtMs, ackAtMs, openedAtMs, clickedAtMs } = await stateOf(stored);
      assert.deepEqual([deliveredAtMs, ackAtMs, openedAtMs, clickedAtMs], [1_000n, 2_000n, 3_000n, 5_000n]);
    });

    it('counts what has arrived as delivered where nobody had said so', async () => {
      const stored = await due();
      await tell(stored, { atMs: 2_000n });
      const { deliveredAtMs, ackAtMs, attempts } = await stateOf(stored);
      assert.deepEqual([deliveredAtMs, ackAtMs, attempts], [2_000n, 2_000n, 0]);
    });

    it('keeps those that changed something for the log, in its order', async () => {
      const stored = await due();
      await tell(
        stored,
        { ...lost, atMs: 1_000n },
        { ...lost, atMs: 2_000n },
        { atMs: 3_000n },
        { atMs: 2_500n },
      );
      await tell(stored, { kind: 'opened', atMs: 4_000n }, { kind: 'opened', atMs: 5_000n });
      const record = await recordOf(stored);
      assert.deepEqual(record.receipts, [
        { atMs: 1_000n, provider: 'twilio', kind: 'lost', reason: 'twilio_30005', detail: 'no such number' },
        { atMs: 3_000n, provider: 'twilio', kind: 'arrived', reason: '', detail: '' },
        { atMs: 4_000n, provider: 'twilio', kind: 'opened', reason: '', detail: '' },
      ]);
      const query = {
        tenantId: stored.tenantId,
        userId: '',
        notificationId: '',
        channel,
        status: undefined,
      } as const;
      const { deliveries } = await ground.store.listDeliveries({
        ...query,
        sinceMs: 0n,
        untilMs: 0n,
        after: undefined,
        limit: 10,
      });
      assert.deepEqual(at(deliveries, 0).delivery, record.delivery);
      assert.equal(record.delivery.openedAtMs, 4_000n);
    });

    it('answers for each in its order, and knows a delivery by all of its names only', async () => {
      const stored = await due();
      const other = await due();
      const answer = await tell(
        stored,
        { tenantId: other.tenantId },
        { id: other.id },
        { deliveryId: refOf(other).deliveryId },
        { channel: 'sms' },
        { id: 'no uuid' },
        { deliveryId: 'none' },
        { id: stored.id.toUpperCase(), deliveryId: refOf(stored).deliveryId.toUpperCase() },
        {},
      );
      const known = { destination: number };
      assert.deepEqual(answer, [...Array(6).fill(undefined), known, known]);
      assert.equal((await stateOf(other)).status, 'pending');
      assert.deepEqual(await ground.store.recordReceipts([]), []);
    });

    it('comes to the same in every order, and repeated, but for the reason', async () => {
      const told = fc.record({
        kind: fc.constantFrom(...receiptKinds),
        atMs: fc.bigInt({ min: 1n, max: 9n }),
      });
      const cases = fc
        .array(told, { minLength: 1, maxLength: 6 })
        .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
      await fc.assert(
        fc.asyncProperty(cases, fc.boolean(), fc.boolean(), async ([list, shuffled], isSent, isOneBatch) => {
          const results: unknown[] = [];
          for (const order of [list, shuffled, [...shuffled, ...list]]) {
            const stored = await due();
            if (isSent) await settle(stored, { atMs: 1n });
            const overs = order.map((one) => (one.kind === 'lost' ? { ...lost, ...one } : one));
            if (isOneBatch) await tell(stored, ...overs);
            else for (const over of overs) await tell(stored, over);
            const { id: _, firstDueAtMs: __, deliveredAtMs, ...state } = await stateOf(stored);
            // where no outcome said when, the first that is told does
            results.push({ ...state, deliveredAtMs: isSent ? deliveredAtMs : deliveredAtMs !== 0n });
          }
          assert.deepEqual(results[1], results[0]);
          assert.deepEqual(results[2], results[0]);
        }),
        { numRuns: runs },
      );
    });

    it('survives many at the same time', async () => {
      const owner = ground.user();
      const stored = await parallel(4, () => due(owner));
      await parallel(40, (i) => {
        const kind = receiptKinds[i % receiptKinds.length] ?? 'arrived';
        const order = i % 2 === 0 ? stored : stored.toReversed();
        return ground.store.recordReceipts(order.map((one) => receiptOf(one, { kind, reason: kind })));
      });
      for (const one of stored) assert.equal((await stateOf(one)).status, 'acked');
    });

    describe('that are faster than the outcome of the attempt', () => {
      for (const outcome of ['delivered', 'pending', 'failed'] as const)
        it(`keeps acked when the attempt ends as ${outcome}, with the attempt in the log`, async () => {
          const stored = await due();
          const mine = ground.lease(5_000);
          assert.ok(await claim(mine, stored));
          await tell(stored, {});
          const before = await stateOf(stored);
          assert.equal(before.status, 'acked');
          const attempt = ground.attempt({ status: outcome });
          const late = {
            status: outcome,
            reason: 'late',
            providerMessageId: 'SM1',
            attempts: [attempt],
            leaseToken: mine.token,
            dueAtMs: outcome === 'pending' ? ground.now : 0n,
          };
          assert.deepEqual(await settle(stored, late), [true], 'the lease is not lost');
          const { attempts, providerMessageId, ...state } = await stateOf(stored);
          assert.deepEqual([attempts, providerMessageId], [1, 'SM1']);
          assert.deepEqual([state.status, state.reason, state.dueAtMs], ['acked', before.reason, 0n]);
          assert.equal(state.ackAtMs, before.ackAtMs);
          assert.deepEqual(await logOf(stored), [attempt]);
          assert.deepEqual(await settle(stored, late), [false], 'once');
          await ground.ambient.clock.advance(60_000);
          assert.ok(!(await claim(ground.lease(), stored)), 'it is not attempted again');
        });

      it('keeps the attempt of a holder that has heard of it by renewing', async () => {
        const stored = await due();
        const mine = ground.lease(5_000);
        assert.ok(await claim(mine, stored));
        await tell(stored, {});
        assert.deepEqual(await ground.store.renewLeases(mine, [refOf(stored)]), [false]);
        const late = { status: 'pending', reason: 'timeout', leaseToken: mine.token, dueAtMs: 1n } as const;
        assert.deepEqual(await settle(stored, late), [true]);
        const { status, attempts } = await stateOf(stored);
        assert.deepEqual([status, attempts], ['acked', 1]);
      });

      it('is not attempted again when its holder renews, releases or dies', async () => {
        const stored = await due();
        const mine = ground.lease(5_000);
        assert.ok(await claim(mine, stored));
        await tell(stored, {});
        assert.deepEqual(await ground.store.renewLeases(mine, [refOf(stored)]), [false], 'it is let go of');
        await ground.store.releaseLeases(mine.token, [refOf(stored)]);
        await ground.ambient.clock.advance(60_000);
        assert.ok(!(await claim(ground.lease(), stored)));
        assert.equal((await stateOf(stored)).status, 'acked');
      });

      it('takes the late outcome of nobody who has lost the lease', async () => {
        const stored = await due();
        const lostLease = ground.lease(5_000);
        assert.ok(await claim(lostLease, stored));
        await ground.ambient.clock.advance(5_000);
        const mine = ground.lease(5_000);
        assert.ok(await claim(mine, stored));
        await tell(stored, {});
        assert.deepEqual(await settle(stored, { leaseToken: lostLease.token }), [false]);
        assert.equal((await stateOf(stored)).attempts, 0);
        assert.deepEqual(await settle(stored, { leaseToken: mine.token }), [true]);
      });
    });

    it('believes an arrival by whichever provider, and a loss of a delivered one by its last alone', async () => {
      const attempts = [
        ground.attempt({ provider: 'first', status: 'failed', reason: 'timeout' }),
        ground.attempt({ provider: 'second' }),
      ];
      const stored = await due();
      await settle(stored, { attempts });
      await tell(stored, { ...lost, provider: 'first' });
      assert.equal((await stateOf(stored)).status, 'delivered', 'the second has it');
      await tell(stored, { ...lost, provider: 'second' });
      assert.equal((await stateOf(stored)).status, 'failed');
      await tell(stored, { provider: 'first' });
      const { status, provider } = await stateOf(stored);
      assert.deepEqual([status, provider], ['acked', 'second']);
    });

    it('takes a delivery that waits for another try out of the outbox', async () => {
      const stored = await due();
      const mine = ground.lease();
      assert.ok(await claim(mine, stored));
      await settle(stored, {
        status: 'pending',
        reason: 'timeout',
        leaseToken: mine.token,
        dueAtMs: ground.now + 1_000n,
      });
      await tell(stored, {});
      await ground.ambient.clock.advance(60_000);
      assert.ok(!(await claim(ground.lease(), stored)));
      assert.deepEqual(await settle(stored, { status: 'failed' }), [false]);
    });

    it('lets an operator send again what was lost, and nothing else', async () => {
      const owner = ground.user();
      const [gone, here] = [await due(owner), await due(owner)];
      await settle(gone, { attempts: [ground.attempt({ provider: 'twilio' })] });
      await ground.ambient.clock.advance(1_000);
      await tell(gone, { ...lost, atMs: ground.now });
      await tell(here, {});
      const which = { channel, provider: 'twilio', sinceMs: ground.now, untilMs: ground.now + 1n } as const;
      const pace = { tenantId: owner.tenantId, atMs: ground.now, spacingMs: 0, longestMs: 0 };
      assert.equal(await ground.store.retryDeliveries({ ...pace, ...which }), 1);
      assert.ok(await claim(ground.lease(), gone));
    });

    it('changes neither version nor counts of the inbox', async () => {
      const owner = ground.user();
      const stored = await due(owner);
      const before = await ground.store.inboxSummary(owner);
      await tell(stored, {}, { kind: 'opened' });
      assert.deepEqual(await ground.store.inboxSummary(owner), before);
    });
  });
}
