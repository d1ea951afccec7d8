import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import type { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { EventSource } from 'eventsource';
import type { FastifyInstance } from 'fastify';
import { stallTimeoutMs } from '../../src/core/live/settings.ts';
import { fakeAmbient, mulberry32 } from '../support/ambient.ts';
import { as, call, procedures } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { endStream, openPreface, requestHeaders } from '../support/http2-frames.ts';
import { jwt } from '../support/jwt.ts';
import { logFile } from '../support/log.ts';
import { type StreamService, serve } from '../support/serve.ts';
import type { SseStream } from '../support/sse.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { envelope } from '../support/wire.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const secret = 'a secret of more than thirty-two bytes';
const production = {
  NOTIFY_AUTH_DEV_MODE: 'false',
  NOTIFY_AUTH_JWT_SECRET: secret,
  NOTIFY_INTERNAL_TOKEN: 'internal-token-of-the-tests',
};

/** Texts that a careless writer of event streams breaks on. */
const hostileTexts: Readonly<Record<string, string>> = {
  'a line feed': 'a\nb',
  'a carriage return': 'a\rb',
  both: 'a\r\nb',
  'line breaks at the ends': '\n\r\n',
  'U+2028 and U+2029': 'a\u2028b\u2029c',
  'a byte order mark at the start': '\ufeffa',
  'control characters': `${Array.from({ length: 31 }, (_, i) => String.fromCharCode(i + 1)).join('')}\u007f\u0085`,
  'an event of its own': 'x\n\nid: 1\nevent: end\ndata: {"reason":"shutdown"}\n\n',
  'emoji and quotes': '👩‍👩‍👧 "quoted" \\ </script>',
};

for (const httpVersion of [1, 2] as const)
  describe(`GET /v1/events over ${httpVersion === 1 ? 'HTTP/1.1' : 'h2c'}`, () => {
    it('answers at once, with a head that keeps proxies from storing or holding it back', async (t) => {
      const service = await serve(t);
      const stream = await service.open('alice', { httpVersion });
      await stream.next();
      assert.equal(stream.status, 200);
      assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8');
      assert.equal(stream.headers['cache-control'], 'no-store, no-transform');
      assert.equal(stream.headers['x-accel-buffering'], 'no');
    });

    it('begins with retry and a heartbeat that names the session', async (t) => {
      const service = await serve(t);
      const stream = await service.open('alice', { httpVersion });
      const event = await stream.next();
      assert.match(
        stream.text(),
        /^retry: \d+\n\nid: \d+\nevent: heartbeat\ndata: \{"sessionId":"[^\n]*\}\n\n/,
      );
      assert.equal(event.kind, 'heartbeat');
      const { sessionId, timestampMs, inboxVersion, ...rest } = JSON.parse(event.data);
      assert.match(sessionId, uuid);
      assert.ok(Math.abs(Number(timestampMs) - Date.now()) < 60_000);
      assert.equal(typeof timestampMs, 'string');
      assert.equal(inboxVersion, '0');
      assert.deepEqual(rest, {});
      const inbox = await stream.nextJson('inbox');
      assert.equal(inbox.unreadCount, 0);
    });

    it('carries the position on every event', async (t) => {
      const service = await serve(t);
      await service.notify('alice', { title: 'before' });
      const stream = await service.open('alice', { httpVersion });
      const heartbeat = await stream.next('heartbeat');
      const replayed = await stream.next('notification');
      await stream.next('inbox');
      await service.notify('alice', { title: 'live' });
      const live = await stream.next('notification');
      await service.publishHint('alice', 'k');
      const hint = await stream.next('data_change');
      assert.equal(replayed.id, JSON.parse(replayed.data).position);
      assert.equal(live.id, JSON.parse(live.data).position);
      assert.equal(Number(replayed.id), Number(heartbeat.id) + 1);
      assert.equal(Number(live.id), Number(replayed.id) + 1);
      assert.equal(hint.id, live.id);
      assert.ok(stream.events.every(({ id }) => /^\d+$/.test(id ?? '')));
      assert.equal(stream.retries.length, 1);
    });

    it('puts any text into one line of data', async (t) => {
      const service = await serve(t);
      const stream = await service.open('alice', { httpVersion });
      await stream.next('inbox');
      for (const [what, title] of Object.entries(hostileTexts)) {
        await service.notify('alice', { title, body: title });
        const event = await stream.next();
        assert.equal(event.kind, 'notification', what);
        assert.ok(stream.text().endsWith(`data: ${event.data}\n\n`), what);
        const item = JSON.parse(event.data);
        assert.equal(item.title, title, what);
        assert.equal(item.body, title, what);
      }
      assert.doesNotMatch(stream.text(), /\r/);
    });

    it('ends with a word and cleanly when the service stops', async (t) => {
      const service = await serve(t);
      const streams = await Promise.all(
        ['alice', 'alice', 'bob'].map((user) => service.open(user, { httpVersion })),
      );
      for (const stream of streams) await stream.next('inbox');
      await service.close();
      for (const stream of streams) {
        assert.deepEqual(await stream.nextJson('end'), { reason: 'shutdown', reconnect: true });
        await stream.end();
      }
    });
  });

describe('retry', () => {
  it('differs from stream to stream, so that clients do not come back in one moment', async (t) => {
    const service = await serve(t, {}, { ambient: { ...fakeAmbient(), random: mulberry32(7) } });
    const values = new Set<number>();
    for (const user of ['a', 'b', 'c', 'd']) {
      const stream = await service.open(user);
      await stream.next('heartbeat');
      for (const value of stream.retries) {
        assert.ok(value >= 1_000 && value <= 2_000, `retry: ${value}`);
        values.add(value);
      }
    }
    assert.equal(values.size, 4);
  });
});

describe('the eventsource package', () => {
  it('reads every text, and comes back after a cut without a gap or a repeat', async (t) => {
    const service = await serve(t, {}, { ambient: { ...fakeAmbient(), random: () => 0 } });
    const proxy = await TcpProxy.listen(t, service.ports.client);
    const lastEventIds: (string | null)[] = [];
    const titles: string[] = [];
    const opened: string[] = [];
    const source = new EventSource(`${proxy.url}/v1/events?access_token=dev:alice:demo`, {
      fetch: (url, init) => {
        lastEventIds.push(new Headers(init.headers as Record<string, string>).get('last-event-id'));
        return fetch(url, init);
      },
    });
    t.after(() => source.close());
    source.addEventListener('heartbeat', ({ data }) => opened.push(JSON.parse(data).sessionId));
    let lastId = '';
    source.addEventListener('notification', ({ data, lastEventId }) => {
      titles.push(JSON.parse(data).title);
      lastId = lastEventId;
    });
    await eventually('the stream is open', () => opened.length === 1);
    for (const title of Object.values(hostileTexts)) await service.notify('alice', { title });
    await eventually('every text arrived', () => titles.length === Object.keys(hostileTexts).length);
    assert.deepEqual(titles, Object.values(hostileTexts));

    const seenBefore = lastId;
    proxy.cut();
    for (const title of ['missed 1', 'missed 2']) await service.notify('alice', { title });
    await eventually('the stream is open again', () => opened.length === 2);
    await service.notify('alice', { title: 'after' });
    await eventually('the last one arrived', () => titles.at(-1) === 'after');
    assert.deepEqual(titles.slice(Object.keys(hostileTexts).length), ['missed 1', 'missed 2', 'after']);
    assert.deepEqual(lastEventIds, [null, seenBefore]);
    assert.notEqual(opened[0], opened[1]);
  });

  it('gives up on 204 and on 401, as a page wants it to', async (t) => {
    const service = await serve(t, { NOTIFY_LIVE_CONNECTIONS_ENABLED: 'false' });
    for (const [token, status] of [
      ['dev:alice:demo', 204],
      ['nonsense', 401],
    ] as const) {
      const source = new EventSource(`${service.url.client}/v1/events?access_token=${token}`);
      t.after(() => source.close());
      const error = await new Promise<{ code?: number | undefined }>((resolve) => {
        source.onerror = resolve;
      });
      assert.equal(error.code, status);
      assert.equal(source.readyState, EventSource.CLOSED);
    }
  });
});

describe('who may open a stream', () => {
  const refused: Readonly<
    Record<string, { headers?: Record<string, string>; query?: Record<string, string> }>
  > = {
    'no token': {},
    'an empty header': { headers: { authorization: '' } },
    'an empty parameter': { query: { access_token: '' } },
    'another scheme': { headers: { authorization: 'Basic dev:alice:demo' } },
    'no tenant': { headers: { authorization: 'Bearer dev:alice' } },
    'an empty user': { query: { access_token: 'dev::demo' } },
    'a token with a space': { query: { access_token: 'dev:alice:demo x' } },
    'a token with a line break': { query: { access_token: 'dev:alice:demo\r\nX-Evil: 1' } },
    'a bad header beside a good parameter': {
      headers: { authorization: 'Bearer nonsense' },
      query: { access_token: 'dev:alice:demo' },
    },
  };
  for (const [what, request] of Object.entries(refused))
    it(`refuses ${what} with 401 in JSON, also when live connections are off`, async (t) => {
      for (const enabled of ['true', 'false']) {
        const service = await serve(t, { NOTIFY_LIVE_CONNECTIONS_ENABLED: enabled });
        const answer = await service.openAs(request);
        await answer.end();
        assert.equal(answer.status, 401);
        assert.match(String(answer.headers['content-type']), /^application\/json(;|$)/);
        const { code, message, ...rest } = JSON.parse(answer.text());
        assert.equal(code, 'unauthenticated');
        assert.match(message, /Bearer|dev:/);
        assert.deepEqual(rest, {});
        assert.equal(answer.headers['x-evil'], undefined);
      }
    });

  it('lets a token in by header, in any case of the scheme, and by parameter', async (t) => {
    const service = await serve(t);
    for (const request of [
      { headers: { authorization: 'Bearer dev:alice:demo' } },
      { headers: { authorization: 'bearer dev:alice:demo' } },
      { query: { access_token: 'dev:alice:demo' } },
    ]) {
      const stream = await service.openAs(request);
      assert.equal((await stream.next()).kind, 'heartbeat');
    }
  });

  for (const httpVersion of [1, 2] as const)
    it(`has a request id on every answer, over HTTP/${httpVersion}`, async (t) => {
      const service = await serve(t, { NOTIFY_LIVE_MAX_STREAMS_PER_USER: '1' });
      const off = await serve(t, { NOTIFY_LIVE_CONNECTIONS_ENABLED: 'false' });
      const given = { httpVersion };
      const answers = [
        await service.open('alice', given),
        await service.open('alice', given), // one too many
        await service.openAs(given),
        await off.open('alice', given),
      ];
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 401, 204],
      );
      const ids = answers.map(({ headers }) => String(headers['x-request-id'] ?? ''));
      assert.ok(
        ids.every((id) => id !== ''),
        `${ids}`,
      );
      assert.equal(new Set(ids).size, 4);
    });

  it('answers 204 to a good token when live connections are off', async (t) => {
    const service = await serve(t, { NOTIFY_LIVE_CONNECTIONS_ENABLED: 'false' });
    const answer = await service.open('alice');
    await answer.end();
    assert.equal(answer.status, 204);
    assert.equal(answer.text(), '');
  });

  it('takes JWTs in production, and no dev token', async (t) => {
    const service = await serve(t, production);
    const now = Math.floor(Date.now() / 1000);
    const good = await service.openAs({ query: { access_token: jwt(secret, { sub: 'a', tenant: 't' }) } });
    assert.equal((await good.next()).kind, 'heartbeat');
    for (const token of [
      'dev:alice:demo',
      jwt('another secret of more than 32 bytes..', { sub: 'a', tenant: 't' }),
      jwt(secret, { sub: 'a', tenant: 't', exp: now - 3_600 }),
      jwt(secret, { sub: 'a' }),
    ]) {
      const answer = await service.openAs({ query: { access_token: token } });
      await answer.end();
      assert.equal(answer.status, 401, token);
      assert.ok(!answer.text().includes(token));
    }
  });
});

describe('where a stream begins', () => {
  /** Five items that a stream has taken, and their positions. */
  async function withHistory(t: Parameters<typeof serve>[0]) {
    const service = await serve(t);
    const first = await service.open('alice');
    await first.next('inbox');
    const positions: number[] = [];
    for (const title of ['1', '2', '3', '4', '5']) {
      await service.notify('alice', { title });
      positions.push(Number((await first.next('notification')).id));
    }
    first.close();
    return { service, positions, newest: positions[4] as number };
  }

  /** What a stream sends before its first inbox event, without the heartbeat: titles, and kinds of the rest. */
  async function replayOf(stream: SseStream): Promise<string[]> {
    await stream.next('inbox');
    return stream.events
      .slice(
        1,
        stream.events.findIndex(({ kind }) => kind === 'inbox'),
      )
      .map(({ kind, data }) => (kind === 'notification' ? JSON.parse(data).title : kind));
  }

  it('replays what no stream has taken where no position is given, or an empty one', async (t) => {
    const { service } = await withHistory(t);
    await service.notify('alice', { title: '6' });
    const stream = await service.open('alice', {
      query: { last_event_id: '' },
      headers: { 'last-event-id': '' },
    });
    assert.deepEqual(await replayOf(stream), ['6']);
  });

  it('resumes after the header, after the parameter, and after the header where both are given', async (t) => {
    const { service, positions } = await withHistory(t);
    const at = (index: number) => String(positions[index]);
    for (const httpVersion of [1, 2] as const) {
      const byHeader = await service.open('alice', { httpVersion, headers: { 'last-event-id': at(2) } });
      assert.deepEqual(await replayOf(byHeader), ['4', '5']);
      const byQuery = await service.open('alice', { httpVersion, query: { last_event_id: at(0) } });
      assert.deepEqual(await replayOf(byQuery), ['2', '3', '4', '5']);
      const both = await service.open('alice', {
        httpVersion,
        headers: { 'last-event-id': at(3) },
        query: { last_event_id: at(0) },
      });
      assert.deepEqual(await replayOf(both), ['5']);
    }
  });

  it('sends everything from the start after 0', async (t) => {
    const { service } = await withHistory(t);
    const stream = await service.open('alice', { query: { last_event_id: '0' } });
    assert.deepEqual(await replayOf(stream), ['1', '2', '3', '4', '5']);
  });

  it('says reset, at the newest position, when the position cannot be used, and is live after it', async (t) => {
    const { service, positions, newest } = await withHistory(t);
    const unusable = {
      'a word': 'abc',
      'a sign': `+${newest}`,
      'less than nothing': '-1',
      'a fraction': `${newest}.0`,
      'an exponent': `${newest}e0`,
      'a hexadecimal number': `0x${newest.toString(16)}`,
      'two numbers': `${newest}, ${newest}`,
      'more than an integer holds': '99999999999999999999999',
      'a position that is too new': String(newest + 1),
      'a position from before this store': '1',
      'a position just before the first': String((positions[0] as number) - 2),
      '15 kB': '7'.repeat(15_000),
      'letters past ASCII': 'ÿ',
    };
    for (const [what, position] of Object.entries(unusable)) {
      const stream = await service.open('alice', { headers: { 'last-event-id': position } });
      assert.deepEqual(await replayOf(stream), ['reset'], what);
      const reset = stream.events.find(({ kind }) => kind === 'reset');
      assert.deepEqual(reset, { kind: 'reset', id: String(newest), data: '{}' }, what);
      stream.close();
    }
    const stream = await service.open('alice', {
      query: { last_event_id: 'x\r\n\r\nevent: end\r\ndata: {}' },
    });
    assert.deepEqual(await replayOf(stream), ['reset']);
    await service.notify('alice', { title: '6' });
    assert.equal(await stream.nextTitle(), '6');
    assert.ok(!stream.text().includes('event: end'));
  });
});

describe('what is transient, for EventSource', () => {
  it('too many streams of one user: retry in ten minutes, end, and nothing more', async (t) => {
    const service = await serve(t, { NOTIFY_LIVE_MAX_STREAMS_PER_USER: '2' });
    const first = await service.open('alice');
    await service.open('alice', { httpVersion: 2 });
    for (const httpVersion of [1, 2] as const) {
      const refused = await service.open('alice', { httpVersion });
      await refused.end();
      assert.equal(refused.status, 200);
      assert.equal(refused.headers['content-type'], 'text/event-stream; charset=utf-8');
      assert.equal(
        refused.text(),
        'retry: 600000\n\nevent: end\ndata: {"reason":"too_many_streams","reconnect":true}\n\n',
      );
    }
    const otherTenant = await service.openAs({ headers: as('alice', 'other') });
    assert.equal((await otherTenant.next()).kind, 'heartbeat');
    const bob = await service.open('bob');
    assert.equal((await bob.next()).kind, 'heartbeat');

    first.close();
    await eventually('a closed stream makes room', async () => {
      const stream = await service.open('alice');
      return (await stream.next()).kind === 'heartbeat';
    });
  });

  it('too many streams of the process: retry soon, and end', async (t) => {
    const service = await serve(t, { NOTIFY_LIVE_MAX_STREAMS: '1' });
    const first = await service.open('alice');
    await first.next();
    const refused = await service.open('bob');
    await refused.end();
    const [retry = 0] = refused.retries;
    assert.ok(retry >= 5_000 && retry <= 10_000);
    assert.equal((await refused.nextJson('end')).reason, 'overloaded');
    first.close();
    await eventually('a closed stream makes room', async () => {
      const stream = await service.open('bob');
      return (await stream.next()).kind === 'heartbeat';
    });
  });

  it('overload: end, while RPC answers 429 with Retry-After and health answers 200', async (t) => {
    const service = await serve(t);
    // what is high is measured in test/routes/rpc/errors.test.ts
    const high = t.mock.method(service.core.pressure, 'isHigh', () => true);
    const refused = await service.open('alice');
    await refused.end();
    assert.equal(refused.status, 200);
    assert.match(
      refused.text(),
      /^retry: (5|6|7|8|9)\d{3}\n\nevent: end\ndata: \{"reason":"overloaded","reconnect":true\}\n\n$/,
    );
    for (const [base, procedure] of [
      [service.url.client, procedures.getNotifications],
      [service.url.internal, procedures.notify],
    ] as const) {
      const answer = await call(base, procedure, {}, as('alice'));
      assert.equal(answer.status, 429);
      assert.equal(answer.body.code, 'resource_exhausted');
      assert.equal(answer.headers.get('retry-after'), '5');
    }
    assert.equal((await fetch(`${service.url.ops}/healthz`)).status, 200);
    const unknown = await service.openAs({});
    assert.equal(unknown.status, 401, 'a token is looked at first');

    high.mock.restore();
    const stream = await service.open('alice');
    assert.equal((await stream.next()).kind, 'heartbeat');
  });

  it('a store that is away: retry later than usual, end, and the client keeps its position', async (t) => {
    const service = await serve(t);
    await service.notify('alice', { title: 'kept' });
    t.mock.method(service.core.store, 'inboxSummary', () => Promise.reject(new Error('away')), { times: 1 });
    const stream = await service.open('alice');
    await stream.end();
    assert.equal(stream.status, 200);
    // an id would become the position that EventSource comes back with
    assert.match(
      stream.text(),
      /^retry: 1\d{3}\n\nretry: (5|6|7|8|9)\d{3}\n\nevent: end\ndata: \{"reason":"overloaded","reconnect":true\}\n\n$/,
    );
    const again = await service.open('alice');
    assert.equal(await again.nextTitle(), 'kept');
  });

  it('a service that is stopping: end, and come back soon', async (t) => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const service = await serve(
      t,
      {},
      {
        // keeps the client port open while it stops
        plugins: [{ client: async (app: FastifyInstance) => void app.addHook('preClose', () => held) }],
      },
    );
    const closing = service.close();
    const stream = await service.open('alice');
    await stream.end();
    assert.equal(stream.status, 200);
    assert.match(
      stream.text(),
      /^retry: 1\d{3}\n\nevent: end\ndata: \{"reason":"shutdown","reconnect":true\}\n\n$/,
    );
    release();
    await closing;
  });
});

describe('what reaches a stream', () => {
  it('an inbox event for everything that another session does', async (t) => {
    const service = await serve(t);
    const stream = await service.open('alice');
    await stream.next('inbox');
    const ids: string[] = [];
    const positions: string[] = [];
    for (const title of ['1', '2', '3']) {
      await service.notify('alice', { title });
      const item = await stream.nextJson('notification');
      ids.push(String(item.id));
      positions.push(String(item.position));
    }
    const none = { readIds: [], unreadIds: [], removedIds: [], readUpToPosition: '0', updated: [] };
    let version: unknown;
    const does = async (method: string, body: unknown, expected: Record<string, unknown>) => {
      await service.as('alice', method, body);
      const { version: now, ...event } = await stream.nextJson('inbox');
      assert.deepEqual(event, { ...none, ...expected }, method);
      if (version !== undefined) assert.equal(Number(now), Number(version) + 1, method);
      version = now;
    };
    await does('AckNotification', { id: ids[0] }, { unreadCount: 2, unseenCount: 2, readIds: [ids[0]] });
    await does('MarkUnread', { id: ids[0] }, { unreadCount: 3, unseenCount: 3, unreadIds: [ids[0]] });
    await does('MarkSeen', { upToPosition: positions[1] }, { unreadCount: 3, unseenCount: 1 });
    await does('Archive', { id: ids[1] }, { unreadCount: 2, unseenCount: 1, removedIds: [ids[1]] });
    await does(
      'DeleteNotification',
      { id: ids[2] },
      { unreadCount: 1, unseenCount: 0, removedIds: [ids[2]] },
    );
    await does(
      'MarkAllRead',
      {},
      { unreadCount: 0, unseenCount: 0, readIds: [ids[0]], readUpToPosition: positions[2] },
    );
  });

  it('a data-change hint again and again, until it is acknowledged', async (t) => {
    const ambient = fakeAmbient();
    const service = await serve(
      t,
      { NOTIFY_LIVE_RETRY_INTERVAL: '200ms', NOTIFY_LIVE_RETRY_MAX_ATTEMPTS: '5' },
      { ambient },
    );
    const stream = await service.open('alice');
    const { sessionId } = await stream.nextJson('heartbeat');
    assert.equal(await service.publishHint('alice', 'k'), 1);
    const hint = await stream.nextJson('data_change');
    assert.deepEqual(hint, { idempotencyKey: 'k', subjectRef: '42', subjectType: 'order' });
    await ambient.clock.advance(400);
    assert.deepEqual(await stream.nextJson('data_change'), hint);
    assert.deepEqual(await stream.nextJson('data_change'), hint);

    await service.as('bob', 'AckDataChange', { idempotencyKey: 'k', sessionId });
    await ambient.clock.advance(200);
    assert.deepEqual(
      await stream.nextJson('data_change'),
      hint,
      "somebody else's acknowledgement counts nothing",
    );

    await service.as('alice', 'AckDataChange', { idempotencyKey: 'k', sessionId });
    await ambient.clock.advance(10_000);
    await service.notify('alice');
    await stream.next('notification');
    assert.equal(stream.events.filter(({ kind }) => kind === 'data_change').length, 4);
  });

  it("nothing of another tenant's user of the same name", async (t) => {
    const service = await serve(t);
    const other = await service.openAs({ headers: as('alice', 'other') });
    await other.next('inbox');
    const mine = await service.open('alice');
    await mine.next('inbox');
    await service.notify('alice', { title: 'secret' });
    const item = await mine.nextJson('notification');
    await service.as('alice', 'AckNotification', { id: item.id });
    await mine.next('inbox');
    assert.equal(await service.publishHint('alice', 'k'), 1);
    await service.notify('alice', { tenant: 'other', title: 'own' });
    const first = await other.next();
    assert.equal(JSON.parse(first.data).title, 'own');
    assert.ok(!other.text().includes('secret'));
  });

  it('counts as delivered in the answer of Notify, once', async (t) => {
    const service = await serve(t);
    const unheard = await service.notify('alice', { id: 'x' });
    assert.deepEqual([unheard.delivered, unheard.pending, unheard.failed], [0, 1, 0]);
    const stream = await service.open('alice');
    await stream.next('notification');
    await eventually(
      'the first one is recorded',
      async () => (await service.notify('alice', { id: 'x' })).delivered,
    );
    assert.equal((await service.notify('alice', { id: 'y' })).delivered, 1);
    assert.equal((await service.notify('alice', { id: 'y' })).delivered, 1);
    await service.notify('alice', { id: 'z', title: 'last' });
    while ((await stream.nextTitle()) !== 'last');
    const ids = stream.events
      .filter(({ kind }) => kind === 'notification')
      .map(({ data }) => JSON.parse(data).notificationId);
    assert.deepEqual(ids, ['x', 'y', 'z']);
  });
});

describe('how long a stream lives', () => {
  it('beats once an interval, with the version of the inbox', async (t) => {
    const ambient = fakeAmbient();
    const service = await serve(t, { NOTIFY_LIVE_HEARTBEAT_INTERVAL: '25s' }, { ambient });
    const stream = await service.open('alice');
    const first = await stream.nextJson('heartbeat');
    await stream.next('inbox');
    await service.notify('alice');
    await ambient.clock.advance(25_000);
    await ambient.clock.advance(25_000);
    for (const beat of [await stream.nextJson('heartbeat'), await stream.nextJson('heartbeat')]) {
      assert.equal(beat.sessionId, first.sessionId);
      assert.equal(Number(beat.inboxVersion), Number(first.inboxVersion) + 1);
    }
    await service.notify('alice');
    await stream.next('notification');
    assert.equal(stream.events.filter(({ kind }) => kind === 'heartbeat').length, 3);
    assert.equal(stream.retries.length, 1);
  });

  it('ends at its age limit, and the client may come back', async (t) => {
    const ambient = fakeAmbient();
    const service = await serve(t, { NOTIFY_LIVE_MAX_AGE: '10m' }, { ambient });
    const stream = await service.open('alice');
    await stream.next('inbox');
    await ambient.clock.advance(7 * 60_000);
    assert.equal(stream.ended, false);
    await ambient.clock.advance(3 * 60_000);
    assert.deepEqual(await stream.nextJson('end'), { reason: 'max_age', reconnect: true });
    await stream.end();
    assert.equal(await service.metric('notify_stream_ends_total', { reason: 'max_age' }), 1);
  });

  for (const ends of [true, false])
    it(`${ends ? 'ends' : 'goes on'} when its token does, with NOTIFY_LIVE_END_AT_TOKEN_EXPIRY=${ends}`, async (t) => {
      const ambient = fakeAmbient();
      const service = await serve(
        t,
        { ...production, NOTIFY_LIVE_END_AT_TOKEN_EXPIRY: String(ends), NOTIFY_LIVE_MAX_AGE: '0' },
        { ambient },
      );
      const exp = ambient.clock.now() / 1000 + 60;
      const stream = await service.openAs({
        headers: { authorization: `Bearer ${jwt(secret, { sub: 'alice', tenant: 'demo', exp })}` },
      });
      await stream.next('inbox');
      await ambient.clock.advance(59_000);
      assert.equal(stream.ended, false);
      await ambient.clock.advance(3_600_000);
      if (ends) {
        assert.deepEqual(await stream.nextJson('end'), { reason: 'token_expired', reconnect: true });
        await stream.end();
      } else {
        await call(
          service.url.internal,
          procedures.notify,
          { tenantId: 'demo', notificationId: 'x', userIds: ['alice'], title: 'still here' },
          { 'x-notify-internal-token': production.NOTIFY_INTERNAL_TOKEN },
        );
        assert.equal(await stream.nextTitle(), 'still here');
      }
    });
});

/** A reader of HTTP/1.1 or h2c that asks for the stream and then takes nothing. */
async function stalledReader(service: StreamService, user: string, httpVersion: 1 | 2) {
  const before = await service.metric('notify_live_connections');
  const path = `/v1/events?access_token=dev:${user}:demo`;
  let isClosed = false;
  const close = () => {
    isClosed = true;
  };
  let end: () => void;
  if (httpVersion === 1) {
    const socket = net.connect(service.ports.client, '127.0.0.1');
    socket.on('error', close).on('close', close);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: notify\r\n\r\n`);
    end = () => socket.destroy();
  } else {
    const session = http2.connect(service.url.client);
    session.on('error', close);
    const request = session.request({ ':path': path });
    request.on('error', close).on('close', close);
    request.pause();
    end = () => session.destroy();
  }
  service.closeFirst(end);
  await eventually(
    'the stalled stream is open',
    async () => (await service.metric('notify_live_connections')) > before,
  );
  return { isClosed: () => isClosed };
}

describe('a reader that takes nothing', () => {
  const bodyBytes = 400_000;
  const items = 30;

  for (const httpVersion of [1, 2] as const)
    it(`costs bounded memory, delays nobody, and is cut (${httpVersion === 1 ? 'HTTP/1.1' : 'h2c'})`, async (t) => {
      const ambient = fakeAmbient();
      const service = await serve(t, { NOTIFY_LIVE_CONFIRM_TIMEOUT: '10s' }, { ambient });
      const sockets: net.Socket[] = [];
      service.client.server.on('connection', (socket: net.Socket) => sockets.push(socket));
      await stalledReader(service, 'alice', httpVersion);
      const reader = await service.open('alice');
      await reader.next('inbox');

      const started = performance.now();
      const slowest = { ms: 0 };
      for (let i = 0; i < items; i += 1) {
        const at = performance.now();
        // the fake clock stands still: were the stalled reader waited for, this would never return
        const { delivered } = await service.notify('alice', { title: `${i}`, body: 'x'.repeat(bodyBytes) });
        assert.equal(delivered, 1);
        assert.equal(await reader.nextTitle(), `${i}`);
        slowest.ms = Math.max(slowest.ms, performance.now() - at);
        const held = sockets.reduce((sum, socket) => sum + socket.writableLength, 0);
        assert.ok(held < 2 * bodyBytes, `${held} bytes wait for a reader`);
      }
      assert.ok(performance.now() - started < 15_000);
      assert.ok((await service.metric('notify_streams_blocked_total')) >= 1);
      assert.equal(await service.metric('notify_stream_ends_total'), 0);

      await ambient.clock.advance(10_000);
      await eventually('the stalled stream is cut', async () => {
        return (await service.metric('notify_stream_ends_total', { reason: 'slow' })) === 1;
      });
      assert.equal(await service.metric('notify_live_connections'), 1);
      await service.notify('alice', { title: 'after' });
      assert.equal(await reader.nextTitle(), 'after');
    });

  it('loses its HTTP/2 connection where it takes nothing of that either', async (t) => {
    const ambient = fakeAmbient();
    const service = await serve(
      t,
      { NOTIFY_LIVE_HEARTBEAT_INTERVAL: '1h', NOTIFY_LIVE_MAX_AGE: '0', NOTIFY_SHUTDOWN_TIMEOUT: '1s' },
      { ambient },
    );
    for (let i = 0; i < 20; i += 1) await service.notify('alice', { body: 'x'.repeat(1_000_000) });
    let isClosed = false;
    service.client.server.on('connection', (socket: net.Socket) =>
      socket.on('close', () => {
        isClosed = true;
      }),
    );
    const socket = net.connect(service.ports.client, '127.0.0.1').on('error', () => {});
    service.closeFirst(() => socket.destroy());
    const get = requestHeaders(1, '/v1/events', { ':method': 'GET', ...as('alice') }, endStream);
    socket.write(Buffer.concat([openPreface, get]));
    await eventually('it is blocked', async () => (await service.metric('notify_streams_blocked_total')) > 0);
    await eventually('it is cut', async () => {
      await ambient.clock.advance(stallTimeoutMs);
      return (await service.metric('notify_stream_ends_total', { reason: 'slow' })) === 1;
    });
    await eventually('its connection is closed', () => isClosed);
  });

  it('is not waited for longer than NOTIFY_LIVE_CONFIRM_TIMEOUT, and the item is pending', async (t) => {
    const service = await serve(t, { NOTIFY_LIVE_CONFIRM_TIMEOUT: '50ms' });
    await stalledReader(service, 'alice', 2);
    // past HTTP/2's first window of 64 KiB nothing leaves
    await service.notify('alice', { body: 'x'.repeat(100_000) });
    const started = performance.now();
    const answer = await service.notify('alice', { title: 'waits' });
    assert.deepEqual([answer.delivered, answer.pending], [0, 1]);
    assert.ok(performance.now() - started < 1_000);
    const other = await service.open('alice');
    while ((await other.nextTitle()) !== 'waits');
  });

  for (const httpVersion of [1, 2] as const)
    it(`does not hold up a stop (${httpVersion === 1 ? 'HTTP/1.1' : 'h2c'})`, async (t) => {
      const service = await serve(t, { NOTIFY_LIVE_CONFIRM_TIMEOUT: '0' });
      const stalled = await stalledReader(service, 'alice', httpVersion);
      for (let i = 0; i < 12; i += 1) await service.notify('alice', { body: 'x'.repeat(bodyBytes) });
      const started = performance.now();
      await service.close();
      assert.ok(performance.now() - started < 6_000, 'a stop takes no longer than the streams have');
      if (httpVersion === 2) await eventually('the stalled reader is cut', stalled.isClosed);
    });
});

describe('a reader that is slow', () => {
  /** A reader that takes what comes only when it is told to. */
  async function slowReader(service: StreamService, httpVersion: 1 | 2) {
    const sockets: net.Socket[] = [];
    service.client.server.on('connection', (socket: net.Socket) => sockets.push(socket));
    const path = '/v1/events?access_token=dev:alice:demo';
    let body: Readable;
    if (httpVersion === 1) {
      const socket = net.connect(service.ports.client, '127.0.0.1');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: notify\r\n\r\n`);
      service.closeFirst(() => socket.destroy());
      body = socket;
    } else {
      const session = http2.connect(service.url.client);
      service.closeFirst(() => session.destroy());
      body = session.request({ ':path': path });
    }
    let text = '';
    let isClosed = false;
    let until = () => text.includes('event: heartbeat');
    body.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (until()) body.pause();
    });
    body
      .on('error', () => {})
      .on('close', () => {
        isClosed = true;
      });
    await eventually('the stream is open', until);
    const [socket] = sockets;
    assert.ok(socket);
    return {
      text: () => text,
      isClosed: () => isClosed,
      /** Takes as much as makes room for more, and stops. @returns whether all of a text is there by then */
      async takeSome(end: string): Promise<boolean> {
        const before = socket.bytesWritten;
        until = () => socket.bytesWritten > before;
        body.resume();
        await eventually('there is room for more', () => until() || isClosed || text.includes(end));
        return text.includes(end);
      },
    };
  }

  for (const httpVersion of [1, 2] as const)
    it(`is not cut while it takes a large item bit by bit (${httpVersion === 1 ? 'HTTP/1.1' : 'h2c'})`, async (t) => {
      const ambient = fakeAmbient();
      const service = await serve(
        t,
        { NOTIFY_LIVE_HEARTBEAT_INTERVAL: '1h', NOTIFY_LIVE_MAX_AGE: '0' },
        { ambient },
      );
      // six bytes of JSON each
      const large = '\u0001'.repeat(600_000);
      for (const title of ['1', '2', '3', '4']) await service.notify('alice', { title, body: large });
      await service.notify('alice', { title: 'the last' });
      const reader = await slowReader(service, httpVersion);
      const startedMs = ambient.clock.now();
      while (!(await reader.takeSome('the last'))) {
        assert.ok(!reader.isClosed(), 'it is cut');
        await ambient.clock.advance(9_000);
      }
      // HTTP/1.1 has no window of its own, and the kernel's buffers on loopback take several megabytes at a time
      if (httpVersion === 2)
        assert.ok(ambient.clock.now() - startedMs > 50 * stallTimeoutMs, 'it took its time');
      assert.equal(await service.metric('notify_stream_ends_total'), 0);
      const whole = reader.text().replaceAll(/\r\n[0-9a-f]+\r\n/g, ''); // chunks of HTTP/1.1
      const bodies = [...whole.matchAll(/"body":("\\u0001[^"]*")/g)].map(([, body = '']) => JSON.parse(body));
      assert.ok(bodies.length === 4 && bodies.every((body) => body === large), 'every item is whole');
    });
});

describe('streams that go away', () => {
  const open = (service: StreamService) => service.metric('notify_live_connections');
  const head = 'GET /v1/events?access_token=dev:alice:demo HTTP/1.1\r\nHost: notify\r\n\r\n';

  async function connected(
    t: { after(task: () => void): void },
    service: StreamService,
    text: string,
    count: number,
  ) {
    const socket = net.connect({ port: service.ports.client, host: '127.0.0.1', allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.on('error', () => {}).resume();
    socket.write(text);
    await eventually('the streams are open', async () => (await open(service)) === count);
    return socket;
  }

  it('are forgotten when a socket is reset, or closed by half', async (t) => {
    const service = await serve(t);
    (await connected(t, service, head, 1)).resetAndDestroy();
    await eventually('a reset stream is gone', async () => (await open(service)) === 0);
    (await connected(t, service, head, 1)).end();
    await eventually('a half-closed stream is gone', async () => (await open(service)) === 0);
  });

  it('are forgotten when they were pipelined on one connection', async (t) => {
    const service = await serve(t);
    (await connected(t, service, head.repeat(3), 3)).destroy();
    await eventually('all of them are gone', async () => (await open(service)) === 0);
  });

  it('are forgotten when an HTTP/2 client cancels them, however soon', async (t) => {
    const service = await serve(t);
    const session = http2.connect(service.url.client);
    t.after(() => session.destroy());
    session.on('error', () => {});
    const cancel = http2.constants.NGHTTP2_CANCEL;
    for (let i = 0; i < 60; i += 1) {
      const stream = session.request({ ':path': `/v1/events?access_token=dev:user-${i}:demo` });
      stream.on('error', () => {}).resume();
      if (i % 3 === 0) stream.close(cancel);
      else if (i % 3 === 1) setImmediate(() => stream.close(cancel));
      else stream.on('response', () => stream.close(cancel));
    }
    await eventually('every one has been opened and closed', async () => {
      return (
        (await service.metric('notify_stream_ends_total', { reason: 'gone' })) >= 20 &&
        (await open(service)) === 0
      );
    });
    const still = await service.open('alice');
    assert.equal((await still.next()).kind, 'heartbeat');
  });
});

describe('StreamEvents', () => {
  it('is forgotten when an HTTP/2 client cancels it while its request is being read', async (t) => {
    const log = logFile(t);
    const service = await serve(t, {}, { logger: log.logger });
    const session = http2.connect(service.url.client);
    service.closeFirst(() => session.destroy());
    session.on('error', () => {});
    // decompression takes a moment, between the request's end and the stream's opening
    const body = envelope(gzipSync(JSON.stringify({ unknown: 'x'.repeat(3_000_000) })), 1);
    const opened = () => log.lines('stream_open').length;
    const refused = () => log.lines('rpc').filter(({ code }) => code !== 'ok').length;
    let count = 0;
    const cancelAfter = (ms: number) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/elloloop.notify.v1.NotificationClientService/StreamEvents',
        'content-type': 'application/connect+json',
        'connect-content-encoding': 'gzip',
        ...as(`user-${count}`),
      });
      count += 1;
      stream.on('error', () => {}).resume();
      stream.end(body);
      setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), ms);
    };
    await eventually('some were cancelled late enough to be opened', async () => {
      for (let ms = 1; ms <= 16; ms += 1) cancelAfter(ms);
      await eventually('every call has been opened or refused', () => opened() + refused() === count);
      return opened() >= 3;
    });
    await eventually('all are closed', () => log.lines('stream_close').length === opened());
    assert.equal(await service.metric('notify_live_connections'), 0);
  });
});

describe('attacks', () => {
  /** Sends bytes and resolves with everything that comes back until the connection closes. */
  function exchange(port: number, ...parts: readonly (string | Buffer)[]): Promise<string> {
    return new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
      for (const part of parts) socket.write(part);
    });
  }

  it('a header or a URL past all measure is refused, and the service goes on', async (t) => {
    const service = await serve(t);
    const { client } = service.ports;
    const megabytes = Buffer.alloc(10 * 1024 * 1024, 'a');
    assert.match(
      await exchange(client, 'GET /v1/events?access_token=', megabytes, ' HTTP/1.1\r\n\r\n'),
      /^(HTTP\/1\.1 431 |$)/,
    );
    assert.match(
      await exchange(client, 'GET /v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: ', megabytes, '\r\n\r\n'),
      /^(HTTP\/1\.1 431 |$)/,
    );
    const stream = await service.open('alice');
    assert.equal((await stream.next()).kind, 'heartbeat');
  });

  it('a parameter that is given twice counts once, as the first', async (t) => {
    const service = await serve(t);
    await service.notify('alice', { title: 'of alice' });
    await service.notify('bob', { title: 'of bob' });
    const stream = await service.openAs({
      query: [
        ['access_token', 'dev:alice:demo'],
        ['access_token', 'dev:bob:demo'],
        ['last_event_id', '0'],
        ['last_event_id', 'nonsense'],
      ],
    });
    await stream.next('inbox');
    assert.deepEqual(
      stream.events.map(({ kind }) => kind),
      ['heartbeat', 'notification', 'inbox'],
    );
    assert.match(stream.text(), /of alice/);
    const refused = await service.openAs({
      query: [
        ['access_token', 'nonsense'],
        ['access_token', 'dev:alice:demo'],
      ],
    });
    assert.equal(refused.status, 401);
  });

  it('other methods open no stream', async (t) => {
    const service = await serve(t);
    for (const method of ['HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await fetch(`${service.url.client}/v1/events`, { method, headers: as('alice') });
      assert.equal(answer.status, 404, method);
      const text = await answer.text();
      if (method !== 'HEAD') assert.equal(JSON.parse(text).code, 'unimplemented', method);
    }
    assert.equal(await service.metric('notify_stream_events_total'), 0);
  });

  it('a GET with a body opens a stream that works', async (t) => {
    const service = await serve(t);
    const socket = net.connect(service.ports.client, '127.0.0.1');
    t.after(() => socket.destroy());
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.write(
      'GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer dev:alice:demo\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello',
    );
    await eventually('the heartbeat', () => text.includes('event: heartbeat'));
  });
});

describe('what is logged', () => {
  it('a line when a stream opens and when it closes, and one for each call, in the documented form', async (t) => {
    const log = logFile(t);
    const service = await serve(t, {}, { logger: log.logger });
    const stream = await service.open('alice');
    const { sessionId } = await stream.nextJson('heartbeat');
    const named = { session_id: sessionId, tenant_id: 'demo', user_id: 'alice', device_type: 'browser' };
    stream.close();
    await eventually('stream_close is logged', () => log.lines('stream_close').length === 1);
    await service.as('alice', 'GetNotifications', {});
    await call(service.url.client, procedures.ackNotification, { id: 'x' }, as('alice'));
    await call(service.url.client, procedures.getNotifications, {}, {});

    const [opened] = log.lines('stream_open');
    const [closed] = log.lines('stream_close');
    for (const line of log.lines()) {
      assert.match(String(line.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.match(String(line.level), /^(DEBUG|INFO|WARN|ERROR)$/);
      assert.equal(typeof line.msg, 'string');
    }
    const { time: _, ...open } = opened ?? {};
    assert.deepEqual(open, { level: 'INFO', ...named, msg: 'stream_open' });
    const { time: __, ...close } = closed ?? {};
    assert.deepEqual(close, { level: 'INFO', ...named, reason: 'gone', msg: 'stream_close' });
    const calls = log.lines('rpc').map(({ procedure, user_id, tenant_id, code, latency_ms, level }) => {
      assert.ok(Number(latency_ms) >= 0);
      return { procedure, user_id, tenant_id, code, level };
    });
    const ofAlice = { user_id: 'alice', tenant_id: 'demo', level: 'INFO' };
    assert.deepEqual(calls, [
      { procedure: `/${procedures.getNotifications}`, ...ofAlice, code: 'ok' },
      { procedure: `/${procedures.ackNotification}`, ...ofAlice, code: 'not_found' },
      {
        procedure: `/${procedures.getNotifications}`,
        user_id: undefined,
        tenant_id: undefined,
        code: 'unauthenticated',
        level: 'INFO',
      },
    ]);
  });

  it('never a token, a title, a body or what a hint is about', async (t) => {
    const log = logFile(t);
    const boom: Parameters<typeof serve>[2] = {
      logger: log.logger,
      plugins: [
        {
          client: async (app: FastifyInstance) => {
            app.get('/boom', () => {
              throw Object.assign(new Error('no secret'), { config: { apiKey: 'the-api-key' } });
            });
          },
        },
      ],
    };
    const service = await serve(
      t,
      { ...production, NOTIFY_LIVE_MAX_STREAMS_PER_USER: '1', NOTIFY_LIVE_HEARTBEAT_INTERVAL: '20ms' },
      boom,
    );
    const token = jwt(secret, { sub: 'alice', tenant: 'demo', email: 'alice@example.com' });
    const wrong = jwt('another secret of more than 32 bytes..', { sub: 'alice', tenant: 'demo' });
    const internal = { 'x-notify-internal-token': production.NOTIFY_INTERNAL_TOKEN };
    const stream = await service.openAs({ query: { access_token: token } });
    await stream.next('inbox');
    await (await service.openAs({ query: { access_token: token } })).end();
    await (await service.openAs({ query: { access_token: wrong } })).end();
    await (await service.openAs({ headers: { authorization: `Bearer ${wrong}` } })).end();
    const { client, internal: producer } = service.url;
    for (const path of ['/boom', '/%zz', '/nowhere', `/v1/events/${token}`])
      await (await fetch(`${client}${path}?access_token=${token}`)).text();
    const notification = {
      tenantId: 'demo',
      notificationId: 'x',
      userIds: ['alice'],
      title: 'the-title',
      body: 'the-body',
      data: { k: 'the-data' },
    };
    await call(producer, procedures.notify, notification, internal);
    await call(producer, procedures.notify, { ...notification, title: 'the-title\0' }, internal);
    await call(producer, procedures.notify, `{"title": "the-title", "body": the-body}`, internal);
    await call(producer, procedures.notify, notification, {
      'x-notify-internal-token': 'wrong-internal-token',
    });
    const hint = { tenantId: 'demo', userIds: ['alice'], idempotencyKey: 'k', subjectRef: 'the-subject' };
    await call(producer, 'notify.v1.ProducerService/PublishDataChange', hint, internal);
    await stream.next('data_change');
    stream.close();
    await eventually('stream_close is logged', () => log.lines('stream_close').length === 1);

    assert.equal(log.lines('request_failed').length, 1, 'the crash is logged');
    const text = log.text();
    for (const word of [
      token,
      wrong,
      token.split('.')[2] as string,
      secret,
      production.NOTIFY_INTERNAL_TOKEN,
      'wrong-internal-token',
      'access_token',
      'the-title',
      'the-body',
      'the-data',
      'the-subject',
      'the-api-key',
      'alice@example.com',
    ])
      assert.ok(!text.includes(word), `the log holds ${word}`);
  });
});

describe('CORS', () => {
  const origin = 'https://app.example.com';

  it('lets the pages of NOTIFY_ALLOWED_ORIGINS in, and no others', async (t) => {
    const service = await serve(t, { NOTIFY_ALLOWED_ORIGINS: `${origin},http://localhost:5173` });
    for (const [from, allowed] of [
      [origin, origin],
      ['http://localhost:5173', 'http://localhost:5173'],
      ['https://evil.example.com', undefined],
      [`${origin}.evil.com`, undefined],
      ['null', undefined],
    ] as const) {
      const stream = await service.open(`user-${from}`, { headers: { origin: from } });
      assert.equal(stream.headers['access-control-allow-origin'], allowed, from);
      assert.match(String(stream.headers.vary), /origin/i);
      const refused = await service.openAs({ headers: { origin: from } });
      assert.equal(refused.status, 401);
      assert.equal(refused.headers['access-control-allow-origin'], allowed, `401 to ${from}`);
      const answer = await call(
        service.url.client,
        procedures.getNotifications,
        {},
        { ...as('alice'), origin: from },
      );
      assert.equal(answer.headers.get('access-control-allow-origin'), allowed ?? null, `RPC from ${from}`);
    }
  });

  it('tells caches that a large answer depends on the origin and on the compression', async (t) => {
    const service = await serve(t, { NOTIFY_ALLOWED_ORIGINS: origin });
    const item = { tenantId: 'demo', notificationId: 'large', userIds: ['alice'], body: 'x'.repeat(2_000) };
    await call(service.url.internal, procedures.notify, item);
    const { headers } = await call(
      service.url.client,
      procedures.getNotifications,
      {},
      { ...as('alice'), origin },
    );
    assert.deepEqual(headers.get('vary')?.toLowerCase().split(', ').sort(), ['accept-encoding', 'origin']);
  });

  it('answers preflights of Connect, gRPC-web and streams', async (t) => {
    const service = await serve(t, { NOTIFY_ALLOWED_ORIGINS: origin });
    const preflight = async (path: string, from: string, method: string, headers: string) => {
      const answer = await fetch(`${service.url.client}/${path}`, {
        method: 'OPTIONS',
        headers: {
          origin: from,
          'access-control-request-method': method,
          'access-control-request-headers': headers,
        },
      });
      assert.equal(answer.status, 204);
      return answer.headers;
    };
    for (const [path, method, wanted] of [
      [
        procedures.getNotifications,
        'POST',
        'authorization,content-type,connect-protocol-version,connect-timeout-ms',
      ],
      [
        procedures.getNotifications,
        'POST',
        'authorization,content-type,x-grpc-web,x-user-agent,grpc-timeout',
      ],
      ['v1/events', 'GET', 'authorization,last-event-id'],
    ] as const) {
      const headers = await preflight(path, origin, method, wanted);
      assert.equal(headers.get('access-control-allow-origin'), origin);
      assert.ok(headers.get('access-control-allow-methods')?.split(', ').includes(method));
      const allowed = headers.get('access-control-allow-headers')?.toLowerCase().split(', ') ?? [];
      for (const header of wanted.split(',')) assert.ok(allowed.includes(header), `${path} allows ${header}`);
      assert.ok(Number(headers.get('access-control-max-age')) > 0);
      const foreign = await preflight(path, 'https://evil.example.com', method, wanted);
      assert.equal(foreign.get('access-control-allow-origin'), null);
    }
    const answer = await call(
      service.url.client,
      procedures.getNotifications,
      {},
      { ...as('alice'), origin },
    );
    const exposed = answer.headers.get('access-control-expose-headers')?.toLowerCase().split(', ') ?? [];
    for (const header of ['grpc-status', 'grpc-message', 'retry-after'])
      assert.ok(exposed.includes(header), header);
  });

  it('answers an OPTIONS that is no preflight with 204 as well', async (t) => {
    const service = await serve(t, { NOTIFY_ALLOWED_ORIGINS: origin });
    for (const path of ['/', '/v1/events', `/${procedures.getNotifications}`])
      for (const headers of [{}, { origin }] as Record<string, string>[]) {
        const answer = await fetch(`${service.url.client}${path}`, { method: 'OPTIONS', headers });
        assert.equal(answer.status, 204, path);
        assert.equal(await answer.text(), '');
        assert.equal(answer.headers.get('access-control-allow-origin'), headers.origin ?? null);
      }
  });

  it('says nothing where no origin is configured, and never on the internal port', async (t) => {
    const closed = await serve(t);
    const stream = await closed.open('alice', { headers: { origin } });
    assert.equal(stream.headers['access-control-allow-origin'], undefined);
    const open = await serve(t, { NOTIFY_ALLOWED_ORIGINS: '*' });
    const answer = await call(open.url.client, procedures.getNotifications, {}, { ...as('alice'), origin });
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    const internal = await call(open.url.internal, procedures.notify, {}, { origin });
    assert.equal(internal.headers.get('access-control-allow-origin'), null);
  });
});
