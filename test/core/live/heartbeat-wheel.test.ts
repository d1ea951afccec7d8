import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HeartbeatWheel } from '../../../src/core/live/heartbeat-wheel.ts';
import { fakeAmbient } from '../../support/ambient.ts';

const intervalMs = 32_000;

/** A wheel, and whom it has beaten when, in milliseconds from the start. */
function turning() {
  const { clock } = fakeAmbient();
  const startMs = clock.now();
  const groups: { readonly atMs: number; readonly members: readonly number[] }[] = [];
  const wheel = new HeartbeatWheel<number>(clock, intervalMs, async (members) => {
    groups.push({ atMs: clock.now() - startMs, members });
  });
  return { clock, wheel, groups };
}

describe('a wheel of heartbeats', () => {
  it('beats a few once an interval from when they came', async () => {
    const { clock, wheel, groups } = turning();
    wheel.add(1);
    await clock.advance(5_000);
    wheel.add(2);
    await clock.advance(2 * intervalMs);
    assert.deepEqual(groups, [
      { atMs: 32_000, members: [1] },
      { atMs: 37_000, members: [2] },
      { atMs: 64_000, members: [1] },
      { atMs: 69_000, members: [2] },
    ]);
  });

  it('beats many that came together in groups of one size all through the interval, each once', async () => {
    const { clock, wheel, groups } = turning();
    for (let member = 0; member < 3_200; member++) wheel.add(member);
    for (let round = 0; round < 3; round++) {
      groups.length = 0;
      await clock.advance(intervalMs);
      assert.deepEqual(
        groups.map(({ members }) => members.length),
        Array.from({ length: 32 }, () => 100),
      );
      assert.equal(new Set(groups.flatMap(({ members }) => members)).size, 3_200);
    }
  });

  it('gives the room of those that left to others, and stands still without members', async () => {
    const { clock, wheel, groups } = turning();
    const leave = Array.from({ length: 3_200 }, (_, member) => wheel.add(member));
    for (const one of leave.slice(0, 1_600)) one();
    for (let member = 3_200; member < 4_800; member++) leave.push(wheel.add(member));
    await clock.advance(intervalMs);
    const sizes = groups.map(({ members }) => members.length);
    assert.ok(Math.max(...sizes) <= 101 && Math.min(...sizes) >= 99, `${sizes}`);
    for (const one of leave) one();
    assert.equal(clock.pending, 0);
  });
});
