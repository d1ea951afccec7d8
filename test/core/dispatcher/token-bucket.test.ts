import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TokenBucket } from '../../../src/core/dispatcher/token-bucket.ts';
import { fakeClock } from '../../support/ambient.ts';

const always = () => true;

describe('a token bucket', () => {
  it('lets so many through a second, in the order in which they came', async () => {
    const clock = fakeClock();
    const bucket = new TokenBucket(4, clock);
    const through: number[] = [];
    for (let i = 0; i < 10; i++) void bucket.turn(always).then(() => through.push(i));
    await clock.advance(0);
    assert.deepEqual(through, [0]);
    await clock.advance(249);
    assert.deepEqual(through, [0]);
    await clock.advance(1);
    assert.deepEqual(through, [0, 1]);
    await clock.advance(1_000);
    assert.deepEqual(through, [0, 1, 2, 3, 4, 5]);
    await clock.advance(10_000);
    assert.deepEqual(through, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'none is dropped');
  });

  it('saves up no more than a tenth of a second, or one', async () => {
    for (const [rate, most] of [
      [1, 1],
      [14, 1],
      [100, 10],
    ] as const) {
      const clock = fakeClock();
      const bucket = new TokenBucket(rate, clock);
      await clock.advance(3_600_000);
      let through = 0;
      for (let i = 0; i < 200; i++)
        void bucket.turn(always).then(() => {
          through += 1;
        });
      for (let i = 0; i < most + 2; i++) await clock.advance(0);
      assert.equal(through, most);
    }
  });

  it('never lets through more than the rate and what was saved up, nor much less', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0.2, max: 50, noNaN: true }),
        fc.integer({ min: 1, max: 10 }),
        async (rate, seconds) => {
          const clock = fakeClock();
          const bucket = new TokenBucket(rate, clock);
          let through = 0;
          for (let i = 0; i < 600; i++)
            void bucket.turn(always).then(() => {
              through += 1;
            });
          await clock.advance(seconds * 1_000);
          const most = Math.max(1, rate / 10);
          assert.ok(through <= rate * seconds + most + 1e-3, `${through} at ${rate}`);
          // a timer waits whole milliseconds
          assert.ok(through >= Math.floor((rate * seconds) / (1 + rate / 1000)) - 1, `${through} at ${rate}`);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('gives the turn of one that wants it no more to the next', async () => {
    const clock = fakeClock();
    const bucket = new TokenBucket(1, clock);
    const wanted = new Set([0, 1, 2, 3]);
    const through: number[] = [];
    for (const i of [0, 1, 2, 3])
      void bucket.turn(() => wanted.has(i)).then((isWanted) => isWanted && through.push(i));
    await clock.advance(0);
    wanted.delete(1);
    wanted.delete(2);
    await clock.advance(1_000);
    assert.deepEqual(through, [0, 3]);
  });
});
