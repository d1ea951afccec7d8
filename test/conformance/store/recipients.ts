import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Recipient } from '../../../src/core/addresses.ts';
import type { UserKey } from '../../../src/core/glossary.ts';
import { at, type Ground, isNotFound, parallel } from './ground.ts';

/** Records of recipients, and where they are reached. */
export function recipients(ground: Ground): void {
  const record = (owner: UserKey, over: Partial<Recipient> = {}): Recipient => ({
    ...owner,
    addresses: { email: 'ada@example.org', sms: '+15550100' },
    locale: 'pt-BR',
    timeZone: 'America/Sao_Paulo',
    attributes: '{"name":"Ada"}',
    ...over,
  });
  const put = (...records: Recipient[]) => ground.store.putRecipients(records, ground.now);
  const destinationsOf = async (owner: UserKey, devices = false) =>
    at(await ground.store.destinations([{ ...owner, devices }]), 0);

  describe('recipients', () => {
    it('are read back byte for byte', async () => {
      const owner = { ...ground.user(), userId: 'a"b\\{c},|: é e\u0301 😀' };
      const given = record(owner, {
        addresses: {
          email: 'o\'hara+"x"@exämple.org',
          webhook: `https://example.org/${'x'.repeat(4_000)}?a=1&b={},"\\`,
          web_push: JSON.stringify({ endpoint: 'https://push.example/é', keys: { auth: "'" } }),
          chat: ' 日本 ',
        },
        attributes: '{ "b": 1.0, "a": [ "\\u00e9", "é", 1e400 ] }',
      });
      await put(given);
      assert.deepEqual(await ground.store.getRecipient(owner), given);
      assert.deepEqual((await destinationsOf(owner)).addresses, given.addresses);
    });

    it('are replaced as a whole', async () => {
      const owner = ground.user();
      await put(record(owner));
      const bare = record(owner, { addresses: {}, locale: '', timeZone: '', attributes: undefined });
      await put(bare);
      assert.deepEqual(await ground.store.getRecipient(owner), bare);
      assert.deepEqual((await destinationsOf(owner)).addresses, {});
    });

    it('are not found under another user or tenant', async () => {
      const owner = ground.user();
      const others = [
        { ...owner, userId: 'bob' },
        { ...ground.user(), userId: owner.userId },
      ];
      await put(record(owner));
      for (const other of others) {
        await isNotFound(ground.store.getRecipient(other));
        assert.deepEqual(await destinationsOf(other), { addresses: {}, devices: [] });
        await put(record(other, { locale: 'de' }));
      }
      assert.equal((await ground.store.getRecipient(owner)).locale, 'pt-BR');
    });

    it('are stored and looked up 1,000 at a time, in the order of the question', async () => {
      const { tenantId } = ground.user();
      const owners = Array.from({ length: 1_000 }, (_, i) => ({ tenantId, userId: `user-${i}` }));
      await put(...owners.map((owner, i) => record(owner, { addresses: { email: `${i}@example.org` } })));
      const asked = [...owners.toReversed(), { tenantId, userId: 'nobody' }, at(owners, 7), at(owners, 7)];
      const known = await ground.store.destinations(asked.map((owner) => ({ ...owner, devices: false })));
      const emails = known.map(({ addresses }) => addresses.email);
      assert.deepEqual(emails, [
        ...owners.map((_, i) => `${999 - i}@example.org`),
        undefined,
        '7@example.org',
        '7@example.org',
      ]);
      await put();
      assert.deepEqual(await ground.store.destinations([]), []);
    });

    it('are whole after many have replaced them at once, in different orders', async () => {
      const { tenantId } = ground.user();
      const owners = Array.from({ length: 10 }, (_, i) => ({ tenantId, userId: `user-${i}` }));
      await parallel(16, (call) => {
        const order = call % 2 === 0 ? owners : owners.toReversed();
        const said = `call-${call}`;
        return put(
          ...order.map((owner) =>
            record(owner, { addresses: { chat: said }, attributes: JSON.stringify({ said }) }),
          ),
        );
      });
      for (const owner of owners) {
        const { addresses, attributes } = await ground.store.getRecipient(owner);
        assert.equal(attributes, JSON.stringify({ said: addresses.chat }));
      }
    });

    it('come with the devices of those for whom they are asked, oldest first', async () => {
      const owner = ground.user();
      const bob = { ...owner, userId: 'bob' };
      await put(record(owner));
      const register = (of: UserKey, deviceType: 'ios' | 'android', token: string, atMs: bigint) =>
        ground.store.registerDevice(ground.device(of, { deviceType, token, atMs }));
      await register(owner, 'ios', 'a "token" {}, é', 2n);
      await register(owner, 'android', 'older', 1n);
      await register(bob, 'ios', "bob's", 1n);
      const known = await ground.store.destinations([
        { ...owner, devices: true },
        { ...owner, devices: false },
        { ...bob, devices: true },
      ]);
      const devices = known.map((each) => each.devices.map(({ deviceType, token }) => [deviceType, token]));
      assert.deepEqual(devices, [
        [
          ['android', 'older'],
          ['ios', 'a "token" {}, é'],
        ],
        [],
        [['ios', "bob's"]],
      ]);
      assert.deepEqual(
        known.map(({ addresses }) => addresses.sms),
        ['+15550100', '+15550100', undefined],
      );
    });
  });
}
