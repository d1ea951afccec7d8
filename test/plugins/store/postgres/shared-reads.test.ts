import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SharedReads } from '../../../../plugins/store/postgres/shared-reads.ts';

/** Reads that answer the value at the time they began, when the test says so. */
function bench() {
  const reads = new SharedReads<number>();
  const underWay: (() => void)[] = [];
  let value = 0;
  let count = 0;
  const run = () => {
    count += 1;
    const seen = value;
    return new Promise<number>((resolve) => underWay.push(() => resolve(seen)));
  };
  return {
    read: (key = 'k') => reads.read(key, run),
    write: () => {
      value += 1;
    },
    finish: async () => {
      underWay.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    },
    reads: () => count,
  };
}

describe('shared reads', () => {
  it('answer nobody from before the question, and everybody who came meanwhile at once', async () => {
    const { read, write, finish, reads } = bench();
    const first = read();
    write();
    const others = [read(), read(), read()];
    await finish();
    assert.equal(await first, 0);
    write();
    const late = read();
    await finish();
    assert.deepEqual(await Promise.all(others), [1, 1, 1]);
    await finish();
    assert.equal(await late, 2);
    assert.equal(reads(), 3);
  });

  it('do not wait for another key, and forget what has been answered', async () => {
    const { read, finish, reads } = bench();
    const answers = [read('a'), read('b')];
    assert.equal(reads(), 2);
    await finish();
    await finish();
    await Promise.all(answers);
    void read('a');
    assert.equal(reads(), 3);
  });

  it('fail for those who shared the read that failed, and go on', async () => {
    const reads = new SharedReads<number>();
    const failing = reads.read('k', () => Promise.reject(new Error('lost')));
    const next = reads.read('k', async () => 7);
    await assert.rejects(failing, /lost/);
    assert.equal(await next, 7);
  });
});
