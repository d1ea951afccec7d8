import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Attempt, Notification } from '../../../src/core/glossary.ts';
import type { Lease } from '../../../src/core/outbox.ts';
import type { Receipt } from '../../../src/core/receipts/receipt.ts';
import type { Ground } from './ground.ts';
import { lost, receiving } from './receiving.ts';

/** Receipts that say that a message is lost, of a delivery that may still be taken, or was, by another send. */
export function losses(ground: Ground, runs: number): void {
  const { due, refOf, tell, stateOf, recordOf, logOf, settle, claim } = receiving(ground);
  const first = { ...lost, provider: 'first' } as const;
  const second = { ...lost, provider: 'second', reason: 'undelivered' } as const;
  const timedOut = (provider = 'first'): Attempt =>
    ground.attempt({ provider, status: 'failed', reason: 'timeout' });
  const took = (provider = 'second'): Attempt => ground.attempt({ provider });

  const underWay = async (durationMs = 5_000): Promise<{ stored: Notification; mine: Lease }> => {
    const stored = await due();
    const mine = ground.lease(durationMs);
    assert.ok(await claim(mine, stored));
    return { stored, mine };
  };
  const retry = ({ tenantId, deliveries }: Notification): Promise<number> =>
    ground.store.retryDeliveries({
      tenantId,
      atMs: ground.now,
      spacingMs: 0,
      longestMs: 0,
      ids: deliveries.map(({ id }) => id),
    });

  describe('a receipt of a loss while an attempt is under way', () => {
    it('leaves a delivery to the provider that is asked now, and is in the log', async () => {
      const { stored, mine } = await underWay();
      await tell(stored, first);
      assert.equal((await stateOf(stored)).status, 'pending');
      const attempts = [timedOut(), took()];
      const outcome = { providerMessageId: 'm-2', leaseToken: mine.token };
      assert.deepEqual(await settle(stored, { attempts, ...outcome }), [true]);
      const { delivery, log, receipts } = await recordOf(stored);
      assert.deepEqual([delivery.status, delivery.reason, delivery.dueAtMs], ['delivered', '', 0n]);
      assert.deepEqual([delivery.provider, delivery.providerMessageId], ['second', 'm-2']);
      assert.deepEqual(log, attempts);
      assert.deepEqual(
        receipts.map(({ provider, kind }) => [provider, kind]),
        [['first', 'lost']],
      );
      await tell(stored, first);
      assert.equal((await stateOf(stored)).status, 'delivered');
      await tell(stored, second);
      const { status: end, reason } = await stateOf(stored);
      assert.deepEqual([end, reason], ['failed', 'undelivered']);
    });

    for (const [status, attempts] of [
      ['delivered', [took('first')]],
      ['pending', [timedOut()]],
      ['pending', [timedOut(), timedOut('second')]],
      ['failed', [timedOut(), timedOut('second')]],
      ['suppressed', [timedOut()]],
    ] as const)
      it(`decides when ${attempts.map(({ provider }) => provider)} ended as ${status}`, async () => {
        const { stored, mine } = await underWay();
        await tell(stored, first);
        const dueAtMs = status === 'pending' ? ground.now + 1_000n : 0n;
        const late = { status, reason: 'late', attempts, leaseToken: mine.token, dueAtMs } as const;
        assert.deepEqual(await settle(stored, late), [true]);
        const after = await stateOf(stored);
        assert.deepEqual([after.status, after.reason, after.dueAtMs], ['failed', lost.reason, 0n]);
        assert.deepEqual(await logOf(stored), attempts);
        assert.deepEqual(await settle(stored, late), [false], 'once');
        await ground.ambient.clock.advance(60_000);
        assert.ok(!(await claim(ground.lease(), stored)), 'it is not attempted again');
        assert.equal(await retry(stored), 1, 'but by an operator');
      });

    for (const [said, answered, status] of [
      ['m-1', 'm-2', 'delivered'],
      ['m-2', 'm-2', 'failed'],
      [undefined, 'm-2', 'failed'],
      ['', 'm-2', 'failed'],
      ['m-1', '', 'failed'],
    ] as const)
      it(`of message ${said} makes one that the same provider took as ${answered || 'no id'} ${status}`, async () => {
        const { stored, mine } = await underWay();
        const of = said === undefined ? {} : { providerMessageId: said };
        await tell(stored, { ...first, ...of });
        const attempts = [took('first')];
        await settle(stored, { attempts, providerMessageId: answered, leaseToken: mine.token });
        assert.equal((await stateOf(stored)).status, status);
      });

    it('is that of whoever took it, where several say so', async () => {
      const { stored, mine } = await underWay();
      await tell(stored, first, second);
      await settle(stored, { attempts: [timedOut(), took()], leaseToken: mine.token });
      const { status, reason } = await stateOf(stored);
      assert.deepEqual([status, reason], ['failed', 'undelivered']);
    });

    it('decides, among any others, as the outcome has it', async () => {
      const provider = fc.constantFrom('first', 'second');
      const id = fc.constantFrom('', 'm-1', 'm-2');
      const said = fc.array(fc.record({ provider, providerMessageId: id }), { maxLength: 4 });
      const ended = fc.record({
        status: fc.constantFrom('delivered', 'pending', 'failed', 'suppressed'),
        provider,
        providerMessageId: id,
      });
      await fc.assert(
        fc.asyncProperty(said, ended, fc.boolean(), async (list, outcome, isOneBatch) => {
          const { status, providerMessageId } = outcome;
          const { stored, mine } = await underWay();
          const told = list.map((one, i) => ({ ...lost, ...one, reason: `reason-${i}` }));
          if (isOneBatch) await tell(stored, ...told);
          else for (const one of told) await tell(stored, one);
          const attempts = [ground.attempt({ provider: outcome.provider })];
          const over = { status, reason: 'outcome', attempts, providerMessageId, leaseToken: mine.token };
          assert.deepEqual(await settle(stored, { ...over, dueAtMs: ground.now }), [true]);
          const decides = told.find((one) => {
            if (status !== 'delivered') return true;
            const ids = new Set([one.providerMessageId, providerMessageId].filter((text) => text !== ''));
            return one.provider === outcome.provider && ids.size < 2;
          });
          const after = await stateOf(stored);
          const expected = decides ? ['failed', decides.reason] : [status, 'outcome'];
          assert.deepEqual([after.status, after.reason], expected);
          assert.equal(after.dueAtMs, after.status === 'pending' ? ground.now : 0n);
          // what stays due would stand in the way of what others claim
          await settle(stored, { status: 'failed' });
        }),
        { numRuns: runs },
      );
    });

    it('counts for nothing once it has arrived', async () => {
      const { stored, mine } = await underWay();
      await tell(stored, first, { provider: 'first' });
      assert.equal((await stateOf(stored)).status, 'acked');
      const late = {
        status: 'pending',
        attempts: [timedOut()],
        leaseToken: mine.token,
        dueAtMs: 1n,
      } as const;
      assert.deepEqual(await settle(stored, late), [true]);
      assert.equal((await stateOf(stored)).status, 'acked');
    });

    it('leaves the lease with its holder, who is told before it goes on to another provider', async () => {
      const { stored, mine } = await underWay();
      assert.deepEqual(await ground.store.renewLeases(mine, [refOf(stored)], { goingOn: true }), [true]);
      await tell(stored, first);
      assert.deepEqual(await ground.store.renewLeases(mine, [refOf(stored)]), [true]);
      await ground.ambient.clock.advance(4_000);
      assert.deepEqual(await ground.store.renewLeases(mine, [refOf(stored)], { goingOn: true }), [false]);
      await ground.ambient.clock.advance(4_000);
      assert.ok(!(await claim(ground.lease(), stored)), 'it was renewed all the same');
      assert.deepEqual(await settle(stored, { attempts: [took()], leaseToken: mine.token }), [true]);
      assert.equal((await stateOf(stored)).status, 'delivered');
    });

    it('decides when the delivery is handed back, where no attempt had begun', async () => {
      const { stored, mine } = await underWay();
      await tell(stored, first);
      await ground.store.releaseLeases(ground.lease().token, [refOf(stored)]);
      assert.equal((await stateOf(stored)).status, 'pending', 'by its holder alone');
      await ground.store.releaseLeases(mine.token, [refOf(stored)]);
      const { status, reason, dueAtMs } = await stateOf(stored);
      assert.deepEqual([status, reason, dueAtMs], ['failed', lost.reason, 0n]);
      await ground.ambient.clock.advance(60_000);
      assert.ok(!(await claim(ground.lease(), stored)));
      assert.equal(await retry(stored), 1);
    });

    it('is of the attempt whose holder died: another one goes by its own', async () => {
      const { stored } = await underWay();
      await tell(stored, first);
      await ground.ambient.clock.advance(5_000);
      const mine = ground.lease();
      assert.ok(await claim(mine, stored), 'nobody knows whether another provider has it');
      const later = ground.now + 1_000n;
      const late = { status: 'pending', reason: 'timeout', attempts: [timedOut()], dueAtMs: later } as const;
      await settle(stored, { ...late, leaseToken: mine.token });
      const { status, dueAtMs } = await stateOf(stored);
      assert.deepEqual([status, dueAtMs], ['pending', later]);
    });
  });

  describe('a receipt of a loss', () => {
    const ofMessage = (providerMessageId: string): Partial<Receipt> => ({ ...first, providerMessageId });

    it('is of the message that it names, where the provider was asked several times', async () => {
      const stored = await due();
      await settle(stored, { attempts: [timedOut(), took('first')], providerMessageId: 'm-2' });
      await tell(stored, ofMessage('m-1'));
      assert.equal((await stateOf(stored)).status, 'delivered');
      await tell(stored, ofMessage('m-2'));
      assert.equal((await stateOf(stored)).status, 'failed');
    });

    it('counts where either side does not name the message', async () => {
      for (const [said, answered] of [
        ['m-1', ''],
        ['', 'm-2'],
      ] as const) {
        const stored = await due();
        await settle(stored, { attempts: [took('first')], providerMessageId: answered });
        await tell(stored, ofMessage(said));
        assert.equal((await stateOf(stored)).status, 'failed');
      }
    });

    it('says nothing new of what is sent again, however often it is repeated', async () => {
      const stored = await due();
      await settle(stored, { attempts: [took('first')], providerMessageId: 'm-1' });
      await tell(stored, ofMessage('m-1'));
      assert.equal(await retry(stored), 1);
      const repeat = { ...ofMessage('m-1'), atMs: ground.now + 1n };
      await tell(stored, repeat);
      assert.equal((await stateOf(stored)).status, 'pending');
      const mine = ground.lease();
      assert.ok(await claim(mine, stored));
      await tell(stored, repeat);
      const later = { status: 'pending', attempts: [timedOut()], dueAtMs: ground.now + 1n } as const;
      await settle(stored, { ...later, leaseToken: mine.token });
      assert.equal((await stateOf(stored)).status, 'pending');
      assert.equal((await recordOf(stored)).receipts.length, 1);
      await tell(stored, ofMessage('m-2'));
      assert.equal((await stateOf(stored)).status, 'failed', 'another message is another loss');
    });

    it('is of its own message alone, whatever ids look like', async () => {
      const stored = await due();
      for (const id of ['m_1', 'm%', '%', '"m\\', ',"lost",%,"m_1"']) {
        await tell(stored, ofMessage(id));
        assert.equal((await stateOf(stored)).status, 'failed', id);
        await retry(stored);
        await tell(stored, ofMessage(id));
        assert.equal((await stateOf(stored)).status, 'pending', id);
      }
      await tell(stored, { ...ofMessage('m_1'), provider: 'second' });
      assert.equal((await stateOf(stored)).status, 'failed', 'of another provider');
    });

    it('says nothing new of what is sent again where it names no message, and is the same', async () => {
      const stored = await due();
      await settle(stored, { attempts: [took('first')] });
      const said = { ...first, atMs: 1_000n };
      await tell(stored, said);
      await retry(stored);
      await tell(stored, said);
      assert.equal((await stateOf(stored)).status, 'pending');
      await tell(stored, { ...said, atMs: 2_000n });
      assert.equal((await stateOf(stored)).status, 'failed');
    });

    it('shows which message it is of, where it says so', async () => {
      const stored = await due();
      await tell(stored, { ...ofMessage('m-1'), atMs: 1_000n });
      assert.deepEqual((await recordOf(stored)).receipts, [
        { atMs: 1_000n, ...first, providerMessageId: 'm-1' },
      ]);
    });
  });
}
