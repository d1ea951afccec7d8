import assert from 'node:assert/strict';
import net from 'node:net';
import { it } from 'node:test';
import { bufferLimitBytes } from '../../../src/core/live/settings.ts';
import { as } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { keptBytes } from '../../support/kept-bytes.ts';
import { serve } from '../../support/serve.ts';

/** More than the kernels of both sides take for a reader that stands still. */
const events = 1_500;
const bodyBytes = 8_000;
const readers = 60;
/** What any stream costs, a slice that Node is writing, and what the collector leaves: V8 is not exact. */
const toleranceBytes = 64 * 1024;

it('readers that take nothing of many events cost no more than the limit and one event each', async (t) => {
  const service = await serve(t, {
    NOTIFY_LIVE_MAX_STREAMS_PER_USER: String(readers),
    NOTIFY_LIVE_CONFIRM_TIMEOUT: '0s',
  });
  const send = async (user: string) => {
    const before = await keptBytes();
    for (let i = 0; i < events; i += 10)
      await Promise.all(
        Array.from({ length: 10 }, () => service.notify(user, { body: 'x'.repeat(bodyBytes) })),
      );
    return (await keptBytes()) - before;
  };
  await send('warm-up');
  const without = await send('nobody');
  for (let i = 0; i < readers; i += 1) {
    const socket = net.connect(service.ports.client, '127.0.0.1').on('error', () => {});
    socket.pause();
    socket.write(`GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: ${as('alice').authorization}\r\n\r\n`);
    service.closeFirst(() => socket.destroy());
  }
  await eventually('all are open', async () => (await service.metric('notify_live_connections')) === readers);
  const each = ((await send('alice')) - without) / readers;
  t.diagnostic(`${Math.round(each / 1024)} KiB each`);
  assert.ok((await service.metric('notify_streams_blocked_total')) >= readers);
  assert.ok(each <= bufferLimitBytes + bodyBytes + toleranceBytes, `${each} bytes`);
});
