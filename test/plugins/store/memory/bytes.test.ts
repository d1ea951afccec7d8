import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  estimateDeadAddressBytes,
  estimateDeviceBytes,
  estimateRowBytes,
  inboxBytes,
} from '../../../../plugins/store/memory/estimate.ts';
import type { UserKey } from '../../../../src/core/glossary.ts';
import type { NewDevice } from '../../../../src/core/store.ts';
import { at, type Draft } from '../../../conformance/store/ground.ts';
import { isFull, limited, refusal } from './limited.ts';

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
