import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { estimateRowBytes } from '../../../../plugins/store/memory/estimate.ts';
import { at } from '../../../conformance/store/ground.ts';
import { limited, refusal } from './limited.ts';

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
