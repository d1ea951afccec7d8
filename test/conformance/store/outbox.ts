import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Channel, Notification } from '../../../src/core/glossary.ts';
import type { Claim, ClaimedDelivery, DeliveryRef, Lease, Outcome } from '../../../src/core/outbox.ts';
import { at, type Draft, deliveryOf, type Ground, parallel } from './ground.ts';

/** Channels that no other test of the suite uses: a claim sees every tenant of the store. */
const channel = 'chat';
const other = 'webhook';

/** What is due, and who attempts it. */
export function outbox(ground: Ground): void {
  const chat = (over: object = {}) =>
    ground.email({ channel, destination: 'room', provider: 'smtp', ...over });
  const draft = (over: Draft = {}): Draft => ({ deliveries: [chat()], ...over });
  /** Stores one for a dispatcher. */
  const due = async (owner = ground.user(), over: Draft = {}): Promise<Notification> => {
    const [outcome] = await ground.createFor(undefined, ground.draft(owner, draft(over)));
    assert.ok(outcome);
    return outcome.notification;
  };
  const claim = async (lease: Lease, over: Partial<Claim> = {}) =>
    (
      await ground.store.claimDeliveries({
        lease,
        room: new Map<Channel, number>([[channel, 100]]),
        suspect: true,
        takeOver: true,
        ...over,
      })
    ).deliveries;
  const refOf = ({ notification, deliveryId }: ClaimedDelivery): DeliveryRef => ({
    tenantId: notification.tenantId,
    userId: notification.userId,
    id: notification.id,
    deliveryId,
  });
  const idsOf = (claimed: readonly ClaimedDelivery[]) =>
    claimed.map(({ notification }) => notification.id).sort();
  const write = async (lease: Lease, claimed: ClaimedDelivery, over: Partial<Outcome> = {}) => {
    const [written] = await ground.store.recordOutcomes([
      {
        ...ground.outcome(claimed.notification, channelOf(claimed)),
        leaseToken: lease.token,
        ...refOf(claimed),
        ...over,
      },
    ]);
    return written;
  };
  const channelOf = ({ notification, deliveryId }: ClaimedDelivery): Channel =>
    notification.deliveries.find(({ id }) => id === deliveryId)?.channel ?? channel;
  const stateOf = async ({ tenantId, userId, id }: Notification) =>
    deliveryOf(await ground.store.getNotification({ tenantId, userId }, id), channel);

  describe('the outbox', () => {
    beforeEach(async () => {
      // what another test left
      await ground.ambient.clock.advance(3_600_000);
      for (;;) {
        const lease = ground.lease();
        const left = await claim(lease, {
          room: new Map<Channel, number>([
            [channel, 100],
            [other, 100],
          ]),
        });
        if (left.length === 0) return;
        for (const one of left) await write(lease, one, { status: 'failed' });
      }
    });

    it('hands out what is due, with what a provider needs to know, and hands it out once', async () => {
      const owner = ground.user();
      const stored = await due(owner);
      const [claimed, ...more] = await claim(ground.lease());
      assert.ok(claimed);
      assert.deepEqual(more, []);
      assert.equal(claimed.crashes, 0);
      const { dueAtMs, ...delivery } = deliveryOf(claimed.notification, channel);
      assert.equal(claimed.deliveryId, delivery.id);
      const { dueAtMs: before, ...expected } = deliveryOf(stored, channel);
      assert.deepEqual(delivery, expected);
      const { deliveries: _, ...content } = claimed.notification;
      const { deliveries: __, ...sent } = stored;
      assert.deepEqual({ ...content, seen: false }, sent);
      assert.deepEqual(await claim(ground.lease()), []);
    });

    it('gives each of 60 deliveries to one of eight claims at a time', async () => {
      const owner = ground.user();
      const ids = (await parallel(60, () => due(owner))).map(({ id }) => id).sort();
      const claimed = await parallel(8, () =>
        claim(ground.lease(), { room: new Map<Channel, number>([[channel, 20]]) }),
      );
      const rest = await claim(ground.lease());
      assert.deepEqual(idsOf([...claimed.flat(), ...rest]), ids);
    });

    it('leaves what a caller attempts itself alone, until that lease runs out', async () => {
      const mine = ground.lease(5_000);
      const [stored] = await ground.createFor(mine, ground.draft(ground.user(), draft()));
      assert.ok(stored);
      assert.deepEqual(stored.attempt, [deliveryOf(stored.notification, channel).id]);
      assert.deepEqual(await claim(ground.lease()), []);
      await ground.ambient.clock.advance(5_000);
      const [claimed] = await claim(ground.lease());
      assert.equal(claimed?.notification.id, stored.notification.id);
      assert.equal(claimed?.crashes, 1, 'its holder has died');
    });

    it('never takes more of a channel than there is room for, and nothing of others', async () => {
      const owner = ground.user();
      await parallel(5, () => due(owner));
      await ground.createFor(
        undefined,
        ground.draft(owner, { deliveries: [chat({ channel: other })] }),
        ground.draft(owner, { deliveries: [chat({ channel: other })] }),
      );
      const some = await claim(ground.lease(), { room: new Map([[channel, 2]]) });
      assert.deepEqual(
        some.map(({ notification }) => notification.deliveries[0]?.channel),
        [channel, channel],
      );
      const both = await claim(ground.lease(), {
        room: new Map<Channel, number>([
          [channel, 1],
          [other, 1],
        ]),
      });
      assert.deepEqual(both.map(({ notification }) => notification.deliveries[0]?.channel).sort(), [
        channel,
        other,
      ]);
      assert.equal((await claim(ground.lease(), { room: new Map([[other, 0]]) })).length, 0);
    });

    it('takes the longest due first', async () => {
      const owner = ground.user();
      const first = await due(owner);
      await ground.ambient.clock.advance(10);
      const second = await due(owner);
      await ground.ambient.clock.advance(10);
      await due(owner);
      const claimed = await claim(ground.lease(), { room: new Map([[channel, 2]]) });
      assert.deepEqual(idsOf(claimed), [first.id, second.id].sort());
    });

    it('does not let one tenant’s backlog keep another waiting', async () => {
      const crowd = ground.user();
      await parallel(40, () => due(crowd));
      await ground.ambient.clock.advance(10);
      const small = await Promise.all([due(), due()]);
      const claimed = await claim(ground.lease(), { room: new Map([[channel, 12]]) });
      const tenants = claimed.map(({ notification }) => notification.tenantId);
      for (const { tenantId } of small) assert.ok(tenants.includes(tenantId), 'each tenant has its share');
    });

    it('lets tenants take turns where there are more than room', async () => {
      const stored = await parallel(9, () => due());
      const seen = new Set<string>();
      for (let round = 0; round < 9 && seen.size < 9; round++)
        for (const one of await claim(ground.lease(), { room: new Map([[channel, 3]]) }))
          seen.add(one.notification.tenantId);
      assert.equal(seen.size, stored.length);
    });

    it('lets them take turns also where there is room for one at a time', async () => {
      const crowd = ground.user();
      await parallel(20, () => due(crowd));
      await ground.ambient.clock.advance(10);
      const small = await due();
      const tenants: string[] = [];
      for (let turn = 0; turn < 4; turn++)
        for (const one of await claim(ground.lease(), { room: new Map([[channel, 1]]) }))
          tenants.push(one.notification.tenantId);
      assert.equal(tenants.length, 4);
      assert.ok(tenants.includes(small.tenantId), 'however long the others have been due');
    });

    it('writes an outcome of the holder only', async () => {
      const stored = await due();
      const mine = ground.lease(5_000);
      const [claimed] = await claim(mine);
      assert.ok(claimed);
      assert.equal(await write(ground.lease(), claimed), false);
      assert.equal((await stateOf(stored)).status, 'pending');
      assert.equal(await write(mine, claimed, { providerMessageId: 'm-1' }), true);
      const { status, providerMessageId, attempts, dueAtMs } = await stateOf(stored);
      assert.deepEqual([status, providerMessageId, attempts, dueAtMs], ['delivered', 'm-1', 1, 0n]);
      await ground.ambient.clock.advance(5_000);
      assert.deepEqual(await claim(ground.lease()), [], 'it is done');
    });

    it('refuses the late outcome of a holder whose lease somebody else has', async () => {
      const stored = await due();
      const late = ground.lease(5_000);
      const [first] = await claim(late);
      await ground.ambient.clock.advance(5_000);
      const mine = ground.lease();
      const [second] = await claim(mine);
      assert.ok(first && second);
      assert.equal(await write(late, first, { status: 'failed', reason: 'late' }), false);
      assert.equal(await write(mine, second), true);
      assert.equal((await stateOf(stored)).status, 'delivered');
    });

    it('takes a late outcome as long as nobody else has been given the delivery', async () => {
      const stored = await due();
      const late = ground.lease(5_000);
      const [claimed] = await claim(late);
      assert.ok(claimed);
      await ground.ambient.clock.advance(60_000);
      assert.equal(await write(late, claimed), true);
      assert.equal((await stateOf(stored)).status, 'delivered');
    });

    it('tries again when the outcome says so, and not before', async () => {
      const stored = await due();
      const mine = ground.lease();
      const [claimed] = await claim(mine);
      assert.ok(claimed);
      const dueAtMs = ground.now + 90_000n;
      await write(mine, claimed, { status: 'pending', reason: 'http_503', dueAtMs });
      const { status, reason, attempts, dueAtMs: next, firstDueAtMs } = await stateOf(stored);
      assert.deepEqual([status, reason, attempts, next], ['pending', 'http_503', 1, dueAtMs]);
      assert.equal(firstDueAtMs, deliveryOf(stored, channel).firstDueAtMs, 'its horizon stays');
      await ground.ambient.clock.advance(89_999);
      assert.deepEqual(await claim(ground.lease()), []);
      await ground.ambient.clock.advance(1);
      const [again] = await claim(ground.lease());
      assert.equal(again?.crashes, 0, 'a failed attempt is no crash');
      assert.equal(again && deliveryOf(again.notification, channel).attempts, 1);
    });

    it('tells when something falls due next', async () => {
      await due(ground.user(), { appearsAtMs: ground.now + 700n });
      const { deliveries, nextDueInMs } = await ground.store.claimDeliveries({
        lease: ground.lease(),
        room: new Map([[channel, 10]]),
        suspect: true,
        takeOver: true,
      });
      assert.deepEqual(deliveries, []);
      assert.equal(nextDueInMs, 700);
    });

    it('keeps a renewed lease, and tells a holder what it has lost', async () => {
      await parallel(2, () => due());
      const mine = ground.lease(5_000);
      const [kept, lost] = await claim(mine);
      assert.ok(kept && lost);
      await ground.ambient.clock.advance(4_000);
      assert.deepEqual(await ground.store.renewLeases(mine, [refOf(kept)]), [true]);
      await ground.ambient.clock.advance(4_000);
      const taken = await claim(ground.lease());
      assert.deepEqual(idsOf(taken), [lost.notification.id]);
      assert.deepEqual(await ground.store.renewLeases(mine, [refOf(lost), refOf(kept)]), [false, true]);
    });

    it('shows until when an attempt may be under way, and when it is due otherwise', async () => {
      const stored = await due();
      const mine = ground.lease(5_000);
      const [claimed] = await claim(mine);
      assert.ok(claimed);
      const shown = async (): Promise<bigint> => (await stateOf(stored)).dueAtMs - ground.now;
      assert.equal(await shown(), 5_000n);
      await ground.ambient.clock.advance(1_000);
      assert.equal(await shown(), 4_000n);
      await ground.store.renewLeases(mine, [refOf(claimed)]);
      assert.equal(await shown(), 5_000n);
      await ground.store.renewLeases(ground.lease(9_000), [refOf(claimed)]);
      await ground.store.releaseLeases(ground.lease().token, [refOf(claimed)]);
      assert.equal(await shown(), 5_000n, 'nobody else has a say');
      await ground.store.releaseLeases(mine.token, [refOf(claimed)], 700);
      assert.equal(await shown(), 700n);
    });

    it('gives back a released lease at once, and counts no crash', async () => {
      await due();
      const mine = ground.lease();
      const [claimed] = await claim(mine);
      assert.ok(claimed);
      await ground.store.releaseLeases(ground.lease().token, [refOf(claimed)]);
      assert.deepEqual(await claim(ground.lease()), [], 'only its holder releases it');
      await ground.store.releaseLeases(mine.token, [refOf(claimed)]);
      const [again] = await claim(ground.lease());
      assert.equal(again?.deliveryId, claimed.deliveryId);
      assert.equal(again?.crashes, 0);
    });

    it('leaves leases that ran out to their holders where it is told to, and only those', async () => {
      await due();
      await claim(ground.lease(5_000));
      await ground.ambient.clock.advance(6_000);
      const fresh = await due();
      assert.deepEqual(idsOf(await claim(ground.lease(), { takeOver: false })), [fresh.id]);
      assert.equal((await claim(ground.lease(), { takeOver: true })).length, 1);
    });

    it('hands back for later, and counts no crash', async () => {
      await due();
      const mine = ground.lease();
      const [claimed] = await claim(mine);
      assert.ok(claimed);
      await ground.store.releaseLeases(mine.token, [refOf(claimed)], 5_000);
      await ground.ambient.clock.advance(4_999);
      assert.deepEqual(await claim(ground.lease()), []);
      await ground.ambient.clock.advance(1);
      const [again] = await claim(ground.lease());
      assert.deepEqual([again?.deliveryId, again?.crashes], [claimed.deliveryId, 0]);
    });

    it('counts crashes, and hands out one suspect at a time', async () => {
      await parallel(3, () => due());
      for (const crashes of [0, 1]) {
        const taken = await claim(ground.lease(5_000));
        assert.deepEqual(
          taken.map((one) => one.crashes),
          [crashes, crashes, crashes],
        );
        await ground.ambient.clock.advance(5_000);
      }
      const fresh = await due();
      assert.deepEqual(idsOf(await claim(ground.lease(), { suspect: false })), [fresh.id]);
      await ground.ambient.clock.advance(1_000);
      const mine = ground.lease();
      const [suspect, ...more] = await claim(mine);
      assert.equal(suspect?.crashes, 2);
      assert.deepEqual(more, []);
      assert.ok(suspect);
      await write(mine, suspect, { status: 'pending', reason: 'timeout', dueAtMs: ground.now });
      await ground.ambient.clock.advance(10);
      assert.ok((await claim(ground.lease())).some(({ deliveryId }) => deliveryId === suspect.deliveryId));
    });

    it('polls nothing that has no destination, no provider, or was suppressed', async () => {
      const owner = ground.user();
      for (const over of [
        { destination: '', reason: 'no_destination' },
        { provider: '', reason: 'no_provider' },
        { status: 'suppressed', reason: 'expired' },
      ] as const)
        await due(owner, { deliveries: [chat(over)] });
      assert.deepEqual(await claim(ground.lease()), []);
    });

    it('has a delivery due that was given its destination by a repeat', async () => {
      const owner = ground.user();
      const key = ground.fresh('note');
      await due(owner, { key, deliveries: [chat({ destination: '', reason: 'no_destination' })] });
      await due(owner, { key });
      const [claimed] = await claim(ground.lease());
      assert.equal(claimed && deliveryOf(claimed.notification, channel).destination, 'room');
    });

    it('makes failed deliveries due again by id, one after the other, with a new horizon', async () => {
      const owner = ground.user();
      const mine = ground.lease();
      const stored = await parallel(3, () => due(owner));
      for (const one of await claim(mine)) await write(mine, one, { status: 'failed', reason: 'http_400' });
      await ground.ambient.clock.advance(86_400_000);
      const [first, second] = stored;
      assert.ok(first && second);
      const ids = [first, second].map((one) => deliveryOf(one, channel).id);
      const again = { tenantId: owner.tenantId, atMs: ground.now, spacingMs: 1_000, longestMs: 60_000 };
      const foreign = { ...again, tenantId: ground.user().tenantId, ids };
      assert.equal(await ground.store.retryDeliveries(foreign), 0, 'another tenant’s are not found');
      assert.equal(await ground.store.retryDeliveries({ ...again, ids: [...ids, 'no-uuid'] }), 2);
      assert.equal(await ground.store.retryDeliveries({ ...again, ids }), 0, 'they are pending already');
      const now = await claim(ground.lease());
      assert.equal(now.length, 1);
      assert.equal(deliveryOf(at(now, 0).notification, channel).firstDueAtMs, ground.now);
      await ground.ambient.clock.advance(1_000);
      assert.deepEqual(idsOf([...now, ...(await claim(ground.lease()))]), [first.id, second.id].sort());
    });

    it('makes all failed deliveries of a channel due again, of a provider and a time, within a limit', async () => {
      const owner = ground.user();
      const mine = ground.lease();
      const fail = async (provider: string) => {
        const stored = await due(owner, { deliveries: [chat({ provider })] });
        for (const one of await claim(mine))
          await write(mine, one, { status: 'failed', attempts: [ground.attempt({ provider })] });
        return stored;
      };
      const early = await fail('slack');
      await ground.ambient.clock.advance(1_000);
      const sinceMs = ground.now;
      const slack = await fail('slack');
      await fail('teams');
      await ground.ambient.clock.advance(1_000);
      const untilMs = ground.now;
      await fail('slack');
      const again = {
        tenantId: owner.tenantId,
        atMs: ground.now,
        spacingMs: 1_000,
        longestMs: 1_000,
        channel,
      } as const;
      assert.equal(await ground.store.retryDeliveries({ ...again, provider: 'slack', sinceMs, untilMs }), 1);
      assert.deepEqual(idsOf(await claim(ground.lease())), [slack.id]);
      assert.equal(
        await ground.store.retryDeliveries({ ...again, provider: '', sinceMs: 0n, untilMs: 0n }),
        3,
      );
      await ground.ambient.clock.advance(1_000);
      const rest = await claim(ground.lease());
      assert.equal(rest.length, 3);
      assert.ok(rest.some(({ notification }) => notification.id === early.id));
    });
  });
}
