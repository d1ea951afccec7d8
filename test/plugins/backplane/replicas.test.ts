import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { as, build, call, procedures, type Service } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeProvider, using } from '../../support/fake-provider.ts';
import { postgresForFile } from '../../support/postgres.ts';
import { openEvents, type SseStream } from '../../support/sse.ts';

const { postgres, skip } = await postgresForFile();

const inboxCall = 'notify.v1.InboxService/';

describe('replicas on one database', { skip }, () => {
  const replicas = async (
    t: TestContext,
    count: number,
    env: Record<string, string> = {},
  ): Promise<Service[]> => {
    const dsn = await postgres().database();
    const all: Service[] = [];
    for (let i = 0; i < count; i++)
      all.push(await build(t, { NOTIFY_STORE_DRIVER: 'postgres', NOTIFY_POSTGRES_DSN: dsn, ...env }));
    return all;
  };
  const open = async (t: TestContext, at: Service, user: string): Promise<SseStream> => {
    const stream = await openEvents(at.url.client, { headers: as(user) });
    t.after(() => stream.close());
    await stream.next('inbox');
    return stream;
  };
  const notify = async (at: Service, id: string, userIds: string[], over: object = {}) => {
    const { status, body } = await call(at.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: id,
      userIds,
      title: id,
      ...over,
    });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  /** Waits until a replica knows that another holds a user. */
  const known = (at: Service, user: string, sessions = 1) =>
    eventually(`${user} is known elsewhere`, () => {
      return at.core.peers?.sessions({ tenantId: 'demo', userId: user }) === sessions;
    });

  it('answer delivered when a stream of the other one took it', async (t) => {
    const [a, b] = await replicas(t, 2);
    assert.ok(a && b);
    const stream = await open(t, b, 'alice');
    await known(a, 'alice');
    const body = await notify(a, 'n-1', ['alice']);
    assert.deepEqual([body.delivered, body.pending], [1, 0]);
    assert.equal((await stream.nextJson('notification')).notificationId, 'n-1');
  });

  it('show every stream of a user everything, once and in order, wherever it was sent', async (t) => {
    const all = await replicas(t, 3, { NOTIFY_LIVE_CONFIRM_TIMEOUT: '0s' });
    const streams: SseStream[] = [];
    for (const at of [...all, ...all]) streams.push(await open(t, at, 'alice'));
    for (const at of all) await known(at, 'alice', 4);
    const ids = Array.from({ length: 60 }, (_, i) => `n-${i}`);
    await Promise.all(ids.map((id, i) => notify(all[i % 3] as Service, id, ['alice'])));
    const got: string[][] = [];
    for (const stream of streams) {
      const seen: string[] = [];
      while (seen.length < ids.length) seen.push(String((await stream.nextJson('notification')).position));
      got.push(seen);
    }
    const inOrder = ids.map((_, i) => String(i + 1));
    for (const seen of got) assert.deepEqual(seen, inOrder);
  });

  it('tell the streams of the others what a call changed in the inbox', async (t) => {
    const [a, b] = await replicas(t, 2);
    assert.ok(a && b);
    const stream = await open(t, b, 'alice');
    await known(a, 'alice');
    await notify(a, 'n-1', ['alice']);
    const data = await stream.nextJson('notification');
    await call(a.url.client, procedures.ackNotification, { id: data.id }, as('alice'));
    const read = await stream.nextJson('inbox');
    assert.deepEqual([read.unreadCount, read.readIds], [0, [data.id]]);
    await call(a.url.client, `${inboxCall}MarkUnread`, { id: data.id }, as('alice'));
    assert.deepEqual((await stream.nextJson('inbox')).unreadIds, [data.id]);
    await call(a.url.client, `${inboxCall}DeleteNotification`, { id: data.id }, as('alice'));
    assert.deepEqual((await stream.nextJson('inbox')).removedIds, [data.id]);
    for (const id of ['n-2', 'n-3']) await notify(a, id, ['alice']);
    await call(a.url.client, `${inboxCall}MarkAllRead`, {}, as('alice'));
    const all = await stream.nextJson('inbox');
    assert.deepEqual([all.unreadCount, all.readUpToPosition], [0, '3']);
  });

  it('hand a data-change hint to every stream, until it is acknowledged at any of them', async (t) => {
    const [a, b] = await replicas(t, 2, { NOTIFY_LIVE_RETRY_INTERVAL: '200ms' });
    assert.ok(a && b);
    const [here, there] = [await open(t, a, 'alice'), await open(t, b, 'alice')];
    await known(a, 'alice');
    const { body } = await call(a.url.internal, 'notify.v1.ProducerService/PublishDataChange', {
      tenantId: 'demo',
      userIds: ['alice'],
      idempotencyKey: 'k',
      subjectRef: 'doc/1',
      subjectType: 'doc',
    });
    assert.equal(body.sessions, 2);
    for (const stream of [here, there])
      assert.equal((await stream.nextJson('data_change')).subjectRef, 'doc/1');
    // each acknowledges at the other replica
    for (const [stream, at] of [
      [here, b],
      [there, a],
    ] as const) {
      await known(at, 'alice');
      const sessionId = JSON.parse(stream.events[0]?.data ?? '').sessionId;
      const acknowledge = 'elloloop.notify.v1.NotificationClientService/AckDataChange';
      await call(at.url.client, acknowledge, { sessionId, idempotencyKey: 'k' }, as('alice'));
    }
    // the same key is sent again only by who has been acknowledged everywhere
    await eventually('both are acknowledged', async () => {
      const counts = () =>
        [here, there].map(({ events }) => events.filter(({ kind }) => kind === 'data_change').length);
      const before = counts();
      await call(a.url.internal, 'notify.v1.ProducerService/PublishDataChange', {
        tenantId: 'demo',
        userIds: ['alice'],
        idempotencyKey: 'k',
        subjectRef: 'doc/1',
        subjectType: 'doc',
      });
      await notify(a, `after-${before.join()}-${Math.random()}`, ['alice']);
      for (const stream of [here, there]) await stream.next('notification');
      return counts().every((count, i) => count > (before[i] ?? 0));
    });
  });

  it('hand on a hint of the largest sizes that are taken', async (t) => {
    const [a, b] = await replicas(t, 2);
    assert.ok(a && b);
    const stream = await open(t, b, 'alice');
    await known(a, 'alice');
    const escaped = '\u0001'.repeat(1024);
    const hint = { idempotencyKey: escaped, subjectRef: escaped, subjectType: escaped };
    const { body } = await call(a.url.internal, 'notify.v1.ProducerService/PublishDataChange', {
      tenantId: 'demo',
      userIds: ['alice'],
      ...hint,
    });
    assert.equal(body.sessions, 1);
    assert.deepEqual(await stream.nextJson('data_change'), hint);
  });

  it('count a user’s streams together', async (t) => {
    const [a, b] = await replicas(t, 2, { NOTIFY_LIVE_MAX_STREAMS_PER_USER: '2' });
    assert.ok(a && b);
    await open(t, a, 'alice');
    await open(t, b, 'alice');
    await known(a, 'alice');
    const refused = await openEvents(a.url.client, { headers: as('alice') });
    t.after(() => refused.close());
    assert.equal((await refused.nextJson('end')).reason, 'too_many_streams');
    // the other one's may be gone soon
    const [retry = 0] = refused.retries;
    assert.ok(retry >= 5_000 && retry <= 10_000, `retry: ${retry}`);
  });

  it('find what they could not hear of within a second, when the backplane is cut', async (t) => {
    const [a, b] = await replicas(t, 2);
    assert.ok(a && b);
    const stream = await open(t, b, 'alice');
    await known(a, 'alice');
    const cut = () =>
      postgres().sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN notify%' OR query LIKE 'SELECT pg_notify%'`,
      );
    for (let round = 0; round < 5; round++) {
      await cut();
      await notify(a, `n-${round}`, ['alice']);
      assert.equal((await stream.nextJson('notification')).notificationId, `n-${round}`);
    }
  });

  it('start work within a moment that another one leaves to them', async (t) => {
    const dsn = await postgres().database();
    const env = {
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn,
      NOTIFY_SYNC_ATTEMPT_TIMEOUT: '300ms',
    };
    const stuck = new FakeProvider('email');
    stuck.answer = () => new Promise(() => {});
    const free = new FakeProvider('email');
    const one = using(stuck);
    const other = using(free);
    // only the hint may wake the second one
    const a = await build(
      t,
      { ...env, ...one.env, NOTIFY_SHUTDOWN_TIMEOUT: '2s' },
      {
        ...one.overrides,
        dispatcher: { attemptsPerProvider: 1, heldPerChannel: 0 },
      },
    );
    const b = await build(
      t,
      { ...env, ...other.env },
      { ...other.overrides, dispatcher: { pollMs: 60_000 } },
    );
    await eventually('they know each other', () => a.core.peers !== undefined && b.core.peers !== undefined);
    const userIds = ['u1', 'u2', 'u3'];
    const addresses = Object.fromEntries(userIds.map((id) => [id, { byChannel: { email: id } }]));
    const body = await notify(a, 'n', userIds, { addresses, channels: ['DELIVERY_CHANNEL_EMAIL'] });
    assert.equal(body.pending, 3);
    await eventually('the other one has sent what was left', () => free.sent.length === 2);
  });
});
