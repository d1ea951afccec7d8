import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { DeadAddress } from '../../../src/core/addresses.ts';
import { NotifyError } from '../../../src/core/errors.ts';
import type { ReceiptReader } from '../../../src/core/receipts/reader.ts';
import type { Receipt } from '../../../src/core/receipts/receipt.ts';
import { Receipts } from '../../../src/core/receipts/receipts.ts';
import { readTags, tagsOf } from '../../../src/core/receipts/tags.ts';

describe('the tags of a delivery', () => {
  it('lead back to it, of plain letters whatever the tenant is called', () => {
    const tenantId = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((text) => text.isWellFormed() && !text.includes('\0'));
    fc.assert(
      fc.property(tenantId, fc.uuid(), fc.uuid(), (tenantId, id, deliveryId) => {
        const tags = tagsOf({ tenantId, id, deliveryId });
        for (const tag of Object.values(tags)) assert.match(tag, /^[\w-]+$/);
        assert.deepEqual(readTags(tags), { tenantId, id, deliveryId });
      }),
    );
  });

  it('are not ours when they could not have been made here', () => {
    const id = '01a20154-4c24-73da-a2b6-000000000001';
    const tenant = (text: string) => Buffer.from(text).toString('base64url');
    for (const wrong of [
      { tenant: '' },
      { tenant: tenant('a\0b') },
      { tenant: 'ZGVtbw==' },
      { tenant: '_w' },
      { tenant: ['ZGVtbw'] },
      { item: 'x' },
      { delivery: undefined },
      { delivery: `${id}'` },
    ])
      assert.equal(readTags({ tenant: 'ZGVtbw', item: id, delivery: id, ...wrong }), undefined);
  });
});

describe('receipts', () => {
  const nowMs = 1_767_225_600_000;
  const receipt = (over: Partial<Receipt> = {}): Receipt => ({
    tenantId: 't',
    id: 'i',
    deliveryId: 'd',
    channel: 'email',
    provider: 'ses',
    kind: 'lost',
    reason: 'bounced',
    detail: '',
    dead: 'bounced',
    atMs: 1n,
    ...over,
  });
  const callback = { target: '', headers: {}, body: Buffer.alloc(0) };

  function bench(told: readonly Receipt[], destinations: readonly (string | undefined)[]) {
    const batches: (readonly Receipt[])[] = [];
    const marked: DeadAddress[] = [];
    const seen: string[] = [];
    const reader: ReceiptReader = { read: async () => told };
    const store = {
      now: () => nowMs,
      async recordReceipts(batch: readonly Receipt[]) {
        batches.push(batch);
        return batch.map((_, i) => {
          const destination = destinations[i];
          return destination === undefined ? undefined : { destination };
        });
      },
      async markAddressesDead(dead: readonly DeadAddress[]) {
        marked.push(...dead);
      },
    };
    const receipts = new Receipts(store, new Map([['ses', [reader]]]), {
      recorded: (provider, kind) => seen.push(`${provider} ${kind}`),
      unknown: (provider) => seen.push(`${provider} unknown`),
      refused: (provider) => seen.push(`${provider} refused`),
    });
    return { receipts, batches, marked, seen };
  }

  it('mark the address that the delivery went to, and none where there is no delivery', async () => {
    const told = [receipt(), receipt({ dead: undefined }), receipt(), receipt()];
    const { receipts, marked, seen } = bench(told, ['a@example.org', 'b@example.org', undefined, '']);
    await receipts.accept('ses', callback);
    const mark = { tenantId: 't', channel: 'email', address: 'a@example.org', reason: 'bounced', atMs: 1n };
    assert.deepEqual(marked, [mark]);
    assert.deepEqual(seen, ['ses lost', 'ses lost', 'ses unknown', 'ses lost']);
  });

  it('have happened by now, whatever their clock says', async () => {
    const { receipts, batches } = bench(
      [receipt({ atMs: 2n ** 62n }), receipt({ atMs: -5n }), receipt()],
      [],
    );
    await receipts.accept('ses', callback);
    assert.deepEqual(
      batches.flat().map(({ atMs }) => atMs),
      [BigInt(nowMs), BigInt(nowMs), 1n],
    );
  });

  it('are written in batches', async () => {
    const { receipts, batches } = bench(Array(1_001).fill(receipt()), []);
    await receipts.accept('ses', callback);
    assert.deepEqual(
      batches.map(({ length }) => length),
      [500, 500, 1],
    );
  });

  it('are read by whoever of a provider’s readers knows the signature', async () => {
    const refuses: ReceiptReader = {
      read: async () => {
        throw new NotifyError('permission_denied', 'not mine');
      },
    };
    const fails: ReceiptReader = {
      read: async () => {
        throw new NotifyError('unavailable', 'later');
      },
    };
    const knows: ReceiptReader = { read: async () => [] };
    const refused: string[] = [];
    const of = (...readers: ReceiptReader[]) =>
      new Receipts(bench([], []).receipts as never, new Map([['p', readers]]), {
        recorded() {},
        unknown() {},
        refused: (provider, why) => refused.push(`${provider}: ${why}`),
      }).accept('p', callback);
    await of(refuses, knows, fails);
    assert.deepEqual(refused, []);
    await assert.rejects(of(refuses, fails, knows), { code: 'unavailable' });
    await assert.rejects(of(refuses, refuses), { code: 'permission_denied' });
    assert.deepEqual(refused, ['p: not mine']);
  });
});
