import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { liveBench } from '../../support/live.ts';

describe('a live stream in time', () => {
  it('ends at a random 80 to 100 % of its age limit', async () => {
    const live = liveBench({ maxAgeMs: 100_000 });
    const streams = await Promise.all(Array.from({ length: 10 }, () => live.open()));
    await live.ambient.clock.advance(79_000);
    assert.ok(streams.every(({ sink }) => !sink.finished));
    await live.ambient.clock.advance(21_000);
    assert.ok(streams.every(({ sink }) => sink.finished));
    assert.deepEqual(streams[0]?.sink.of('end'), [{ kind: 'end', reason: 'max_age', reconnect: true }]);
  });

  it('ends with its token', async () => {
    const live = liveBench();
    const { sink } = await live.open({ tokenExpiresAtMs: live.ambient.clock.now() + 60_000 });
    await live.ambient.clock.advance(59_000);
    assert.equal(sink.finished, false);
    await live.ambient.clock.advance(1_000);
    assert.equal(sink.of('end')[0]?.reason, 'token_expired');
  });
});
