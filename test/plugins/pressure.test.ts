import assert from 'node:assert/strict';
import { it } from 'node:test';
import { as, build, call, procedures } from '../support/build.ts';

it('what the boot took of the event loop is no overload: the first call is answered', async (t) => {
  // looked at once a second
  const pressure = { maxEventLoopDelayMs: 500, sampleIntervalMs: 1_000 };
  const slow = async () => {
    const until = performance.now() + 2_000;
    while (performance.now() < until);
  };
  const { url } = await build(t, {}, { pressure, plugins: [{ ops: slow }] });
  const { status } = await call(url.client, procedures.getNotifications, {}, as('alice'));
  assert.equal(status, 200);
});
