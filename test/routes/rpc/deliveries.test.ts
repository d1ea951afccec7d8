import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { DeliveryError } from '../../../src/core/channel.ts';
import { fakeAmbient } from '../../support/ambient.ts';
import { as, build, call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeProvider, using } from '../../support/fake-provider.ts';
import { openEvents } from '../../support/sse.ts';

const listDeliveries = 'notify.v1.DeliveryService/ListDeliveries';
const getDelivery = 'notify.v1.DeliveryService/GetDelivery';
const retryDeliveries = 'notify.v1.DeliveryService/RetryDeliveries';
const cancelNotification = 'notify.v1.ProducerService/CancelNotification';
const snooze = 'notify.v1.InboxService/Snooze';

type Json = Record<string, unknown>;
interface Delivery extends Json {
  readonly id: string;
  readonly status: string;
  readonly channel: string;
  readonly attempts: Json[];
}

/** A service on a clock that the test moves, with an email provider that it scripts. */
async function bench(t: TestContext) {
  const ambient = fakeAmbient();
  const mail = new FakeProvider('email');
  const { env, overrides } = using(mail);
  // streams go first: the service would end them on a clock that nobody moves any more
  const closers: (() => unknown)[] = [];
  t.after(async () => {
    for (const close of closers.reverse()) await close();
  });
  const service = await build(
    { after: (close) => closers.push(close) },
    { ...env, NOTIFY_LIVE_HEARTBEAT_INTERVAL: '1h' },
    { ...overrides, ambient },
  );
  const producer = async (method: string, request: Json, status = 200) => {
    const answer = await call(service.url.internal, method, { tenantId: 'demo', ...request });
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    return answer.body;
  };
  return {
    ambient,
    mail,
    service,
    producer,
    now: () => ambient.clock.now(),
    notify: (id: string, over: Json = {}) =>
      producer(procedures.notify, {
        notificationId: id,
        userIds: ['alice'],
        title: id,
        addresses: { alice: { byChannel: { email: 'alice@example.org' } } },
        returnResults: true,
        ...over,
      }),
    deliveries: async (over: Json = {}) =>
      (await producer(listDeliveries, over)).deliveries as unknown as Delivery[],
    delivery: async (id: string) => (await producer(getDelivery, { id })).delivery as unknown as Delivery,
    inbox: async (user = 'alice') => {
      const { body } = await call(service.url.client, procedures.getNotifications, {}, as(user));
      return body as Json & { notifications: Json[] };
    },
    recipient: (method: string, request: Json, user = 'alice') =>
      call(service.url.client, method, request, as(user)),
    stream: async (user = 'alice') => {
      const stream = await openEvents(service.url.client, { headers: as(user) });
      closers.push(() => stream.close());
      await stream.next('inbox');
      return stream;
    },
  };
}

const refused = async () => {
  throw new DeliveryError('http_400', 'no such mailbox', { retryable: false });
};

describe('the delivery log', () => {
  it('shows every attempt of a delivery, and what it was', async (t) => {
    const one = await bench(t);
    one.mail.answer = async () => {
      throw new DeliveryError('http_503', 'come back later', { retryable: true, retryAfterMs: 60_000 });
    };
    const { results } = await one.notify('n-1');
    const [, byEmail] = results as Json[];
    assert.equal(byEmail?.reason, 'http_503');
    assert.ok(Number(byEmail?.dueAtMs) >= one.now() + 60_000);
    one.mail.answer = async () => {};
    await one.ambient.clock.advance(70_000);
    const [pending] = await one.deliveries({ channel: 'DELIVERY_CHANNEL_EMAIL' });
    assert.ok(pending);
    assert.deepEqual(pending.attempts, [], 'not in a list');
    const { attempts, ...delivery } = await one.delivery(pending.id);
    assert.deepEqual(
      attempts.map(({ status, reason, detail, provider }) => [status, reason, detail, provider]),
      [
        ['DELIVERY_STATUS_FAILED', 'http_503', 'come back later', 'fake'],
        ['DELIVERY_STATUS_DELIVERED', '', '', 'fake'],
      ],
    );
    assert.deepEqual(
      [
        delivery.status,
        delivery.userId,
        delivery.notificationId,
        delivery.destination,
        delivery.attemptCount,
      ],
      ['DELIVERY_STATUS_DELIVERED', 'alice', 'n-1', 'alice@example.org', 2],
    );
    assert.equal(delivery.providerMessageId, 'fake-2');
  });

  it('pages and filters', async (t) => {
    const one = await bench(t);
    for (let i = 0; i < 5; i++) await one.notify(`n-${i}`);
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await one.producer(listDeliveries, { limit: 3, cursor });
      seen.push(...(page.deliveries as Delivery[]).map(({ id }) => id));
      cursor = String(page.nextCursor);
    } while (cursor !== '');
    assert.equal(new Set(seen).size, 10);
    assert.equal((await one.deliveries({ notificationId: 'n-3' })).length, 2);
    assert.equal((await one.deliveries({ userId: 'bob' })).length, 0);
    assert.equal((await one.deliveries({ status: 'DELIVERY_STATUS_DELIVERED' })).length, 5);
    assert.equal((await one.deliveries({ tenantId: 'other' })).length, 0);
  });

  it('names what is wrong with a question', async (t) => {
    const one = await bench(t);
    const message = async (method: string, request: Json) =>
      String((await one.producer(method, request, 400)).message);
    assert.match(await message(listDeliveries, { tenantId: '' }), /^tenant_id: must not be blank/);
    assert.match(
      await message(listDeliveries, { cursor: 'x' }),
      /^cursor: is not one that this service gave/,
    );
    assert.match(
      await message(listDeliveries, { status: 'DELIVERY_STATUS_READ' }),
      /^status: must be PENDING/,
    );
    assert.match(await message(listDeliveries, { channel: 77 }), /channel/);
    assert.match(
      await message(listDeliveries, { sinceMs: '5', untilMs: '5' }),
      /^until_ms: must be later than since_ms/,
    );
    assert.match(await message(retryDeliveries, {}), /^channel: must be named where there are no ids/);
    assert.match(
      await message(retryDeliveries, { ids: ['x'], channel: 'DELIVERY_CHANNEL_EMAIL' }),
      /^ids: must stand alone/,
    );
    assert.match(
      await message(retryDeliveries, { ids: Array.from({ length: 1_001 }, String) }),
      /^ids: must be at most 1,000/,
    );
    const unknown = await one.producer(getDelivery, { id: 'no-uuid' }, 404);
    assert.deepEqual([unknown.code, unknown.message], ['not_found', 'no such delivery of this tenant']);
    const denied = await call(one.service.url.client, listDeliveries, { tenantId: 'demo' });
    assert.equal(denied.status, 404, 'not on the public port');
  });

  it('sends failed deliveries again: by id, or all of a channel', async (t) => {
    const one = await bench(t);
    one.mail.answer = refused;
    for (const id of ['n-1', 'n-2', 'n-3']) await one.notify(id);
    const failed = await one.deliveries({ status: 'DELIVERY_STATUS_FAILED' });
    assert.equal(failed.length, 3);
    one.mail.answer = async () => {};
    assert.deepEqual(await one.producer(retryDeliveries, { ids: [failed[0]?.id, 'unknown'] }), {
      retried: 1,
    });
    await one.ambient.clock.advance(1_000);
    assert.equal((await one.deliveries({ status: 'DELIVERY_STATUS_FAILED' })).length, 2);
    assert.deepEqual(await one.producer(retryDeliveries, { channel: 'DELIVERY_CHANNEL_EMAIL' }), {
      retried: 2,
    });
    await one.ambient.clock.advance(1_000);
    assert.deepEqual(await one.deliveries({ status: 'DELIVERY_STATUS_FAILED' }), []);
    assert.equal(one.mail.sent.length, 6);
  });
});

describe('send_at_ms', () => {
  it('keeps a notification out of everything until its time, and then shows it everywhere', async (t) => {
    const one = await bench(t);
    const stream = await one.stream();
    const sendAtMs = String(one.now() + 60_000);
    for (const [over, created] of [
      [{ sendAtMs }, true],
      [{ sendAtMs }, false],
      [{ sendAtMs: String(one.now() + 90_000) }, false],
      [{}, false],
    ] as const) {
      const { pending, results } = await one.notify('n-1', over);
      assert.equal(pending, 2);
      assert.deepEqual(
        (results as Json[]).map((result) => [result.status, result.created, result.dueAtMs]),
        [
          ['DELIVERY_STATUS_PENDING', created, sendAtMs],
          ['DELIVERY_STATUS_PENDING', created, sendAtMs],
        ],
      );
    }
    await one.ambient.clock.advance(59_000);
    assert.deepEqual([one.mail.sent.length, (await one.inbox()).unreadCount], [0, 0]);
    await one.ambient.clock.advance(2_000);
    assert.equal((await stream.nextJson('notification')).notificationId, 'n-1');
    assert.equal(one.mail.sent.length, 1);
    assert.equal((await one.inbox()).unreadCount, 1);
  });

  it('in the past is at once; in seconds, or after the expiry, is refused', async (t) => {
    const one = await bench(t);
    await one.notify('past', { sendAtMs: String(one.now() - 1) });
    assert.equal(one.mail.sent.length, 1);
    const message = async (over: Json) => {
      const request = { tenantId: 'demo', notificationId: 'n', userIds: ['alice'], ...over };
      return String((await one.producer(procedures.notify, request, 400)).message);
    };
    assert.match(
      await message({ sendAtMs: '1900000000' }),
      /^send_at_ms: must be milliseconds; this looks like/,
    );
    assert.match(await message({ sendAtMs: '-1' }), /^send_at_ms: must be UTC epoch milliseconds/);
    const at = one.now() + 60_000;
    assert.match(
      await message({ sendAtMs: String(at), expiresAtMs: String(at) }),
      /^expires_at_ms: must be later than send_at_ms/,
    );
  });
});

describe('CancelNotification', () => {
  it('stops what was for later, once', async (t) => {
    const one = await bench(t);
    await one.notify('n-1', { sendAtMs: String(one.now() + 60_000) });
    assert.deepEqual(await one.producer(cancelNotification, { notificationId: 'n-1' }), { cancelled: 2 });
    assert.deepEqual(await one.producer(cancelNotification, { notificationId: 'n-1' }), { cancelled: 0 });
    await one.ambient.clock.advance(120_000);
    assert.deepEqual([one.mail.sent.length, (await one.inbox()).notifications.length], [0, 0]);
  });

  it('takes back what has appeared only when it is retracted, and tells open pages', async (t) => {
    const one = await bench(t);
    const stream = await one.stream();
    await one.notify('n-1');
    const { id } = await stream.nextJson('notification');
    await one.producer(cancelNotification, { notificationId: 'n-1' });
    assert.equal((await one.inbox()).unreadCount, 1);
    await one.producer(cancelNotification, { notificationId: 'n-1', retract: true });
    const { removedIds, unreadCount } = await stream.nextJson('inbox');
    assert.deepEqual([removedIds, unreadCount], [[id], 0]);
    assert.deepEqual((await one.inbox()).notifications, []);
  });

  it('names what is wrong with it', async (t) => {
    const one = await bench(t);
    const { message } = await one.producer(cancelNotification, { notificationId: ' ', userIds: [''] }, 400);
    assert.equal(message, 'notification_id: must not be blank; user_ids[0]: must not be blank');
  });
});

describe('Snooze', () => {
  it('hides an item from every page until its time', async (t) => {
    const one = await bench(t);
    await one.notify('first');
    await one.notify('second');
    const stream = await one.stream();
    const [, item] = (await one.inbox()).notifications;
    const untilMs = String(one.now() + 600_000);
    assert.equal((await one.recipient(snooze, { id: item?.id, untilMs })).status, 200);
    assert.deepEqual((await stream.nextJson('inbox')).removedIds, [item?.id]);
    const hidden = await one.inbox();
    assert.deepEqual([hidden.unreadCount, hidden.notifications.length], [1, 1]);
    const { body } = await one.recipient('notify.v1.InboxService/GetNotification', { id: item?.id });
    assert.equal((body.notification as Json).snoozedUntilMs, untilMs);
    await one.ambient.clock.advance(600_000);
    await eventually('it is back', async () => (await one.inbox()).unreadCount === 2);
    assert.equal((await one.inbox()).notifications[0]?.id, item?.id, 'at the top');
    assert.equal((await stream.nextJson('notification')).id, item?.id);
  });

  it('ends at once with 0, and refuses a time that is over', async (t) => {
    const one = await bench(t);
    await one.notify('first');
    const [item] = (await one.inbox()).notifications;
    await one.recipient(snooze, { id: item?.id, untilMs: String(one.now() + 60_000) });
    const stream = await one.stream();
    await one.recipient(snooze, { id: item?.id, untilMs: '0' });
    assert.equal((await stream.nextJson('notification')).id, item?.id);
    const { status, body } = await one.recipient(snooze, { id: item?.id, untilMs: String(one.now()) });
    assert.deepEqual([status, body.code], [400, 'invalid_argument']);
    assert.match(String(body.message), /^until_ms: must be a time in the future/);
    const foreign = await one.recipient(snooze, { id: item?.id, untilMs: '0' }, 'eve');
    assert.equal(foreign.status, 404);
  });
});

describe('an item that expires', () => {
  it('leaves open pages at its time', async (t) => {
    const one = await bench(t);
    await one.notify('n-1', {
      expiresAtMs: String(one.now() + 60_000),
      channels: ['DELIVERY_CHANNEL_IN_APP'],
    });
    assert.equal((await one.inbox()).unreadCount, 1);
    const summaries: Json[] = [];
    one.service.core.liveHub.inboxChanged = (_owner, change) => summaries.push({ ...change });
    await one.ambient.clock.advance(61_000);
    assert.deepEqual(
      summaries.map(({ removedIds }) => (removedIds as string[]).length),
      [1],
    );
    assert.equal((await one.inbox()).unreadCount, 0);
  });
});
