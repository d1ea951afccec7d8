import assert from 'node:assert/strict';
import net from 'node:net';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { create, fromBinary, fromJsonString, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  DeliveryChannel,
  DeliveryStatus,
  DeviceType,
  GetNotificationsResponseSchema,
  type Notification,
  NotifyRequestSchema,
  type StreamEvent,
  type StreamEventsRequest,
  Urgency,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { BadRequestSchema } from '../../../proto/gen/google/rpc/error_details_pb.ts';
import { isUuid } from '../../../src/core/ambient.ts';
import { as, build, call, procedures, type Service } from '../../support/build.ts';
import { clientsOf, libraries } from '../../support/clients.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeProvider, using } from '../../support/fake-provider.ts';
import { endStream, frame, preface, requestHeaders, reset } from '../../support/http2-frames.ts';
import { logFile } from '../../support/log.ts';
import { metricIn } from '../../support/serve.ts';
import { dialects, envelope, envelopes, post, speak, streamDialects } from '../../support/wire.ts';

const email = new FakeProvider('email');
const push = new FakeProvider('mobile_push');
const { env, overrides } = using(email, push);
const calm = {
  pressure: { maxEventLoopDelayMs: 60_000, sampleIntervalMs: 1_000 },
  // connect-node keeps its connection after a 404
  listener: { lingerTimeoutMs: 100 },
};
const service = await build({ after }, env, { ...overrides, ...calm });

let users = 0;
const newUser = (): string => `user-${++users}`;

const request = (userId: string, notificationId: string) => ({
  tenantId: 'demo',
  notificationId,
  userIds: [userId],
  title: 'Hé 漢字 🚀',
  body: 'body',
});

const isCode = (code: Code, message?: string | RegExp) => (error: unknown) => {
  assert.ok(error instanceof ConnectError, String(error));
  assert.equal(Code[error.code], Code[code]);
  if (message !== undefined) assert.match(error.rawMessage, new RegExp(message));
  return true;
};

/** Reads a stream's events one by one, each within a deadline. */
class Reader {
  readonly #events: AsyncIterator<StreamEvent>;
  constructor(events: AsyncIterable<StreamEvent>) {
    this.#events = events[Symbol.asyncIterator]();
  }
  async next(): Promise<StreamEvent> {
    const step = await eventuallySettles(this.#events.next());
    assert.ok(!step.done, 'the stream has ended');
    assert.ok(isUuid(step.value.sessionId), 'every event carries the session id');
    assert.ok((step.value.position ?? 0n) > 0n, 'every event carries a position');
    return step.value;
  }
  /** Reads on to the first event of a kind. */
  async nextOf<Kind extends Exclude<StreamEvent['event']['case'], undefined>>(
    kind: Kind,
  ): Promise<
    Extract<StreamEvent['event'], { case: Kind }>['value'] & { position: bigint; sessionId: string }
  > {
    for (;;) {
      const { event, position = 0n, sessionId } = await this.next();
      if (event.case === kind) return { ...(event.value as object), position, sessionId } as never;
    }
  }
  /** Reads to the end. @returns the kinds on the way, and the error that it ended with */
  async end(): Promise<{ kinds: string[]; error: unknown }> {
    const kinds: string[] = [];
    try {
      for (;;) {
        const step = await eventuallySettles(this.#events.next());
        if (step.done) return { kinds, error: undefined };
        kinds.push(step.value.event.case ?? '');
      }
    } catch (error) {
      return { kinds, error };
    }
  }
}

async function eventuallySettles<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the stream says nothing within 15 s')), 15_000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const openStreams = async (at: Service): Promise<number> =>
  metricIn(await (await fetch(`${at.url.ops}/metrics`)).text(), 'notify_live_connections');

describe('every client library', () => {
  for (const library of libraries) {
    describe(library.name, () => {
      it('makes every unary call', async (t) => {
        const user = newUser();
        const { recipient, inbox, internal, producer } = clientsOf(t, library, service, user);
        const ids = [`${user}-a`, `${user}-b`, `${user}-c`];

        await recipient.registerPushToken({ deviceType: DeviceType.ANDROID, token: `token-of-${user}` });
        const sent = await internal.notify({
          ...request(user, ids[0] ?? ''),
          channels: [DeliveryChannel.IN_APP, DeliveryChannel.MOBILE_PUSH, DeliveryChannel.SMS],
          urgency: Urgency.HIGH,
          expiresAtMs: 9_007_199_254_740_993n,
          data: { key: ['value', 1, null, true] },
          returnResults: true,
        });
        assert.deepEqual([sent.delivered, sent.pending, sent.failed], [1, 2, 0]);
        assert.deepEqual(
          sent.results.map(({ channel, status, reason, created }) => [channel, status, reason, created]),
          [
            [DeliveryChannel.IN_APP, DeliveryStatus.PENDING, '', true],
            [DeliveryChannel.MOBILE_PUSH, DeliveryStatus.DELIVERED, '', true],
            [DeliveryChannel.SMS, DeliveryStatus.PENDING, 'no_destination', true],
          ],
        );
        assert.ok(push.destinations.includes(`token-of-${user}`));

        const { results } = await producer.notifyBatch({
          requests: [
            request(user, ids[1] ?? ''),
            { ...request('', ids[1] ?? '') },
            request(user, ids[2] ?? ''),
          ],
        });
        assert.deepEqual(
          results.map(({ result }) => [result.case, result.case === 'response' && result.value.pending]),
          [
            ['response', 1],
            ['error', false],
            ['response', 1],
          ],
        );
        const failed = results[1]?.result;
        assert.ok(failed?.case === 'error');
        assert.equal(failed.value.code, 'invalid_argument');
        assert.equal(failed.value.message, 'user_ids[0]: must not be blank');

        const page = await recipient.getNotifications({ limit: 2 });
        assert.deepEqual(
          page.notifications.map((n) => n.notificationId),
          [ids[2], ids[1]],
        );
        assert.equal(page.unreadCount, 3);
        assert.equal(page.unseenCount, 3);
        const rest = await recipient.getNotifications({ cursor: page.nextCursor });
        assert.equal(rest.nextCursor, '');
        const [first] = rest.notifications as [Notification];
        assert.equal(first.notificationId, ids[0]);
        assert.equal(first.title, 'Hé 漢字 🚀');
        assert.equal(first.expiresAtMs, 9_007_199_254_740_993n);
        assert.equal(first.urgency, Urgency.HIGH);
        assert.deepEqual(first.data, { key: ['value', 1, null, true] });
        assert.equal(first.status, DeliveryStatus.DELIVERED);
        const position = page.position ?? 0n;
        assert.equal(position, page.notifications[0]?.position);

        const { id } = first;
        await recipient.ackNotification({ id });
        const read = (await inbox.getNotification({ id })).notification;
        assert.equal(read?.status, DeliveryStatus.READ);
        assert.ok(read.readAtMs > 0n);
        await inbox.markUnread({ id });
        assert.equal((await inbox.getNotification({ id })).notification?.readAtMs, 0n);
        await inbox.archive({ id });
        assert.equal((await recipient.getNotifications({})).notifications.length, 2);
        assert.equal((await recipient.getNotifications({ archived: true })).notifications.length, 3);
        await inbox.unarchive({ id });
        await inbox.markSeen({ upToPosition: position });
        assert.equal((await recipient.getNotifications({})).unseenCount, 0);
        assert.equal((await inbox.markAllRead({ upToPosition: position - 1n })).count, 2);
        assert.equal((await inbox.markAllRead({})).count, 1);
        assert.equal((await recipient.getNotifications({ unreadOnly: true })).notifications.length, 0);
        await inbox.deleteNotification({ id });
        await assert.rejects(inbox.getNotification({ id }), isCode(Code.NotFound, 'no such notification'));
        await recipient.ackDataChange({ idempotencyKey: 'unknown', sessionId: 'unknown' });
        assert.equal(
          (await producer.publishDataChange({ tenantId: 'demo', userIds: [user], idempotencyKey: 'k' }))
            .sessions,
          0,
        );
      });

      it('reads errors with their details and headers', async (t) => {
        const { recipient, internal } = clientsOf(t, library, service, newUser());
        await assert.rejects(internal.notify({ tenantId: 'demo', userIds: ['a', ''] }), (error) => {
          assert.ok(error instanceof ConnectError);
          isCode(
            Code.InvalidArgument,
            '^notification_id: must not be blank; user_ids\\[1\\]: must not be blank$',
          )(error);
          const [details] = error.findDetails(BadRequestSchema);
          assert.deepEqual(
            details?.fieldViolations.map(({ field }) => field),
            ['notification_id', 'user_ids[1]'],
          );
          return true;
        });
        await assert.rejects(
          recipient.getNotifications({ cursor: 'x' }),
          isCode(Code.InvalidArgument, '^cursor: '),
        );
        await assert.rejects(
          internal.notify({ ...request('u', 'n'), body: 'x'.repeat(4 * 2 ** 20) }),
          (error) => {
            assert.ok(error instanceof ConnectError);
            isCode(Code.ResourceExhausted, 'larger than 4 MiB')(error);
            assert.equal(error.metadata.get('retry-after'), '1');
            return true;
          },
        );
        // an unknown method of a service that it knows: what a newer client calls
        const stranger = clientsOf(
          t,
          library,
          { ...service, url: { ...service.url, client: service.url.internal } },
          'u',
        );
        await assert.rejects(stranger.recipient.getNotifications({}), isCode(Code.Unimplemented));
      });

      it('holds a stream: heartbeat, replay, live events, resume, and an end when it cancels', async (t) => {
        const user = newUser();
        const { recipient, inbox, internal, producer } = clientsOf(t, library, service, user);
        const before = await openStreams(service);
        await internal.notify(request(user, 'first'));

        const abort = new AbortController();
        const opened = Date.now();
        const open = (options: Partial<StreamEventsRequest> = {}) =>
          new Reader(
            recipient.streamEvents({ deviceType: DeviceType.IOS, ...options } as never, {
              signal: abort.signal,
            }),
          );
        const reader = open();
        const hello = await reader.next();
        assert.equal(hello.event.case, 'heartbeat');
        assert.ok(Math.abs(Number(hello.event.value.timestampMs) - opened) < 60_000);
        assert.equal(hello.event.value.inboxVersion, 1n);
        const replayed = await reader.next();
        assert.equal(replayed.event.case, 'notification');
        assert.equal(replayed.event.value.notification?.notificationId, 'first');
        assert.equal(replayed.event.value.notification.title, 'Hé 漢字 🚀');
        assert.equal(replayed.event.value.notification.status, DeliveryStatus.DELIVERED);
        assert.equal(replayed.position, replayed.event.value.notification.position);
        assert.equal(hello.position, (replayed.position ?? 0n) - 1n);
        const counts = await reader.next();
        assert.equal(counts.event.case, 'inbox');
        assert.deepEqual([counts.event.value.unreadCount, counts.event.value.unseenCount], [1, 1]);

        assert.equal((await internal.notify(request(user, 'second'))).delivered, 1);
        const live = await reader.next();
        assert.equal(live.event.case, 'notification');
        assert.equal(live.event.value.notification?.notificationId, 'second');
        assert.equal(live.position, (replayed.position ?? 0n) + 1n);

        const { sessions } = await producer.publishDataChange({
          tenantId: 'demo',
          userIds: [user],
          idempotencyKey: 'change',
          subjectRef: '42',
          subjectType: 'order',
        });
        assert.equal(sessions, 1);
        const change = await reader.nextOf('dataChange');
        assert.deepEqual(
          [change.idempotencyKey, change.subjectRef, change.subjectType],
          ['change', '42', 'order'],
        );
        await recipient.ackDataChange({ idempotencyKey: 'change', sessionId: change.sessionId });

        const { id } = replayed.event.value.notification;
        await inbox.markAllRead({});
        const news = await reader.nextOf('inbox');
        assert.deepEqual([news.unreadCount, news.readIds.length], [0, 2]);
        assert.ok(news.readIds.includes(id));
        assert.equal(news.sessionId, hello.sessionId);

        const resumed = open({ lastPosition: replayed.position ?? 0n, resume: true });
        assert.equal((await resumed.next()).event.case, 'heartbeat');
        assert.equal((await resumed.nextOf('notification')).notification?.notificationId, 'second');
        const stale = open({ lastPosition: 1n, resume: true });
        assert.equal((await stale.nextOf('reset')).position, live.position);
        const whole = open({ resume: true });
        assert.equal((await whole.nextOf('notification')).notification?.notificationId, 'first');

        assert.equal((await openStreams(service)) - before, 4);
        abort.abort();
        isCode(Code.Canceled)((await reader.end()).error);
        await eventually('the gauge is back', async () => (await openStreams(service)) === before);
      });

      it('sees the deadline of a stream', async (t) => {
        const { recipient } = clientsOf(t, library, service, newUser());
        const reader = new Reader(recipient.streamEvents({}, { timeoutMs: 150 }));
        assert.equal((await reader.next()).event.case, 'heartbeat');
        isCode(Code.DeadlineExceeded)((await reader.end()).error);
      });
    });
  }

  it('is told to reconnect when the server closes, with a clean end', async (t) => {
    const stopping = await build(t);
    const streams = await Promise.all(
      libraries.map(async (library) => {
        const { recipient } = clientsOf(t, library, stopping, newUser());
        const reader = new Reader(recipient.streamEvents({}));
        await reader.nextOf('inbox');
        return { name: library.name, reader };
      }),
    );
    const closing = stopping.close();
    for (const { name, reader } of streams) {
      const { kinds, error } = await reader.end();
      assert.deepEqual(kinds, ['end'], name);
      isCode(Code.Canceled, '^reconnect$')(error);
    }
    await closing;
  });
});

describe('a stream, in every protocol,', () => {
  for (const dialect of streamDialects) {
    it(`ends at the deadline of the call over ${dialect.name}`, async () => {
      const headers = { ...as(newUser()), 'connect-timeout-ms': '40', 'grpc-timeout': '40m' };
      const body = Buffer.from(dialect.isJson ? '{}' : '');
      const { error } = await speak(dialect, service.url.client, procedures.streamEvents, body, { headers });
      assert.equal(error?.code, 'deadline_exceeded');
      assert.equal(error.message, "the call's deadline has passed");
    });

    it(`ends at its age limit for the client to reconnect, over ${dialect.name}`, async (t) => {
      const old = await build(t, { NOTIFY_LIVE_MAX_AGE: '50ms' });
      const body = Buffer.from(dialect.isJson ? '{}' : '');
      const answer = await speak(dialect, old.url.client, procedures.streamEvents, body, {
        headers: as('alice'),
      });
      assert.deepEqual([answer.error?.code, answer.error?.message], ['canceled', 'reconnect']);
      assert.equal(answer.error?.retryAfter, undefined);
    });
  }
});

describe('a client that goes away', () => {
  it('leaves no session behind, however early it goes', async (t) => {
    const log = logFile(t);
    const logging = await build(t, {}, { ...calm, logger: log.logger });
    const headers = { 'content-type': 'application/grpc', te: 'trailers', 'grpc-encoding': 'gzip' };
    // takes a while to unpack: an unknown field of 3 MiB
    const padding = new BinaryWriter().tag(1000, WireType.LengthDelimited).bytes(Buffer.alloc(3 * 2 ** 20));
    const message = envelope(gzipSync(padding.finish()), 1);
    const count = 60;
    for (let i = 0; i < count; i++) {
      const socket = net.connect(logging.ports.client, '127.0.0.1').resume();
      const whole = frame('data', { stream: 1, flags: endStream, payload: message });
      const asked = requestHeaders(1, `/${procedures.streamEvents}`, { ...headers, ...as(`user-${i}`) });
      socket.write(Buffer.concat([preface, asked, whole]));
      // at once, while the message is unpacked, or in the middle of the answer
      await sleep(i % 12);
      socket.write(reset(1));
      t.after(() => socket.destroy());
    }
    await eventually('every call has ended', () => log.lines('rpc').length === count);
    assert.ok(log.lines('stream_open').length > 0, 'some of them had a session');
    assert.equal(await openStreams(logging), 0);
  });

  it('takes no part of its call with it: a request that is cut off does nothing', async (t) => {
    const log = logFile(t);
    const logging = await build(t, {}, { ...calm, logger: log.logger });
    const user = newUser();
    const body = toBinary(NotifyRequestSchema, create(NotifyRequestSchema, request(user, 'cut')));
    const path = `/${procedures.notify}`;
    const type = { 'content-type': 'application/proto' };
    const begun = Buffer.concat([
      preface,
      requestHeaders(1, path, type),
      frame('data', { stream: 1, payload: body }),
    ]);
    const half = `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/proto\r\ncontent-length: ${body.length + 1}\r\n\r\n`;
    const endings: [string, Buffer, (socket: net.Socket) => void][] = [
      ['HTTP/2, the stream is reset', begun, (socket) => socket.write(reset(1))],
      ['HTTP/2, the connection ends', begun, (socket) => socket.end()],
      ['HTTP/2, the connection breaks', begun, (socket) => socket.resetAndDestroy()],
      ['HTTP/1.1, the connection ends', Buffer.concat([Buffer.from(half), body]), (socket) => socket.end()],
      [
        'HTTP/1.1, the connection breaks',
        Buffer.concat([Buffer.from(half), body]),
        (socket) => socket.resetAndDestroy(),
      ],
    ];
    for (const [i, [name, bytes, cut]] of endings.entries()) {
      const socket = net.connect(logging.ports.internal, '127.0.0.1').resume();
      socket.write(bytes);
      cut(socket);
      await eventually(`${name}: the call has ended`, () => log.lines('rpc').length === i + 1);
      socket.destroy();
    }
    assert.deepEqual(
      log.lines('rpc').map(({ code }) => code),
      endings.map(() => 'canceled'),
    );
    const { body: inbox } = await call(logging.url.client, procedures.getNotifications, {}, as(user));
    assert.deepEqual(inbox.notifications, []);
  });
});

describe('protobuf JSON', () => {
  const notifyAs = (body: unknown) => call(service.url.internal, procedures.notify, body);
  const listOf = async (user: string) =>
    (await call(service.url.client, procedures.getNotifications, {}, as(user))).body;

  it('writes the defaults of answers, in every protocol that has JSON', async () => {
    for (const dialect of dialects.filter(({ isJson }) => isJson)) {
      const user = newUser();
      const body = Buffer.from(JSON.stringify(request(user, 'n')));
      const sent = await speak(dialect, service.url.internal, procedures.notify, body);
      const counts = JSON.parse(sent.message.toString());
      assert.deepEqual(counts, { delivered: 0, pending: 1, failed: 0, results: [] }, dialect.name);
      const listed = await speak(
        dialect,
        service.url.client,
        procedures.getNotifications,
        Buffer.from('{}'),
        { headers: as(user) },
      );
      const page = JSON.parse(listed.message.toString());
      assert.equal(page.nextCursor, '', dialect.name);
      assert.equal(page.unreadCount, 1);
      assert.equal(typeof page.position, 'string');
      const { subjectRef, deliveredAtMs, readAtMs, createdAtMs, status, channel } = page.notifications[0];
      assert.deepEqual([subjectRef, deliveredAtMs, readAtMs], ['', '0', '0']);
      assert.match(createdAtMs, /^\d{13}$/);
      assert.deepEqual([status, channel], ['DELIVERY_STATUS_PENDING', 'DELIVERY_CHANNEL_IN_APP']);
      assert.ok(!('actionUrl' in page.notifications[0]), 'our own fields are not there until they are used');
      const empty = await speak(dialect, service.url.client, procedures.getNotifications, Buffer.from('{}'), {
        headers: as(newUser()),
      });
      const { notifications, nextCursor, unreadCount } = JSON.parse(empty.message.toString());
      assert.deepEqual([notifications, nextCursor, unreadCount], [[], '', 0], dialect.name);
    }
  });

  it('takes names in snake_case and camelCase, also side by side', async () => {
    const user = newUser();
    for (const [i, body] of [
      {
        tenant_id: 'demo',
        notification_id: 'a',
        user_ids: [user],
        subject_ref: 'ref',
        action_url: '/x',
        return_results: true,
      },
      {
        tenantId: 'demo',
        notificationId: 'b',
        userIds: [user],
        subjectRef: 'ref',
        actionUrl: '/x',
        returnResults: true,
      },
      {
        tenantId: 'demo',
        notification_id: 'c',
        userIds: [user],
        subject_ref: 'ref',
        actionUrl: '/x',
        return_results: true,
      },
    ].entries()) {
      const answer = await notifyAs(body);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal((answer.body.results as unknown[]).length, 1, `${i}`);
    }
    const { notifications } = (await listOf(user)) as { notifications: Record<string, unknown>[] };
    assert.deepEqual(
      notifications.map(({ subjectRef, actionUrl }) => [subjectRef, actionUrl]),
      Array.from({ length: 3 }, () => ['ref', '/x']),
    );
  });

  it('takes 64-bit integers as strings and as numbers, and answers strings', async () => {
    for (const [given, stored] of [
      ['9007199254740993', '9007199254740993'],
      ['9223372036854775807', '9223372036854775807'],
      [4102444800000, '4102444800000'],
      [4.1024448e12, '4102444800000'],
    ]) {
      const user = newUser();
      assert.equal((await notifyAs({ ...request(user, 'n'), expiresAtMs: given })).status, 200);
      const { notifications } = (await listOf(user)) as { notifications: { expiresAtMs: string }[] };
      assert.equal(notifications[0]?.expiresAtMs, stored);
    }
  });

  it('takes enums by name and by number', async () => {
    for (const channels of [
      ['DELIVERY_CHANNEL_IN_APP', 'DELIVERY_CHANNEL_SMS'],
      [1, 5],
      ['DELIVERY_CHANNEL_IN_APP', 5],
    ]) {
      const user = newUser();
      const { body } = await notifyAs({
        ...request(user, 'n'),
        channels,
        urgency: channels.includes(1) ? 4 : 'URGENCY_CRITICAL',
      });
      assert.equal(body.pending, 2);
      const { notifications } = (await listOf(user)) as { notifications: Record<string, unknown>[] };
      assert.deepEqual(notifications[0]?.channels, ['DELIVERY_CHANNEL_IN_APP', 'DELIVERY_CHANNEL_SMS']);
      assert.equal(notifications[0]?.urgency, 'URGENCY_CRITICAL');
    }
  });

  it('takes null as unset and ignores fields that it does not know', async () => {
    const user = newUser();
    const { status, body } = await notifyAs({
      ...request(user, 'n'),
      title: null,
      channels: null,
      addresses: null,
      data: null,
      urgency: null,
      expiresAtMs: null,
      returnResults: null,
      someday: { a: [1] },
      some_day: 'x',
    });
    assert.deepEqual([status, body.pending], [200, 1]);
    const { notifications } = (await listOf(user)) as { notifications: Record<string, unknown>[] };
    assert.equal(notifications[0]?.title, '');
  });

  it('takes fields of this version at their default, built or not', async () => {
    const unused = {
      template: '',
      sendAtMs: '0',
      groupKey: '',
      groupWindowMs: 0,
      content: {},
      topics: [],
      excludeUserIds: [],
      dryRun: false,
    };
    assert.equal((await notifyAs({ ...request(newUser(), 'n'), ...unused })).status, 200);
  });
});

describe('gzip', () => {
  const user = newUser();
  const big = { ...request(user, 'big'), body: 'x'.repeat(20_000) };

  it('is undone in requests and done in large answers, for those who take it', async () => {
    for (const dialect of dialects) {
      const body = Buffer.from(
        dialect.isJson
          ? JSON.stringify(big)
          : toBinary(NotifyRequestSchema, create(NotifyRequestSchema, big)),
      );
      const sent = await speak(dialect, service.url.internal, procedures.notify, body, { gzip: true });
      assert.equal(sent.error, undefined, dialect.name);
    }
    const [connect] = dialects.filter(({ kind }) => kind === 'connect');
    assert.ok(connect);
    const loud = await speak(connect, service.url.internal, procedures.notify, gzipSync('{}'), {
      headers: { 'content-encoding': 'GZIP' },
    });
    assert.match(loud.error?.message ?? '', /^tenant_id: /);
    for (const { kind, httpVersion, contentType, isJson, name } of dialects) {
      const message = Buffer.from(isJson ? '{}' : '');
      const list = (accept: string | undefined) =>
        post(
          httpVersion,
          service.url.client,
          procedures.getNotifications,
          {
            ...as(user),
            'content-type': contentType,
            ...(kind === 'grpc' && { te: 'trailers' }),
            ...(accept !== undefined && {
              [kind === 'connect' ? 'accept-encoding' : 'grpc-accept-encoding']: accept,
            }),
          },
          kind === 'connect' ? message : envelope(message),
        );
      const parse = (bytes: Buffer) =>
        isJson
          ? fromJsonString(GetNotificationsResponseSchema, bytes.toString())
          : fromBinary(GetNotificationsResponseSchema, bytes);
      for (const accept of ['gzip', 'gzip,identity', kind === 'connect' ? 'br, gzip;q=0.5' : 'br,gzip']) {
        const answer = await list(accept);
        assert.ok(answer.body.length < 10_000, `${name} is not compressed for ${accept}`);
        let data = answer.body;
        if (kind === 'connect') {
          assert.equal(answer.headers['content-encoding'], 'gzip');
          assert.match(answer.headers.vary ?? '', /accept-encoding/i);
        } else {
          assert.equal(answer.headers['grpc-encoding'], 'gzip', name);
          const [frame] = envelopes(answer.body);
          assert.equal(frame?.flags, 1);
          data = frame.data;
        }
        assert.equal(parse(gunzipSync(data)).notifications[0]?.body, big.body);
      }
      for (const accept of [undefined, 'identity', 'br', 'gzip;q=0']) {
        if (kind !== 'connect' && accept === 'gzip;q=0') continue; // gRPC has no weights
        const answer = await list(accept);
        assert.ok(answer.body.length > 20_000, `${name} is compressed for ${accept}`);
        assert.equal(answer.headers['content-encoding'], undefined);
      }
    }
  });
});

describe('the deadline of a unary call, in every protocol,', () => {
  for (const [i, dialect] of dialects.entries())
    it(`ends the waiting, not the work, over ${dialect.name}`, async () => {
      const user = `late-${i}`;
      let finish = () => {};
      email.answer = () =>
        new Promise((resolve) => {
          finish = resolve;
        });
      const late = {
        ...request(user, 'late'),
        addresses: { [user]: { byChannel: { email: `${user}@example.org` } } },
      };
      const body = Buffer.from(
        dialect.isJson
          ? JSON.stringify(late)
          : toBinary(NotifyRequestSchema, create(NotifyRequestSchema, late as never)),
      );
      const headers = { 'connect-timeout-ms': '60', 'grpc-timeout': '60m' };
      const { error, status } = await speak(dialect, service.url.internal, procedures.notify, body, {
        headers,
      });
      assert.equal(error?.code, 'deadline_exceeded');
      assert.match(error.message, /may still take effect/);
      assert.equal(status, dialect.kind === 'connect' ? 504 : 200);
      finish();
      await eventually('the email is known to be out', async () => {
        const { body: inbox } = await call(service.url.client, procedures.getNotifications, {}, as(user));
        return (inbox.notifications as { status: string }[])[0]?.status === 'DELIVERY_STATUS_DELIVERED';
      });
      assert.equal(email.destinations.filter((to) => to === `${user}@example.org`).length, 1);
    });
});
