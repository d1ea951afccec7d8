import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LazyHeap, LazyList, toleratedHoles } from '../../../../plugins/store/memory/ordered.ts';

interface Item {
  readonly key: number;
  isIn: boolean;
}

const isIn = (item: Item) => item.isIn;
const itemsOf = (count: number): Item[] => Array.from({ length: count }, (_, key) => ({ key, isIn: false }));
/** Which item enters if it is out, and leaves if it is in. Enough of them to make holes and close them. */
const toggles = fc.array(fc.nat({ max: 149 }), { minLength: 200, maxLength: 600, size: 'max' });

describe('lazy collections', () => {
  it('a list has exactly its items, in order, from any place and both ways', () => {
    fc.assert(
      fc.property(toggles, fc.nat({ max: 150 }), (keys, place) => {
        const items = itemsOf(150);
        const list = new LazyList<Item>((a, b) => a.key - b.key, isIn);
        for (const key of keys) {
          const item = items[key];
          if (item === undefined) continue;
          item.isIn = !item.isIn;
          if (item.isIn) list.enter(item);
          else list.leave();
        }
        const reached = (item: Item) => item.key >= place;
        assert.deepEqual(
          [...list.from(reached)],
          items.filter((item) => item.isIn && reached(item)),
        );
        assert.deepEqual(
          [...list.backFrom(reached)],
          items.filter((item) => item.isIn && !reached(item)).reverse(),
        );
      }),
    );
  });

  it('a heap’s first item is the least of those in it, at any time', () => {
    fc.assert(
      fc.property(toggles, (keys) => {
        const items = itemsOf(150);
        const heap = new LazyHeap<Item>((a, b) => a.key < b.key, isIn);
        for (const [i, key] of keys.entries()) {
          const item = items[key];
          if (item === undefined) continue;
          item.isIn = !item.isIn;
          if (item.isIn) heap.enter(item);
          else heap.leave();
          if (i % 3 === 0) assert.equal(heap.first(), items.find(isIn));
        }
        for (let first = heap.first(); first !== undefined; first = heap.first()) {
          assert.equal(first, items.find(isIn));
          first.isIn = false;
          heap.leave();
        }
        assert.equal(items.some(isIn), false);
      }),
    );
  });

  it('both let go of what left, whichever it was', () => {
    const list = new LazyList<Item>((a, b) => a.key - b.key, isIn);
    const heap = new LazyHeap<Item>((a, b) => a.key < b.key, isIn);
    const items = itemsOf(1_000);
    for (const item of items) {
      item.isIn = true;
      list.enter(item);
      heap.enter(item);
    }
    // 7 and 1,000 have no common divisor: each leaves once, the last one too
    for (const [i] of items.entries()) {
      const item = items[(i * 7) % items.length];
      assert.ok(item?.isIn);
      item.isIn = false;
      list.leave();
      heap.leave();
      const left = items.length - i - 1;
      for (const { places } of [list, heap]) assert.ok(places <= Math.max(2 * left, left + toleratedHoles));
    }
  });
});
