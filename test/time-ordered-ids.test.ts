import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isUuid } from '../src/core/ambient.ts';
import { timeOrderedIds } from '../src/time-ordered-ids.ts';

describe('ids in the order of time', () => {
  const startMs = Date.UTC(2026, 0, 1);

  it('are UUIDs of version 7 with the time in front', () => {
    for (const nowMs of [0, 1, startMs, 2 ** 48 - 1]) {
      const id = timeOrderedIds(() => nowMs)();
      assert.ok(isUuid(id), id);
      assert.match(id, /^.{14}7.{4}[89ab]/);
      assert.equal(Number.parseInt(id.replace('-', '').slice(0, 12), 16), nowMs);
    }
  });

  it('sort as they were made, a millisecond apart', () => {
    let nowMs = startMs;
    const next = timeOrderedIds(() => nowMs++);
    const ids = Array.from({ length: 100 }, next);
    assert.deepEqual([...ids].sort(), ids);
  });

  it('differ within a millisecond, in every random digit', () => {
    const next = timeOrderedIds(() => startMs);
    const ids = Array.from({ length: 10_000 }, next);
    assert.equal(new Set(ids).size, ids.length);
    const kinds = Array.from({ length: 36 }, (_, at) => new Set(ids.map((id) => id[at])).size);
    const [fixed, variant, random] = [1, 4, 16];
    assert.deepEqual(kinds, [
      ...Array(15).fill(fixed),
      ...Array(3).fill(random),
      fixed,
      variant,
      ...Array(3).fill(random),
      fixed,
      ...Array(12).fill(random),
    ]);
  });
});
