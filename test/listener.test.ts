import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Overrides } from '../src/app.ts';
import { as, build, call, procedures, type Service } from './support/build.ts';
import { eventually } from './support/eventually.ts';
import { FakeProvider, using } from './support/fake-provider.ts';
import { endStream, frame, preface, requestHeaders, reset } from './support/http2-frames.ts';
import { request1, request2 } from './support/wire.ts';

const calm: Overrides = { pressure: { maxEventLoopDelayMs: 60_000, sampleIntervalMs: 1_000 } };
const limits = (listener: Overrides['listener']): Overrides => ({ ...calm, ...(listener && { listener }) });

/** A connection without any library, and what has come on it. */
interface Raw {
  readonly socket: net.Socket;
  received(): Buffer;
  text(): string;
  isClosed(): boolean;
  /** Resolves when the service has closed the connection; rejects when it takes its time. */
  closed(): Promise<unknown>;
}

function connect(t: TestContext, port: number, options: net.SocketConstructorOpts = {}): Raw {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, ...options });
  t.after(() => socket.destroy());
  let received: Buffer = Buffer.alloc(0);
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  socket.on('error', () => {}); // a reset is a way to close
  socket.once('close', () => {
    isClosed = true;
  });
  return {
    socket,
    received: () => received,
    text: () => received.toString('latin1'),
    isClosed: () => isClosed,
    closed: () => eventually('the connection is closed', () => isClosed),
  };
}

const body = '{}';
const get1 = (extra = ''): string =>
  `POST /${procedures.getNotifications} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n` +
  `authorization: ${as('alice').authorization}\r\ncontent-length: ${body.length}\r\n${extra}\r\n${body}`;

const get2 = (stream = 1): Buffer =>
  Buffer.concat([
    requestHeaders(stream, `/${procedures.getNotifications}`, {
      'content-type': 'application/json',
      ...as('alice'),
    }),
    frame('data', { stream, flags: endStream, payload: Buffer.from(body) }),
  ]);

const answers = (text: string): number => text.split('HTTP/1.1 200 OK').length - 1;

/** The types of the HTTP/2 frames that have come as a whole. */
function frameTypes(received: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 9 <= received.length; at += 9 + received.readUIntBE(at, 3))
    types.push(received.readUInt8(at + 3));
  return types;
}
const [dataFrame, goawayFrame] = [0, 7];

/** Whether the service still answers everybody else. */
async function isWell({ url }: Service): Promise<void> {
  const headers = { 'content-type': 'application/json', ...as('alice') };
  for (const send of [request1, request2])
    assert.equal(
      (await send(url.client, 'POST', `/${procedures.getNotifications}`, headers, Buffer.from(body))).status,
      200,
    );
}

describe('one port', () => {
  it('speaks HTTP/1.1 and HTTP/2 with prior knowledge, and offers a thousand streams', async (t) => {
    const service = await build(t, {}, calm);
    await isWell(service);
    const session = http2.connect(service.url.client);
    await once(session, 'remoteSettings');
    assert.equal(session.remoteSettings.maxConcurrentStreams, 1_000);
    session.close();
  });

  it('understands both when they come byte by byte', async (t) => {
    const { ports } = await build(t, {}, calm);
    const [one, two] = [connect(t, ports.client), connect(t, ports.client)];
    const trickle = async ({ socket }: Raw, bytes: Buffer) => {
      for (const byte of bytes) {
        await new Promise((sent) => socket.write(Buffer.of(byte), sent));
        await turn();
      }
    };
    await Promise.all([trickle(one, Buffer.from(get1())), trickle(two, Buffer.concat([preface, get2()]))]);
    await eventually('HTTP/1.1 is answered', () => one.text().endsWith('}'));
    assert.equal(answers(one.text()), 1);
    await eventually('HTTP/2 is answered', () => frameTypes(two.received()).includes(dataFrame));
    assert.match(two.text(), /"unreadCount":0/);
  });

  it('answers pipelined requests in their order', async (t) => {
    const { ports } = await build(t, {}, calm);
    const { socket, text, closed } = connect(t, ports.client);
    const unknown = 'GET /nothing HTTP/1.1\r\nhost: test\r\n\r\n';
    socket.write(`${get1()}${unknown}${get1()}${get1('connection: close\r\n')}`);
    await closed();
    const statuses = [...text().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, ['200', '404', '200', '200']);
  });

  it('answers a client that has closed its half already', async (t) => {
    const { ports } = await build(t, {}, calm);
    const raw = connect(t, ports.client, { allowHalfOpen: true });
    raw.socket.end(get1());
    await raw.closed();
    assert.equal(answers(raw.text()), 1);
  });

  it('answers a client that has closed its half, also when the answer takes its time', async (t) => {
    const service = await build(t, {}, calm);
    const { store } = service.core;
    const { listNotifications } = store;
    const raw = connect(t, service.ports.client, { allowHalfOpen: true });
    let closed = () => {};
    const seen = new Promise<void>((resolve) => (closed = resolve));
    service.client.server.on('connection', (socket: net.Socket) => socket.on('end', closed));
    t.mock.method(store, 'listNotifications', async (...given: Parameters<typeof listNotifications>) => {
      await seen;
      for (let i = 0; i < 3; i++) await turn();
      return listNotifications.apply(store, given);
    });
    raw.socket.end(get1());
    await raw.closed();
    assert.equal(answers(raw.text()), 1);
  });

  it('lets go of a stream whose client has closed its half, however soon', async (t) => {
    const service = await build(t, {}, calm);
    const head = `GET /v1/events?access_token=dev:alice:demo HTTP/1.1\r\nhost: test\r\n\r\n`;
    const grpcWeb =
      `POST /${procedures.streamEvents} HTTP/1.1\r\nhost: test\r\ncontent-type: application/grpc-web\r\n` +
      `authorization: ${as('alice').authorization}\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0`;
    for (const request of [head, grpcWeb]) {
      const early = connect(t, service.ports.client, { allowHalfOpen: true });
      early.socket.end(request);
      await early.closed();
      const late = connect(t, service.ports.client, { allowHalfOpen: true });
      late.socket.write(request);
      await eventually('it is open', () => late.text().includes('sessionId') || late.text().length > 300);
      late.socket.end();
      await late.closed();
    }
    const { body } = await call(service.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: 'n',
      userIds: ['alice'],
      title: 'nobody is there',
    });
    assert.deepEqual([body.delivered, body.pending], [0, 1]);
  });

  it('says in its own form that HTTP/1.1 needs a Host', async (t) => {
    const service = await build(t, {}, calm);
    for (const port of [service.ports.client, service.ports.internal, service.ports.ops]) {
      const raw = connect(t, port);
      raw.socket.write(get1().replace('host: test\r\n', ''));
      await raw.closed();
      const [head = '', text = ''] = raw.text().split('\r\n\r\n');
      assert.match(head, /^HTTP\/1\.1 400 /);
      assert.deepEqual(JSON.parse(text), {
        code: 'invalid_argument',
        message: 'a request of HTTP/1.1 needs a Host header',
      });
    }
    const old = connect(t, service.ports.client);
    old.socket.write(get1().replace('HTTP/1.1\r\nhost: test', 'HTTP/1.0'));
    await old.closed();
    assert.match(old.text(), /^HTTP\/1\.1 200 /, 'HTTP/1.0 needs none');
  });

  it('answers a client that offers to upgrade, in HTTP/1.1', async (t) => {
    const { ports } = await build(t, {}, calm);
    const raw = connect(t, ports.client);
    raw.socket.write(
      get1('connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n'),
    );
    await eventually('it is answered', () => answers(raw.text()) === 1);
  });

  it('lets a client go on that waits for 100 Continue', async (t) => {
    const { ports } = await build(t, {}, calm);
    const raw = connect(t, ports.client);
    const [head = ''] = get1('expect: 100-continue\r\n').split('{}');
    raw.socket.write(head);
    await eventually('it may go on', () => raw.text().includes('100 Continue'));
    raw.socket.write(body);
    await eventually('it is answered', () => answers(raw.text()) === 1);
  });

  it('takes five hundred connections at once', async (t) => {
    const service = await build(t, {}, calm);
    const raws = Array.from({ length: 500 }, () => connect(t, service.ports.client));
    for (const [i, { socket }] of raws.entries())
      socket.write(i % 2 === 0 ? get1() : Buffer.concat([preface, get2()]));
    await eventually(
      'all are answered',
      () => raws.every(({ text }) => text().includes('"unreadCount":0')),
      10_000,
    );
  });
});

describe('a peer that means no good', () => {
  it('is closed when it sends nothing, or never shows its protocol', async (t) => {
    const service = await build(t, {}, limits({ sniffTimeoutMs: 100 }));
    const silent = connect(t, service.ports.client);
    const undecided = connect(t, service.ports.client);
    undecided.socket.write('PRI * HTTP/2.0\r\n\r\nS');
    const idle = connect(t, service.ports.client);
    idle.socket.write(get1());
    await Promise.all([silent.closed(), undecided.closed()]);
    assert.equal(silent.text() + undecided.text(), '');
    assert.ok(!idle.isClosed(), 'a connection that was used may stay');
    await isWell(service);
  });

  it('is closed when the head of its request takes too long', async (t) => {
    const service = await build(t, {}, limits({ headersTimeoutMs: 100 }));
    const raw = connect(t, service.ports.client);
    raw.socket.write('POST / HTTP/1.1\r\n');
    const writing = setInterval(() => raw.socket.write('x-more: 1\r\n'), 20);
    await raw.closed();
    clearInterval(writing);
    assert.match(raw.text(), /^HTTP\/1\.1 408 /);
    await isWell(service);
  });

  it('is closed, or its stream is, when the body takes too long', async (t) => {
    const service = await build(
      t,
      {},
      limits({ headersTimeoutMs: 100, requestTimeoutMs: 200, lingerTimeoutMs: 50 }),
    );
    const one = connect(t, service.ports.client);
    one.socket.write(get1().slice(0, -1));
    await one.closed();
    assert.match(one.text(), /^HTTP\/1\.1 408 /);

    const session = http2.connect(service.url.client);
    t.after(() => session.destroy());
    const headers = {
      ':method': 'POST',
      ':path': `/${procedures.getNotifications}`,
      'content-type': 'application/json',
      ...as('alice'),
    };
    const slow = session.request(headers);
    slow.write('{');
    await once(slow, 'close');
    assert.equal(slow.rstCode, http2.constants.NGHTTP2_CANCEL);
    const next = session.request(headers);
    next.end('{}');
    assert.equal((await once(next, 'response'))[0][':status'], 200, 'the connection goes on');
  });

  it('does not lose its live streams to that time limit', async (t) => {
    const service = await build(
      t,
      { NOTIFY_LIVE_HEARTBEAT_INTERVAL: '50ms' },
      limits({ headersTimeoutMs: 100, requestTimeoutMs: 150 }),
    );
    const session = http2.connect(service.url.client);
    t.after(() => session.destroy());
    const rpc = session.request({
      ':method': 'POST',
      ':path': `/${procedures.streamEvents}`,
      'content-type': 'application/connect+json',
      ...as('alice'),
    });
    rpc.end(Buffer.of(0, 0, 0, 0, 2, 0x7b, 0x7d));
    const sse = session.request({ ':path': '/v1/events', ...as('alice') });
    const heard = { rpc: 0, sse: 0 };
    rpc.on('data', (chunk: Buffer) => {
      heard.rpc += chunk.toString().split('heartbeat').length - 1;
    });
    sse.on('data', (chunk: Buffer) => {
      heard.sse += chunk.toString().split('event: heartbeat').length - 1;
    });
    // ten heartbeats take more than three times the limit
    await eventually('both streams go on', () => heard.rpc >= 10 && heard.sse >= 10);
    assert.ok(!rpc.closed && !sse.closed);
  });

  it('gets no further with garbage', async (t) => {
    const service = await build(t, {}, limits({ sniffTimeoutMs: 200, lingerTimeoutMs: 50 }));
    const clientHello = Buffer.from('16030100c8010000c40303', 'hex');
    const garbage: Record<string, Buffer> = {
      'a TLS client': Buffer.concat([clientHello, Buffer.alloc(190, 7)]),
      zeros: Buffer.alloc(1_000),
      'a word': Buffer.from('hello\r\n\r\n'),
      'an HTTP/2 preface that goes wrong': Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'),
      'bytes after the preface': Buffer.concat([preface, Buffer.alloc(200, 0xff)]),
      'a frame of 16 MiB': Buffer.concat([preface, Buffer.of(0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1)]),
      'data on a stream that is not there': Buffer.concat([
        preface,
        frame('data', { stream: 5, payload: Buffer.from('x') }),
      ]),
      'headers that are no HPACK': Buffer.concat([
        preface,
        frame('headers', { stream: 1, flags: 4, payload: Buffer.alloc(20, 0xff) }),
      ]),
      'a head of 100 KB': Buffer.from(`GET / HTTP/1.1\r\nhost: test\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`),
      'two lengths': Buffer.from(
        'POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx',
      ),
      'a length and chunks': Buffer.from(
        'POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      ),
      'a chunk of no size': Buffer.from(get1().replace('content-length: 2', 'transfer-encoding: chunked')),
    };
    for (const [name, bytes] of Object.entries(garbage)) {
      const raw = connect(t, service.ports.client);
      raw.socket.write(bytes);
      await eventually(`${name} is closed`, raw.isClosed);
      assert.ok(!raw.text().includes('HTTP/1.1 200'), name);
    }
    await isWell(service);
  });

  it('is told what was wrong as {code, message}, without its own words', async (t) => {
    const service = await build(t, {}, limits({ headersTimeoutMs: 100 }));
    for (const [status, bytes] of [
      [400, 'secret\r\n\r\n'],
      [408, 'POST / HTTP/1.1\r\n'],
      [431, `GET / HTTP/1.1\r\nhost: test\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`],
      [400, 'GET /%zz-secret HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n'],
    ] as const) {
      const { socket, text, closed } = connect(t, service.ports.client);
      socket.write(bytes);
      await closed();
      assert.match(text(), new RegExp(`^HTTP/1.1 ${status} `));
      assert.deepEqual(Object.keys(JSON.parse(text().split('\r\n\r\n')[1] ?? '')), ['code', 'message']);
      assert.doesNotMatch(text(), /secret/);
    }
  });

  it('does not take the process down with a rapid reset', async (t) => {
    // at the limits of the service a slow machine may take them all
    const service = await build(t, {}, limits({ resetBurst: 1_000, resetRate: 1 }));
    const raw = connect(t, service.ports.client);
    raw.socket.write(preface);
    for (let i = 0; i < 5_000; i++) {
      const stream = 2 * i + 1;
      const request = requestHeaders(stream, `/${procedures.getNotifications}`, {
        'content-type': 'application/json',
        ...as('alice'),
      });
      raw.socket.write(Buffer.concat([request, reset(stream)]));
    }
    await raw.closed();
    await isWell(service);
  });

  it('does not take the process down by going away at any point', async (t) => {
    const service = await build(t, {}, calm);
    const one = Buffer.from(get1());
    const two = Buffer.concat([preface, get2()]);
    for (const bytes of [one, two])
      for (let length = 1; length < bytes.length; length += 7) {
        const { socket } = connect(t, service.ports.client);
        socket.write(bytes.subarray(0, length));
        if (length % 2 === 0) await turn();
        socket.resetAndDestroy();
      }
    await isWell(service);
  });
});

describe('an HTTP/2 connection that many share', () => {
  it('survives when as many as it may hold go away together, again and again', async (t) => {
    const service = await build(t, { NOTIFY_LIVE_MAX_STREAMS_PER_USER: '1000' }, calm);
    const session = http2.connect(service.url.client);
    t.after(() => session.destroy());
    let lost: unknown;
    session.on('error', (error) => (lost = error)).on('goaway', (code) => (lost = `GOAWAY ${code}`));
    const open = (user: string) =>
      session.request({ ':path': '/v1/events', ...as(user) }).on('error', () => {});
    // Node may refuse single streams of those that come before it has done away with the ones before
    const heard = (stream: http2.ClientHttp2Stream) => once(stream, 'data').catch(() => undefined);
    const bystander = open('bystander');
    let text = '';
    bystander.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    for (let round = 0; round < 3; round++) {
      const others = Array.from({ length: 900 }, () => open('alice'));
      await Promise.all(others.map(heard));
      await Promise.all(
        others.map((stream) => {
          stream.close(http2.constants.NGHTTP2_CANCEL);
          return stream.closed ? undefined : once(stream, 'close');
        }),
      );
    }
    assert.equal(lost, undefined);
    await call(service.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: 'n',
      userIds: ['bystander'],
      title: 'still here',
    });
    await eventually('the other stream goes on', () => text.includes('still here'));
  });
});

describe('a graceful close', () => {
  /** A service with a Notify call under way in each protocol, which ends when the test says so. */
  async function underWay(t: TestContext) {
    const email = new FakeProvider('email');
    const finish: (() => void)[] = [];
    email.answer = () => new Promise((resolve) => finish.push(resolve));
    const { env, overrides } = using(email);
    const service = await build(t, env, { ...overrides, ...limits({ lingerTimeoutMs: 100 }) });
    const request = (user: string) =>
      Buffer.from(
        JSON.stringify({
          tenantId: 'demo',
          notificationId: 'n',
          userIds: [user],
          channels: ['DELIVERY_CHANNEL_EMAIL'],
          addresses: { [user]: { byChannel: { email: 'a@a.org' } } },
        }),
      );
    const json = { 'content-type': 'application/json' };
    const session = http2.connect(service.url.internal);
    t.after(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': `/${procedures.notify}`, ...json });
    stream.end(request('bob'));
    const calls = [
      request1(service.url.internal, 'POST', `/${procedures.notify}`, json, request('alice')),
      text(stream),
    ] as const;
    await eventually('both are under way', () => finish.length === 2);
    return { service, session, calls, finish: () => finish.map((each) => each()) };
  }

  it('finishes what is under way in both protocols, and says GOAWAY', async (t) => {
    const { service, session, calls, finish } = await underWay(t);
    const goaway = once(session, 'goaway');
    let closed = false;
    const closing = service.close().then(() => {
      closed = true;
    });
    const [code] = await goaway;
    assert.equal(code, http2.constants.NGHTTP2_NO_ERROR);
    await assert.rejects(fetch(service.url.internal), 'nobody new is let in');
    assert.equal(closed, false, 'it waits for what is under way');
    finish();
    const [one, two] = await Promise.all(calls);
    assert.equal(JSON.parse(one.body.toString()).delivered, 1);
    assert.equal(JSON.parse(two).delivered, 1);
    await closing;
  });

  for (const httpVersion of [1, 2] as const)
    it(`lets a slow reader have the whole of a large answer (${httpVersion === 1 ? 'HTTP/1.1' : 'h2c'})`, async (t) => {
      // more than the kernel's buffers take
      const large = Buffer.alloc(64 * 1024 * 1024, 'x');
      const plugins = [
        {
          client: async (app: FastifyInstance) => {
            app.get('/large', (_request, reply) => reply.send(large));
          },
        },
      ];
      const service = await build(t, {}, { ...limits({ lingerTimeoutMs: 100 }), plugins });
      const idle = connect(t, service.ports.client);
      idle.socket.write(get1());
      await eventually('another connection is idle', () => answers(idle.text()) === 1);
      let body: Readable;
      if (httpVersion === 1) {
        body = await new Promise((resolve) => http.get(`${service.url.client}/large`, resolve));
      } else {
        const session = http2.connect(service.url.client);
        t.after(() => session.destroy());
        const stream = session.request({ ':path': '/large' });
        await once(stream, 'response');
        body = stream;
      }
      t.after(() => body.destroy());
      let closed = false;
      const closing = service.close().then(() => {
        closed = true;
      });
      await idle.closed();
      assert.equal(closed, false, 'it waits for the reader');
      let size = 0;
      for await (const chunk of body) size += chunk.length;
      assert.equal(size, large.length);
      await closing;
    });

  it('closes idle connections of every kind at once', async (t) => {
    const service = await build(t, {}, limits({ lingerTimeoutMs: 60_000 }));
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    await new Promise<void>((resolve) =>
      http.get(service.url.client, { agent }, (response) => void response.resume().on('end', resolve)),
    );
    const session = http2.connect(service.url.client);
    await once(session, 'connect');
    const silent = connect(t, service.ports.client);
    await once(silent.socket, 'connect');
    const refused = connect(t, service.ports.client);
    refused.socket.write(get1('x-padding: 1\r\n').replace('dev:', 'nobody:').slice(0, -1));
    await eventually('it is refused before its body is there', () => refused.text().includes('HTTP/1.1 401'));
    refused.socket.write('}');
    await isWell(service);
    const started = performance.now();
    await service.close();
    assert.ok(performance.now() - started < 1_000);
    await eventually('the session is closed', () => session.destroyed);
    await Promise.all([silent.closed(), refused.closed()]);
  });

  it('does not wait long for requests that are still arriving', async (t) => {
    const service = await build(t, {}, limits({ arrivalTimeoutMs: 200 }));
    const post = `POST /${procedures.getNotifications} HTTP/1.1\r\nhost: test\r\n`;
    const long = 'content-type: application/json\r\ncontent-length: 100\r\n';
    const raw = [
      { port: service.ports.client, text: post },
      {
        port: service.ports.client,
        text: `${post}authorization: ${as('alice').authorization}\r\n${long}\r\n{`,
      },
      { port: service.ports.ops, text: 'GET /metr' },
    ].map(({ port, text }) => {
      const connection = connect(t, port);
      connection.socket.write(text);
      return connection;
    });
    const session = http2.connect(service.url.client).on('error', () => {});
    t.after(() => session.destroy());
    const half = session.request({
      ':method': 'POST',
      ':path': `/${procedures.getNotifications}`,
      'content-type': 'application/json',
      ...as('alice'),
    });
    half.on('error', () => {}).write('{');
    await isWell(service);
    const started = performance.now();
    await service.close();
    assert.ok(performance.now() - started < 3_000);
    await Promise.all(raw.map((connection) => connection.closed()));
    await eventually('the half request is closed', () => half.destroyed);
  });

  it('does not wait for a peer that keeps its HTTP/2 connection open all the same', async (t) => {
    const service = await build(t, {}, limits({ lingerTimeoutMs: 100 }));
    const raw = connect(t, service.ports.client, { allowHalfOpen: true });
    raw.socket.write(Buffer.concat([preface, get2()]));
    await eventually('it is answered', () => frameTypes(raw.received()).includes(dataFrame));
    let closed = false;
    void service.close().then(() => {
      closed = true;
    });
    await eventually('it is closed', () => closed);
    assert.ok(frameTypes(raw.received()).includes(goawayFrame));
  });

  it('is ready no more from its first moment, and the ops port closes last', async (t) => {
    const { service, calls, finish } = await underWay(t);
    const health = async () => (await fetch(`${service.url.ops}/healthz`)).status;
    assert.equal(await health(), 200);
    const closing = service.close();
    assert.equal(await health(), 503);
    await eventually(
      'the producers are refused',
      async () => !(await fetch(service.url.internal).catch(() => false)),
    );
    assert.equal(await health(), 503, 'while calls are under way');
    finish();
    await Promise.all(calls);
    await closing;
    await assert.rejects(health());
  });

  it('may be asked for twice', async (t) => {
    const service = await build(t);
    await Promise.all([service.close(), service.close()]);
    await service.close();
    await assert.rejects(call(service.url.client, procedures.getNotifications, {}, as('alice')));
  });
});

async function text(stream: http2.ClientHttp2Stream): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += chunk;
  return all;
}

describe('a peer that is gone without a word', () => {
  const table = '/proc/net/tcp';

  it('is asked for by TCP after 10 s', {
    skip: !existsSync(table) && `there is no ${table}`,
  }, async (t) => {
    const service = await build(t, {}, calm);
    const server = service.ports.client.toString(16).toUpperCase().padStart(4, '0');
    const socket = net.connect(service.ports.client, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write(`GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: ${as('alice').authorization}\r\n\r\n`);
    await once(socket, 'data');
    const timers = readFileSync(table, 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local = '', , state]) => local.endsWith(`:${server}`) && state === '01')
      .map(([, , , , , timer = '']) => timer.split(':'));
    assert.equal(timers.length, 1);
    const [[kind, when] = []] = timers;
    // 02: keep-alive, in hundredths of a second (proc(5))
    assert.equal(kind, '02');
    assert.ok(Number.parseInt(when ?? '', 16) <= 1_000);
  });
});
