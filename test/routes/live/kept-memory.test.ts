import assert from 'node:assert/strict';
import net from 'node:net';
import { it, type TestContext } from 'node:test';
import { as, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { endStream, frame, openPreface, requestHeaders } from '../../support/http2-frames.ts';
import { keptBytes } from '../../support/kept-bytes.ts';
import { serve } from '../../support/serve.ts';

const streams = 400;
/** As of a browser with a few cookies and a long token. */
const saidBytes = 8_000;

const emptyMessage = Buffer.alloc(5);
const streamEvents = '/elloloop.notify.v1.NotificationClientService/StreamEvents';

/** What opens the stream of a user, with a cookie; the same for a browser, Connect and gRPC. */
const openings: Record<string, (user: string, cookie: string) => Buffer> = {
  EventSource: (user, cookie) =>
    Buffer.from(
      `GET /v1/events?access_token=dev:${user}:demo HTTP/1.1\r\nhost: x\r\ncookie: ${cookie}\r\n\r\n`,
    ),
  Connect: (user, cookie) =>
    Buffer.concat([
      Buffer.from(
        `POST ${streamEvents} HTTP/1.1\r\nhost: x\r\ncookie: ${cookie}\r\nauthorization: ${as(user).authorization}\r\n` +
          `content-type: application/connect+proto\r\ncontent-length: ${emptyMessage.length}\r\n\r\n`,
      ),
      emptyMessage,
    ]),
  gRPC: (user, cookie) =>
    Buffer.concat([
      openPreface,
      requestHeaders(1, streamEvents, {
        'content-type': 'application/grpc',
        te: 'trailers',
        authorization: as(user).authorization,
        cookie,
      }),
      frame('data', { stream: 1, flags: endStream, payload: emptyMessage }),
    ]),
};

for (const [name, opening] of Object.entries(openings))
  it(`a stream by ${name} keeps nothing of what its request said`, async (t) => {
    await costOf(t, opening, 'warm-up'); // code and caches
    const short = await costOf(t, opening, 'c=1');
    const long = await costOf(t, opening, `c=${'1'.repeat(saidBytes)}`);
    const kept = (long - short) / streams;
    t.diagnostic(`${Math.round(short / streams)} bytes each, ${Math.round(kept)} more with a long request`);
    assert.ok(kept < saidBytes / 4, `${kept} bytes`);
  });

/** How many bytes some streams hold, those of this end of their connections included. */
async function costOf(
  t: TestContext,
  opening: (user: string, cookie: string) => Buffer,
  cookie: string,
): Promise<number> {
  const service = await serve(t);
  const before = await keptBytes();
  for (let i = 0; i < streams; i += 1) {
    const socket = net.connect(service.ports.client, '127.0.0.1').on('error', () => {});
    socket.resume().write(opening(`user-${i}`, cookie));
    service.closeFirst(() => socket.destroy());
  }
  await eventually('all are open', async () => (await service.metric('notify_live_connections')) === streams);
  return (await keptBytes()) - before;
}

it('a connection that is kept alive keeps nothing of its last request', async (t) => {
  const connections = 200;
  const service = await serve(t);
  const call = (user: string, cookie: string): string =>
    `POST /${procedures.getNotifications} HTTP/1.1\r\nhost: x\r\ncookie: ${cookie}\r\nauthorization: ${as(user).authorization}\r\n` +
    'content-type: application/json\r\ncontent-length: 2\r\n\r\n{}';
  const costs: number[] = [];
  for (const cookie of ['warm-up', 'c=1', `c=${'1'.repeat(saidBytes)}`]) {
    const before = await keptBytes();
    let answers = 0;
    for (let i = 0; i < connections; i += 1) {
      const socket = net.connect(service.ports.client, '127.0.0.1').on('error', () => {});
      socket.on('data', (bytes) => {
        if (bytes.includes('200 OK')) answers += 1;
      });
      socket.write(call(`user-${i}`, cookie));
      service.closeFirst(() => socket.destroy());
    }
    await eventually('all are answered', () => answers === connections);
    costs.push((await keptBytes()) - before);
  }
  const [, short = 0, long = 0] = costs;
  const kept = (long - short) / connections;
  t.diagnostic(`${Math.round(short / connections)} bytes each, ${Math.round(kept)} more with a long request`);
  assert.ok(kept < saidBytes / 4, `${kept} bytes`);
});
