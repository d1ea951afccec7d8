import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  estimateDeadAddressBytes,
  estimateDeviceBytes,
  estimateRowBytes,
  inboxBytes,
} from '../../../plugins/store/memory/estimate.ts';
import { MemoryStore, type MemoryStoreLimits } from '../../../plugins/store/memory/memory-store.ts';
import { NotifyError } from '../../../src/core/errors.ts';
import type { Notification, UserKey } from '../../../src/core/glossary.ts';
import type { NewDevice, NewNotification } from '../../../src/core/store.ts';
import { at, type Draft, Ground, isNotFound } from '../../conformance/store/ground.ts';
import { storeConformance } from '../../conformance/store.ts';
import { fakeAmbient } from '../../support/ambient.ts';

const roomy: MemoryStoreLimits = { notificationsPerUser: 10_000, bytes: 2 ** 30 };

storeConformance('memory', async (ambient) => new MemoryStore({ ambient, limits: roomy }), { runs: 300 });

/** A store with limits of its own, and the makers of the conformance suite on it. */
function limited(limits: Partial<MemoryStoreLimits>): { ground: Ground; store: MemoryStore } {
  const ambient = fakeAmbient();
  const store = new MemoryStore({ ambient, limits: { ...roomy, ...limits } });
  return { ground: new Ground(store, ambient), store };
}

/** Why a row could not be stored; undefined where it was. */
async function refusal(store: MemoryStore, row: NewNotification): Promise<Error | undefined> {
  const [outcome] = await store.createNotifications([row]);
  return outcome && 'error' in outcome ? outcome.error : undefined;
}

function isFull(error: Error | undefined, advice: RegExp): void {
  assert.ok(error instanceof NotifyError);
  assert.equal(error.code, 'resource_exhausted');
  assert.match(error.message, advice);
  assert.match(error.message, /mark some as read or delete them, or use the postgres store/);
}

const isGone = (ground: Ground, owner: UserKey, { id }: Notification) =>
  isNotFound(ground.store.getNotification(owner, id));

describe('positions of the memory store', () => {
  it('start for every user at the boot time in microseconds', async () => {
    const { ground } = limited({});
    const bootUs = ground.ambient.clock.now() * 1_000;
    const [early, late] = [ground.user(), ground.user()];
    assert.equal((await ground.add(early)).position, bootUs + 1);
    await ground.ambient.clock.advance(60_000);
    const { newestPosition, oldestResumable } = await ground.store.inboxSummary(late);
    assert.deepEqual([newestPosition, oldestResumable], [bootUs, bootUs]);
    assert.equal((await ground.add(late)).position, bootUs + 1);
  });

  it('of an earlier run are too old to resume from, so that its clients are told to reset', async () => {
    const { ground } = limited({});
    const owner = ground.user();
    const items = await ground.addMany(owner, 500);
    await ground.ambient.clock.advance(1);
    const restarted = new MemoryStore({ ambient: ground.ambient, limits: roomy });
    assert.ok((await restarted.inboxSummary(owner)).oldestResumable > at(items, -1).position);
  });
});

describe('the limit of notifications a user', () => {
  it('drops the oldest read item for a new one', async () => {
    const { ground } = limited({ notificationsPerUser: 4 });
    const owner = ground.user();
    const items = await ground.addMany(owner, 4);
    const [first, second, third, fourth] = items;
    assert.ok(first && second && third && fourth);
    for (const item of [fourth, second, third]) await ground.read(owner, item);
    const fifth = await ground.add(owner);
    assert.deepEqual(
      await ground.listAll(owner),
      [fifth, fourth, third, first].map(({ id }) => id),
    );
    await isGone(ground, owner, second);
    const sixth = await ground.add(owner);
    assert.deepEqual(
      await ground.listAll(owner),
      [sixth, fifth, fourth, first].map(({ id }) => id),
    );
    assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 3);
  });

  it('lets no stream resume from before a dropped item', async () => {
    const { ground } = limited({ notificationsPerUser: 2 });
    const owner = ground.user();
    const [first, second] = await ground.addMany(owner, 2);
    assert.ok(first && second);
    const { oldestResumable } = await ground.store.inboxSummary(owner);
    await ground.read(owner, second);
    await ground.add(owner);
    const summary = await ground.store.inboxSummary(owner);
    assert.ok(oldestResumable < second.position);
    assert.equal(summary.oldestResumable, second.position);
    await ground.read(owner, first);
    await ground.add(owner);
    assert.equal(
      (await ground.store.inboxSummary(owner)).oldestResumable,
      second.position,
      'it never moves back',
    );
  });

  it('frees the id of a dropped item', async () => {
    const { ground } = limited({ notificationsPerUser: 1 });
    const owner = ground.user();
    const first = await ground.add(owner, { key: 'k' });
    await ground.read(owner, first);
    await ground.add(owner);
    const isFree = async () =>
      (await refusal(ground.store as MemoryStore, ground.draft(owner, { key: 'k' })))?.message;
    assert.match((await isFree()) ?? '', /full/, 'no repeat, but no room either');
    await ground.change(owner, { kind: 'read_up_to', position: Number.MAX_SAFE_INTEGER, atMs: ground.now });
    assert.equal(await isFree(), undefined);
  });

  it('drops deleted, expired and suppressed items too', async () => {
    const { ground, store } = limited({ notificationsPerUser: 3 });
    const owner = ground.user();
    await ground.createOne(
      ground.draft(owner, { key: 'suppressed', deliveries: [ground.inApp(owner, { status: 'suppressed' })] }),
    );
    await ground.add(owner, { key: 'expiring', content: { expiresAtMs: ground.now + 10n } });
    const deleted = await ground.add(owner, { key: 'deleted' });
    assert.equal(
      await refusal(store, ground.draft(owner, { key: 'a' })),
      undefined,
      'in place of the suppressed one',
    );
    isFull(await refusal(store, ground.draft(owner)), /this inbox is full: .* 3 notifications a user/);
    await ground.ambient.clock.advance(10);
    assert.equal(
      await refusal(store, ground.draft(owner, { key: 'b' })),
      undefined,
      'in place of the expired one',
    );
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    await ground.delete(owner, deleted);
    assert.equal(
      await refusal(store, ground.draft(owner, { key: 'c' })),
      undefined,
      'in place of the deleted one',
    );
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    const listed = (await ground.list(owner)).notifications.map(({ notificationId }) => notificationId);
    assert.deepEqual(listed, ['c', 'b', 'a']);
  });

  it('never drops what is not read: archived, in no in-app channel, or marked unread again', async () => {
    const { ground, store } = limited({ notificationsPerUser: 4 });
    const owner = ground.user();
    const archived = await ground.add(owner);
    await ground.archive(owner, archived);
    const newsletter = await ground.add(owner, { deliveries: [ground.email({ provider: '' })] });
    const again = await ground.add(owner);
    await ground.read(owner, again);
    await ground.change(owner, { kind: 'unread', id: again.id });
    const taken = await ground.add(owner);
    await ground.take(taken, { status: 'acked' });
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    const kept = [taken, again, newsletter, archived].map(({ id }) => id);
    assert.deepEqual(await ground.listAll(owner, { archived: true }), kept);
    await ground.read(owner, newsletter);
    assert.equal(await refusal(store, ground.draft(owner)), undefined);
    await isGone(ground, owner, newsletter);
  });

  it('never drops what still has to be sent, though it was read or deleted', async () => {
    const { ground, store } = limited({ notificationsPerUser: 2 });
    const owner = ground.user();
    const deliveries = () => [ground.inApp(owner), ground.email()];
    const read = await ground.add(owner, { deliveries: deliveries() });
    const deleted = await ground.add(owner, { deliveries: deliveries() });
    await ground.read(owner, read);
    await ground.delete(owner, deleted);
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    await store.recordOutcomes([ground.outcome(deleted, 'email', { status: 'failed' })]);
    await ground.add(owner);
    isFull(await refusal(store, ground.draft(owner)), /inbox is full/);
    await store.recordOutcomes([ground.outcome(read, 'email')]);
    await ground.add(owner);
    await isGone(ground, owner, read);
  });

  it('refuses one row and stores the others of the batch, repeats included', async () => {
    const { ground, store } = limited({ notificationsPerUser: 2 });
    const owner = ground.user();
    const bob = { ...owner, userId: 'bob' };
    const row = (key: string, each = owner) => ground.draft(each, { key });
    const outcomes = await store.createNotifications([
      ...['a', 'b', 'c', 'a'].map((key) => row(key)),
      row('c', bob),
      row('d'),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => ('error' in outcome ? 'full' : outcome.created)),
      [true, true, 'full', false, true, 'full'],
    );
    assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 2);
    assert.equal((await ground.store.inboxSummary(owner)).version, 2);
  });
});

describe('the limit of bytes', () => {
  const owner: UserKey = { tenantId: 't', userId: 'ada' };
  const bob: UserKey = { tenantId: 'u', userId: 'bob' };
  const draft: Draft = { content: { body: 'x'.repeat(10_000) } };
  const rowBytes = estimateRowBytes(limited({}).ground.draft(owner, draft));
  /** Room for two users with so many rows of one size. */
  const roomFor = (rows: number) => ({ bytes: 2 * inboxBytes + rows * rowBytes });

  it('counts the most that texts may take', () => {
    const { ground } = limited({});
    const bytes = (body: string) => estimateRowBytes(ground.draft(owner, { key: 'k', content: { body } }));
    assert.equal(bytes('x'.repeat(1_000)) - bytes(''), 2_000);
    assert.ok(bytes('') > 1_024);
  });

  it('drops the oldest read items of any user, and as many as it takes', async () => {
    const { ground } = limited(roomFor(4));
    const hers = await ground.addMany(owner, 2, draft);
    const his = await ground.addMany(bob, 2, draft);
    await ground.read(bob, at(his, 0));
    await ground.read(owner, at(hers, 1));
    await ground.read(owner, at(hers, 0));
    const big = await ground.add(bob, { content: { body: 'x'.repeat(20_000) } });
    assert.deepEqual(await ground.listAll(owner), []);
    assert.deepEqual(await ground.listAll(bob), [big.id, at(his, 1).id, at(his, 0).id]);
    assert.equal((await ground.store.inboxSummary(owner)).oldestResumable, at(hers, 1).position);
  });

  it('never drops unread items: it refuses, says what to do, and goes on once some are read', async () => {
    const { ground, store } = limited(roomFor(3));
    const [first] = await ground.addMany(owner, 2, draft);
    assert.ok(first);
    await ground.add(bob, draft);
    isFull(await refusal(store, ground.draft(bob, draft)), /the memory store is full: it keeps \d+ bytes/);
    assert.equal((await ground.list(owner)).notifications.length, 2);
    await ground.read(owner, first);
    assert.equal(await refusal(store, ground.draft(bob, draft)), undefined);
  });

  it('drops nothing for a row that would not fit even so', async () => {
    const { ground, store } = limited(roomFor(3));
    const items = await ground.addMany(owner, 3, draft);
    for (const item of items.slice(1)) await ground.read(owner, item);
    const huge = ground.draft(owner, { content: { body: 'x'.repeat(30_000) } });
    isFull(await refusal(store, huge), /store is full/);
    assert.equal((await ground.listAll(owner)).length, 3);
  });

  it('counts devices, and an address that a repeat brings', async () => {
    const { ground, store } = limited({ bytes: 10_000 });
    const device = (over: Partial<NewDevice>) => ground.device(owner, { token: 'x'.repeat(1_500), ...over });
    await store.registerDevice(device({ deviceId: 'a', token: 'y'.repeat(1_500) }));
    await store.registerDevice(device({ deviceId: 'b' }));
    await store.registerDevice(device({ deviceId: 'b', token: 'z'.repeat(1_500) }));
    await assert.rejects(store.registerDevice(device({ deviceId: 'c' })), {
      name: 'NotifyError',
      code: 'resource_exhausted',
    });
    assert.deepEqual(
      (await store.listDevices(owner)).map(({ deviceId }) => deviceId),
      ['a', 'b'],
    );
    assert.equal(store.usedBytes, 2 * estimateDeviceBytes(device({ deviceId: 'a' })));
    await store.registerDevice({ ...device({ deviceId: 'c' }), token: 'z'.repeat(1_500) });
    assert.equal((await store.listDevices(owner)).length, 2, 'one that takes over a token fits');
    await ground.add(owner, { key: 'k', deliveries: [ground.unaddressed()] });
    const before = store.usedBytes;
    await ground.createOne(
      ground.draft(owner, { key: 'k', deliveries: [ground.email({ destination: 'x'.repeat(99) })] }),
    );
    assert.equal(store.usedBytes - before, 198);
  });

  it('counts records and dead addresses, and gets back all that an erased user took', async () => {
    const { ground, store } = limited({ bytes: 20_000 });
    const record = (chat: string) => ({
      ...owner,
      addresses: { chat },
      locale: '',
      timeZone: '',
      attributes: undefined,
    });
    await store.putRecipients([record('x'.repeat(2_000))], ground.now);
    const used = store.usedBytes;
    assert.ok(used > 4_000);
    await store.putRecipients([record('x'.repeat(1_000))], ground.now);
    assert.equal(used - store.usedBytes, 2_000, 'a record takes the place of the one before');
    const full = { name: 'NotifyError', code: 'resource_exhausted' };
    await assert.rejects(store.putRecipients([record('x'.repeat(10_000))], ground.now), full);
    assert.equal((await store.getRecipient(owner)).addresses.chat?.length, 1_000);
    await ground.add(owner, { deliveries: [ground.inApp(owner), ground.email()] });
    await store.registerDevice(ground.device(owner));
    await store.eraseUser(owner);
    assert.equal(store.usedBytes, 0);
    const dead = { tenantId: 't', channel: 'chat', address: 'x', reason: 'bounced', atMs: 1n } as const;
    for (let i = 0; i < 3; i++) await store.markAddressesDead([{ ...dead, atMs: BigInt(i) }]);
    assert.equal(store.usedBytes, estimateDeadAddressBytes(dead));
    await assert.rejects(store.markAddressesDead([{ ...dead, address: 'x'.repeat(9_999) }]), full);
  });

  it('gets back all that a dropped row took, and keeps what a user costs', async () => {
    const { ground, store } = limited({ bytes: inboxBytes + rowBytes });
    const first = await ground.add(owner, { key: 'k', deliveries: [ground.unaddressed({ provider: '' })] });
    await ground.read(owner, first);
    const deliveries = [ground.email({ provider: '', reason: 'no_provider' })];
    await ground.createOne(ground.draft(owner, { key: 'k', deliveries }));
    assert.equal(await refusal(store, ground.draft(owner, draft)), undefined);
    assert.equal(store.usedBytes, inboxBytes + rowBytes);
  });

  it('is not used up by looking at inboxes that nobody wrote to', async () => {
    const { ground, store } = limited({});
    for (let i = 0; i < 100; i++) {
      const nobody = ground.user();
      await ground.list(nobody);
      await ground.since(nobody);
      await ground.change(nobody, { kind: 'seen_up_to', position: Number.MAX_SAFE_INTEGER });
      await store.listDevices(nobody);
    }
    assert.equal(store.usedBytes, 0);
  });
});

describe('under any limits', () => {
  type Step = { user: number; do: 'create' | 'read' | 'delete' | 'unread'; pick: number; size: number };
  const step: fc.Arbitrary<Step> = fc.record({
    user: fc.nat({ max: 2 }),
    do: fc.constantFrom('create', 'create', 'create', 'read', 'read', 'delete', 'unread'),
    pick: fc.nat({ max: 50 }),
    size: fc.nat({ max: 2_000 }),
  });

  it('counts are exact, limits are kept, and what is not read stays, whatever is called', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 10_000, max: 60_000 }),
        async (steps, notificationsPerUser, bytes) => {
          const { ground, store } = limited({ notificationsPerUser, bytes });
          const users = ['ada', 'bob', 'eve'].map((userId) => ({ tenantId: 't', userId }));
          /** What every user has that must not be dropped, and what may be. */
          const kept = users.map(() => new Map<string, number>());
          const other = users.map(() => new Map<string, number>());
          for (const { user, do: kind, pick, size } of steps) {
            const owner = at(users, user);
            const [keep, may] = [at(kept, user), at(other, user)];
            if (kind === 'create') {
              const row = ground.draft(owner, { content: { body: 'x'.repeat(size) } });
              if ((await refusal(store, row)) === undefined) keep.set(row.id, estimateRowBytes(row));
              continue;
            }
            const [from, to] = kind === 'unread' ? [may, keep] : [keep, may];
            const [id, rowBytes] = [...from][pick % Math.max(1, from.size)] ?? [];
            if (id === undefined || rowBytes === undefined) continue;
            const change = kind === 'unread' ? { kind, id } : { kind, id, atMs: ground.now };
            const done = await store.changeInbox(owner, change).catch(() => undefined);
            if (done === undefined) continue; // it was dropped, or deleted
            from.delete(id);
            to.set(id, rowBytes);
          }
          for (const [i, owner] of users.entries()) {
            const unread = await ground.listAll(owner, { unreadOnly: true });
            assert.deepEqual(new Set(unread), new Set(at(kept, i).keys()));
            assert.equal((await store.inboxSummary(owner)).unreadCount, unread.length);
            assert.ok((await ground.listAll(owner)).length <= notificationsPerUser);
          }
          assert.ok(store.usedBytes <= bytes);
          const keptBytes = kept.flatMap((rows) => [...rows.values()]).reduce((sum, row) => sum + row, 0);
          assert.ok(store.usedBytes >= keptBytes);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('a full inbox that is read as it fills takes no more memory over time', async () => {
    const { ground, store } = limited({ notificationsPerUser: 50 });
    const owner = ground.user();
    const sizes = new Set<number>();
    for (let i = 0; i < 1_000; i++) {
      const { id } = await ground.add(owner, { key: `${i}`.padStart(4, '0') });
      await ground.read(owner, { id });
      if (i >= 50) sizes.add(store.usedBytes);
    }
    assert.equal(sizes.size, 1);
    assert.equal((await ground.listAll(owner)).length, 50);
  });
});
