import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Address, DeadAddress, DeadAddressPlace } from '../../../src/core/addresses.ts';
import { at, type Ground, parallel } from './ground.ts';

/** Addresses where nobody is reached any more. */
export function deadAddresses(ground: Ground): void {
  const email = (tenantId: string, address = 'ada@example.org'): Address => ({
    tenantId,
    channel: 'email',
    address,
  });
  const mark = (...addresses: (Address & Partial<DeadAddress>)[]) =>
    ground.store.markAddressesDead(
      addresses.map((address) => ({ reason: 'bounced', atMs: ground.now, ...address })),
    );
  const reasonsOf = (...addresses: Address[]) => ground.store.deadAddresses(addresses);
  const put = ({ tenantId, channel, address }: Address, atMs = ground.now) =>
    ground.store.putRecipients(
      [
        {
          tenantId,
          userId: 'ada',
          addresses: { [channel]: address },
          locale: '',
          timeZone: '',
          attributes: undefined,
        },
      ],
      atMs,
    );
  const list = async (tenantId: string, over: Partial<Address & { limit: number }> = {}) => {
    const found: DeadAddress[] = [];
    for (let after: DeadAddressPlace | undefined; ; ) {
      const query = { tenantId, channel: over.channel, after, limit: over.limit ?? 1_000 };
      const page = await ground.store.listDeadAddresses(query);
      assert.ok(page.addresses.length <= query.limit);
      found.push(...page.addresses);
      if (page.next === undefined) return found;
      assert.equal(page.addresses.length, query.limit, 'only the last page is short');
      after = page.next;
    }
  };

  describe('dead addresses', () => {
    it('are told with their reasons, in the order of the question', async () => {
      const { tenantId } = ground.user();
      const long = {
        tenantId,
        channel: 'webhook',
        address: `https://example.org/${'é"\\,{}'.repeat(1_000)}`,
      } as const;
      const number = { tenantId, channel: 'sms', address: '+15550100' } as const;
      await mark(email(tenantId), { ...long, reason: 'complained' });
      const asked = [number, long, email(tenantId), email(tenantId, 'bob@example.org'), long];
      assert.deepEqual(await reasonsOf(...asked), [
        undefined,
        'complained',
        'bounced',
        undefined,
        'complained',
      ]);
      assert.deepEqual(await reasonsOf(), []);
      await mark();
    });

    it('are of one tenant and one channel', async () => {
      const { tenantId } = ground.user();
      const number = { tenantId, channel: 'sms', address: '+15550100' } as const;
      await mark(number, email(tenantId));
      const { tenantId: other } = ground.user();
      assert.deepEqual(
        await reasonsOf({ ...number, tenantId: other }, email(other), { ...number, channel: 'whatsapp' }),
        [undefined, undefined, undefined],
      );
      await put(email(other));
      assert.equal(await ground.store.reviveAddress(email(other), ground.now), false);
      assert.deepEqual(await reasonsOf(number, email(tenantId)), ['bounced', 'bounced']);
    });

    it('are the same in another spelling', async () => {
      const { tenantId } = ground.user();
      const whatsapp = { tenantId, channel: 'whatsapp', address: 'whatsapp:+15550100' } as const;
      await mark(email(tenantId, 'Ada@Example.ORG'), whatsapp);
      assert.deepEqual(await reasonsOf(email(tenantId), { ...whatsapp, address: '+15550100' }), [
        'bounced',
        'bounced',
      ]);
      // a path is another in another case
      const url = { tenantId, channel: 'webhook', address: 'https://example.org/Hook' } as const;
      await mark(url);
      assert.deepEqual(await reasonsOf({ ...url, address: 'https://example.org/hook' }), [undefined]);
    });

    it('are alive again once a record has them', async () => {
      const { tenantId } = ground.user();
      await mark(email(tenantId), email(tenantId, 'bob@example.org'));
      await put(email(tenantId, 'ADA@example.org'));
      assert.deepEqual(await reasonsOf(email(tenantId), email(tenantId, 'bob@example.org')), [
        undefined,
        'bounced',
      ]);
    });

    it('are alive again once they are revived, and that once', async () => {
      const { tenantId } = ground.user();
      await mark(email(tenantId));
      assert.equal(await ground.store.reviveAddress(email(tenantId), ground.now), true);
      assert.equal(await ground.store.reviveAddress(email(tenantId), ground.now), false);
      assert.deepEqual(await reasonsOf(email(tenantId)), [undefined]);
      assert.deepEqual(await list(tenantId), []);
    });

    it('stay alive whatever is told late, and die of what happens afterwards', async () => {
      const { tenantId } = ground.user();
      const address = email(tenantId);
      await mark({ ...address, atMs: 1_000n });
      await put(address, 2_000n);
      await mark({ ...address, atMs: 1_000n }, { ...address, atMs: 2_000n });
      assert.deepEqual(await reasonsOf(address), [undefined]);
      await mark({ ...address, atMs: 2_001n });
      assert.deepEqual(await reasonsOf(address), ['bounced']);
      assert.deepEqual(await list(tenantId), [{ ...address, reason: 'bounced', atMs: 2_001n }]);
    });

    it('stay alive though the clock that told of them is ahead', async () => {
      const address = email(ground.user().tenantId);
      const ahead = { ...address, atMs: 5_000n };
      await mark(ahead);
      await put(address, 2_000n);
      await mark(ahead);
      assert.deepEqual(await reasonsOf(address), [undefined]);
    });

    it('keep the latest mark, in whatever order marks come and however often', async () => {
      const { tenantId } = ground.user();
      const marks = [
        { ...email(tenantId), atMs: 1n, reason: 'bounced' },
        { ...email(tenantId), atMs: 3n, reason: 'complained' },
        { ...email(tenantId), atMs: 2n, reason: 'bounced' },
      ];
      await mark(...marks, ...marks);
      assert.deepEqual(await list(tenantId), [marks[1]]);
      for (const each of [...marks, ...marks]) await mark(each);
      assert.deepEqual(await list(tenantId), [marks[1]]);
    });

    it('are no push endpoints and no users', async () => {
      const { tenantId } = ground.user();
      const given = (['in_app', 'web_push', 'mobile_push'] as const).map((channel) => ({
        tenantId,
        channel,
        address: 'ada',
      }));
      await mark(...given);
      assert.deepEqual(await reasonsOf(...given), [undefined, undefined, undefined]);
      assert.deepEqual(await list(tenantId), []);
    });

    it('are listed by pages, the latest first, all or those of a channel', async () => {
      const { tenantId } = ground.user();
      const given = Array.from(
        { length: 25 },
        (_, i): DeadAddress => ({
          tenantId,
          channel: i % 2 === 0 ? 'email' : 'chat',
          address: `${i}@example.org`,
          reason: 'bounced',
          // several of one time
          atMs: BigInt(Math.floor(i / 5)),
        }),
      );
      await mark(...given);
      await mark(email(ground.user().tenantId));
      const all = await list(tenantId, { limit: 4 });
      const names = (addresses: readonly DeadAddress[]) => addresses.map(({ address }) => address).sort();
      assert.deepEqual(names(all), names(given));
      assert.deepEqual(
        all.map(({ atMs }) => atMs),
        given.map(({ atMs }) => atMs).toReversed(),
      );
      assert.deepEqual(all, await list(tenantId));
      const chats = await list(tenantId, { channel: 'chat', limit: 5 });
      assert.deepEqual(
        chats,
        all.filter(({ channel }) => channel === 'chat'),
      );
    });

    it('are what a simple model says, after any sequence of calls', async () => {
      const step = fc.record({
        kind: fc.constantFrom('mark', 'put', 'revive'),
        address: fc.constantFrom('a@example.org', 'A@example.org', 'b@example.org'),
        atMs: fc.bigInt({ min: 1n, max: 6n }),
        reason: fc.constantFrom('bounced', 'complained'),
      });
      const property = fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { tenantId } = ground.user();
        const model = new Map<string, { atMs: bigint; reason: string; revivedAtMs?: bigint }>();
        for (const { kind, address, atMs, reason } of steps) {
          const key = address.toLowerCase();
          const known = model.get(key);
          const isDead = known !== undefined && known.revivedAtMs === undefined;
          if (kind === 'mark') {
            await mark({ ...email(tenantId, address), atMs, reason });
            if (known === undefined || atMs > (known.revivedAtMs ?? known.atMs))
              model.set(key, { atMs, reason });
            continue;
          }
          if (kind === 'put') await put(email(tenantId, address), atMs);
          else assert.equal(await ground.store.reviveAddress(email(tenantId, address), atMs), isDead);
          if (isDead) model.set(key, { ...known, revivedAtMs: atMs > known.atMs ? atMs : known.atMs });
        }
        const dead = [...model].filter(([, { revivedAtMs }]) => revivedAtMs === undefined);
        const listed = (await list(tenantId, { limit: 1 })).map(({ address, ...rest }) => [
          address.toLowerCase(),
          rest.atMs,
          rest.reason,
        ]);
        const expected = dead.map(([key, { atMs, reason }]) => [key, atMs, reason]);
        assert.deepEqual(new Set(listed.map(String)), new Set(expected.map(String)));
        const asked = ['a@example.org', 'b@example.org'];
        assert.deepEqual(
          await reasonsOf(...asked.map((address) => email(tenantId, address))),
          asked.map((address) => dead.find(([key]) => key === address)?.[1].reason),
        );
      });
      await fc.assert(property, { numRuns: 40 });
    });

    it('are marked and revived by many at once', async () => {
      const { tenantId } = ground.user();
      const given = Array.from({ length: 20 }, (_, i) => email(tenantId, `${i}@example.org`));
      await parallel(16, async (call) => {
        await mark(...(call % 2 === 0 ? given : given.toReversed()));
        await put(at(given, call % 4), ground.now - 1n);
        await reasonsOf(...given);
      });
      assert.equal((await reasonsOf(...given.slice(4))).filter((reason) => reason === 'bounced').length, 16);
    });
  });
}
