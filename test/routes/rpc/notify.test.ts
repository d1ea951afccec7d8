import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { GetNotificationsResponseSchema } from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { isUuid } from '../../../src/core/ambient.ts';
import { DeliveryError } from '../../../src/core/channel.ts';
import { NotifyError } from '../../../src/core/errors.ts';
import { fakeAmbient } from '../../support/ambient.ts';
import { build, call, procedures, type Service } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeProvider, using } from '../../support/fake-provider.ts';
import { jwt } from '../../support/jwt.ts';
import { openEvents, type SseStream } from '../../support/sse.ts';
import { dialects, speak } from '../../support/wire.ts';

const secret = 'a secret of at least thirty-two bytes';
const calm = { pressure: { maxEventLoopDelayMs: 60_000, sampleIntervalMs: 1_000 } };
const [email, sms, push] = [
  new FakeProvider('email'),
  new FakeProvider('sms'),
  new FakeProvider('mobile_push'),
];
const { env, overrides } = using(email, sms, push);
// what fails here is tried again some day, not while another test counts
const someDay = { NOTIFY_RETRY_BASE: '24h', NOTIFY_RETRY_MAX: '24h' };
const service = await build(
  { after },
  { ...env, ...someDay, NOTIFY_AUTH_JWT_SECRET: secret },
  { ...overrides, ...calm },
);

let count = 0;
/** A name that no other test has. */
const fresh = (what = 'user'): string => `${what}-${++count}`;

const inApp = 'DELIVERY_CHANNEL_IN_APP';
const byEmail = 'DELIVERY_CHANNEL_EMAIL';
const bySms = 'DELIVERY_CHANNEL_SMS';
const byPush = 'DELIVERY_CHANNEL_MOBILE_PUSH';

type Json = Record<string, unknown>;

interface Item extends Json {
  readonly id: string;
  readonly notificationId: string;
  readonly title: string;
  readonly body: string;
  readonly status: string;
  readonly channel: string;
}

const bearer = (user: string, tenant = 'demo') => ({
  authorization: `Bearer ${jwt(secret, { sub: user, tenant })}`,
});

/** Calls Notify; every text that is not named is something. */
async function notify(request: Json, at: Service = service): Promise<Json> {
  const { status, body } = await call(at.url.internal, procedures.notify, {
    tenantId: 'demo',
    notificationId: 'n',
    title: 'title',
    body: 'body',
    ...request,
  });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

const counts = ({ delivered, pending, failed }: Json) => [delivered, pending, failed];

async function recipient(method: string, user: string, request: Json = {}, tenant = 'demo'): Promise<Json> {
  const { status, body } = await call(service.url.client, method, request, bearer(user, tenant));
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

interface Page extends Json {
  readonly notifications: Item[];
  readonly nextCursor: string;
  readonly unreadCount: number;
}

const inbox = (user: string, request: Json = {}, tenant = 'demo') =>
  recipient(procedures.getNotifications, user, request, tenant) as Promise<Page>;

async function only(user: string, tenant = 'demo'): Promise<Item> {
  const { notifications } = await inbox(user, {}, tenant);
  assert.equal(notifications.length, 1);
  return notifications[0] as Item;
}

const addressed = (user: string, address: string) => ({ [user]: { byChannel: { email: address } } });

/** A provider's answer that a test gives when it is ready. */
function held(provider: FakeProvider) {
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  provider.answer = () => new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  return waiting;
}

describe('the counts of a call', () => {
  it('are pending for an in-app item while nobody is connected, and delivered to who is', async (t) => {
    const user = fresh();
    assert.deepEqual(await notify({ userIds: [user] }), { delivered: 0, pending: 1, failed: 0, results: [] });
    const stream = await listen(t, user);
    assert.deepEqual(counts(await notify({ userIds: [user], notificationId: 'm' })), [1, 0, 0]);
    stream.close();
  });

  it('are of each channel for itself: in-app pending, email delivered', async () => {
    const user = fresh();
    const request = {
      userIds: [user],
      channels: [inApp, byEmail],
      addresses: addressed(user, `${user}@a.org`),
    };
    assert.deepEqual(counts(await notify(request)), [1, 1, 0]);
    const [sent] = email.sent.filter(({ userId }) => userId === user);
    assert.equal(sent?.destination, `${user}@a.org`);
    assert.deepEqual([sent.content.title, sent.content.body], ['title', 'body']);
    assert.ok(isUuid(sent.idempotencyKey));
  });

  it('are per user and channel: three users and three channels sum to nine', async () => {
    const users = [fresh(), fresh(), fresh()];
    const [first = ''] = users;
    const channels = [inApp, byEmail, bySms];
    const answer = await notify({ userIds: users, channels, addresses: addressed(first, 'a@a.org') });
    assert.deepEqual(counts(answer), [1, 8, 0]);
  });

  it('count users and channels that are named twice once', async () => {
    const user = fresh();
    const addresses = addressed(user, `${user}@a.org`);
    const answer = await notify({
      userIds: [user, user],
      channels: [byEmail, byEmail, inApp, byEmail],
      addresses,
      returnResults: true,
    });
    assert.deepEqual(counts(answer), [1, 1, 0]);
    assert.equal((answer.results as Json[]).length, 2);
    assert.equal(email.destinations.filter((to) => to === `${user}@a.org`).length, 1);
    assert.deepEqual((await only(user)).channels, [byEmail, inApp]);
  });

  it('count a channel with several devices once, by the best of them', async () => {
    const user = fresh();
    const device = { deviceType: 'DEVICE_TYPE_ANDROID' };
    for (const name of ['tablet', 'phone'])
      await recipient(registerPushToken, user, { ...device, deviceId: name, token: `${name}-of-${user}` });
    push.answer = async ({ destination }) => {
      if (destination.startsWith('tablet'))
        throw new DeliveryError('unregistered_token', 'gone', { retryable: false });
    };
    const answer = await notify({ userIds: [user], channels: [byPush], returnResults: true });
    assert.deepEqual(counts(answer), [1, 0, 0]);
    assert.deepEqual(
      push.destinations.filter((to) => to.endsWith(user)),
      [`phone-of-${user}`, `tablet-of-${user}`],
    );
    assert.equal((answer.results as Json[]).length, 1);
  });
});

const registerPushToken = 'elloloop.notify.v1.NotificationClientService/RegisterPushToken';

describe('the channels of a call', () => {
  it('are, when none is named, those that have a provider and a destination, in-app always', async () => {
    const [plain, reachable] = [fresh(), fresh()];
    assert.deepEqual(counts(await notify({ userIds: [plain] })), [0, 1, 0]);
    assert.deepEqual((await only(plain)).channels, [inApp]);
    const addresses = {
      [reachable]: {
        byChannel: {
          email: 'a@a.org',
          sms: '+4912345678',
          whatsapp: '+4912345678',
          fax: '1',
          EMAIL: 'b@a.org',
        },
      },
    };
    assert.deepEqual(counts(await notify({ userIds: [reachable], addresses })), [2, 1, 0]);
    assert.deepEqual((await only(reachable)).channels, [inApp, byEmail, bySms]);
  });

  it('stay pending when they are named without an address, without a provider, or with the address ""', async () => {
    const user = fresh();
    const before = email.sent.length + sms.sent.length;
    const answer = await notify({
      userIds: [user],
      channels: [
        byEmail,
        bySms,
        'DELIVERY_CHANNEL_WHATSAPP',
        'DELIVERY_CHANNEL_WEBHOOK',
        'DELIVERY_CHANNEL_CHAT',
      ],
      addresses: { [user]: { byChannel: { sms: '', whatsapp: '+4912345678' } } },
      returnResults: true,
    });
    assert.deepEqual(counts(answer), [0, 5, 0]);
    assert.deepEqual(
      (answer.results as Json[]).map(({ status, reason }) => [status, reason]),
      [
        ['DELIVERY_STATUS_PENDING', 'no_destination'],
        ['DELIVERY_STATUS_PENDING', 'no_destination'],
        ['DELIVERY_STATUS_PENDING', 'no_provider'],
        ['DELIVERY_STATUS_PENDING', 'no_destination'],
        ['DELIVERY_STATUS_PENDING', 'no_destination'],
      ],
    );
    assert.equal(email.sent.length + sms.sent.length, before);
  });

  it('that are not in-app reach the inbox, but not the unread count', async () => {
    const user = fresh();
    await notify({ userIds: [user], channels: [byEmail] });
    const { notifications, unreadCount } = await inbox(user);
    assert.equal(notifications[0]?.channel, byEmail);
    assert.equal(unreadCount, 0);
    assert.deepEqual((await inbox(user, { unreadOnly: true })).notifications, []);
    await notify({ userIds: [user], notificationId: 'm', channels: [bySms, inApp] });
    const page = await inbox(user);
    assert.equal(page.notifications[0]?.channel, inApp);
    assert.equal(page.unreadCount, 1);
  });

  it('push take the devices that are registered, and an address in the call before them', async () => {
    const [owner, heir] = [fresh(), fresh()];
    const token = `token-of-${owner}`;
    await recipient(registerPushToken, owner, { deviceType: 'DEVICE_TYPE_IOS', token });
    assert.deepEqual(counts(await notify({ userIds: [owner] })), [1, 1, 0]);
    await notify({
      userIds: [owner],
      notificationId: 'm',
      addresses: { [owner]: { byChannel: { mobile_push: 'given' } } },
    });
    assert.deepEqual(
      push.sent.filter(({ userId }) => userId === owner).map(({ destination }) => destination),
      [token, 'given'],
    );
    // the phone changes hands
    await recipient(registerPushToken, heir, { deviceType: 'DEVICE_TYPE_IOS', token });
    assert.deepEqual(counts(await notify({ userIds: [owner], notificationId: 'o' })), [0, 1, 0]);
    assert.deepEqual(counts(await notify({ userIds: [heir] })), [1, 1, 0]);
  });

  it('push try a device no more once its user has unregistered it', async () => {
    const owner = fresh();
    await recipient(registerPushToken, owner, { deviceType: 'DEVICE_TYPE_IOS', token: `token-of-${owner}` });
    const unregister = 'notify.v1.InboxService/UnregisterPushToken';
    for (let i = 0; i < 2; i++) await recipient(unregister, owner, { deviceType: 'DEVICE_TYPE_IOS' });
    const { results } = await notify({ userIds: [owner], notificationId: fresh('n'), returnResults: true });
    assert.deepEqual(
      (results as Json[]).map(({ channel }) => channel),
      [inApp],
    );
    const { status, body } = await call(service.url.client, unregister, {}, bearer(owner));
    assert.deepEqual([status, body.code], [400, 'invalid_argument']);
    assert.match(String(body.message), /^device_type: must be one of DEVICE_TYPE_BROWSER/);
  });

  it('in-app goes to the user whatever address is given for it', async (t) => {
    const [user, other] = [fresh(), fresh()];
    const stream = await listen(t, other);
    await notify({ userIds: [user], addresses: { [user]: { byChannel: { in_app: other } } } });
    await notify({ userIds: [other], notificationId: 'sentinel' });
    assert.equal((await stream.next('notification')).notificationId, 'sentinel');
    assert.equal((await only(user)).notificationId, 'n');
  });

  it('each keep their own status: one fails, one is delivered, one waits', async () => {
    const user = fresh();
    email.answer = async () => {
      throw new DeliveryError('rejected', 'no such mailbox', { retryable: false });
    };
    const addresses = { [user]: { byChannel: { email: 'a@a.org', sms: '+4912345678' } } };
    const answer = await notify({
      userIds: [user],
      channels: [byEmail, bySms, inApp],
      addresses,
      returnResults: true,
    });
    email.answer = async () => {};
    assert.deepEqual(counts(answer), [1, 1, 1]);
    assert.deepEqual(
      (answer.results as Json[]).map(({ channel, status, reason }) => [channel, status, reason]),
      [
        [byEmail, 'DELIVERY_STATUS_FAILED', 'rejected'],
        [bySms, 'DELIVERY_STATUS_DELIVERED', ''],
        [inApp, 'DELIVERY_STATUS_PENDING', ''],
      ],
    );
    assert.equal((await only(user)).status, 'DELIVERY_STATUS_DELIVERED');
  });
});

/** A user's live stream, once it is live. */
async function listen(t: { after(close: () => void): void }, user: string, tenant = 'demo') {
  const stream: SseStream = await openEvents(service.url.client, { headers: bearer(user, tenant) });
  t.after(stream.close);
  const next = async (kind: string) => JSON.parse((await stream.next(kind)).data) as Json;
  await next('inbox');
  return { next, close: stream.close };
}

describe('a repeated call', () => {
  it('sends nothing again and answers what is stored', async () => {
    const user = fresh();
    const failing = fresh();
    const addresses = { ...addressed(user, `${user}@a.org`), ...addressed(failing, 'bad') };
    email.answer = async ({ destination }) => {
      if (destination === 'bad') throw new DeliveryError('rejected', 'no', { retryable: false });
    };
    const request = { userIds: [user, failing], channels: [inApp, byEmail, bySms], addresses };
    const first = await notify(request);
    assert.deepEqual(counts(first), [1, 4, 1]);
    const sent = email.sent.length;
    email.answer = async () => {};
    for (let i = 0; i < 3; i++) assert.deepEqual(await notify(request), first);
    assert.deepEqual(
      counts(await notify({ ...request, userIds: [user] })),
      [1, 2, 0],
      'only the users it names',
    );
    assert.equal(email.sent.length, sent);
    const { results } = (await notify({ ...request, returnResults: true })) as { results: Json[] };
    assert.deepEqual(
      results.map(({ created }) => created),
      Array.from({ length: 6 }, () => false),
    );
  });

  it('changes no text, no status and no time, and is not pushed to streams', async (t) => {
    const user = fresh();
    await notify({ userIds: [user], title: 'first' });
    const before = await only(user);
    await recipient(procedures.ackNotification, user, { id: before.id });
    const read = await only(user);
    const stream = await listen(t, user);
    const again = {
      userIds: [user],
      title: 'second',
      body: 'other',
      data: { a: 1 },
      urgency: 'URGENCY_HIGH',
      expiresAtMs: '100000000000',
    };
    assert.deepEqual(counts(await notify(again)), [0, 1, 0]);
    assert.deepEqual(await only(user), read);
    await notify({ userIds: [user], notificationId: 'sentinel' });
    assert.equal((await stream.next('notification')).notificationId, 'sentinel');
  });

  it('adds no channels, and creates what it adds in users', async () => {
    const [user, other] = [fresh(), fresh()];
    await notify({ userIds: [user] });
    const request = {
      userIds: [user, other],
      channels: [inApp, bySms],
      addresses: { [user]: { byChannel: { sms: '+491234567' } } },
    };
    const answer = await notify({ ...request, returnResults: true });
    assert.deepEqual(counts(answer), [0, 3, 0]);
    assert.deepEqual(
      (answer.results as Json[]).map(({ userId, channel, created }) => [userId, channel, created]),
      [
        [user, inApp, false],
        [other, inApp, true],
        [other, bySms, true],
      ],
    );
    assert.ok(!sms.sent.some(({ userId }) => userId === user));
  });

  it('is another notification in another tenant and for another user', async (t) => {
    const user = fresh();
    const stream = await listen(t, user, 'one');
    await notify({ tenantId: 'two', userIds: [user], title: 'of two' });
    await notify({ tenantId: 'one', userIds: [user], title: 'of one' });
    assert.equal((await stream.next('notification')).title, 'of one', 'a stream hears its own tenant only');
    assert.equal((await only(user, 'one')).title, 'of one');
    assert.equal((await only(user, 'two')).title, 'of two');
    assert.notEqual((await only(user, 'one')).id, (await only(user, 'two')).id);
  });

  it('in fifty calls at once sends once, whatever the protocol', async () => {
    const user = fresh();
    const request = {
      tenantId: 'demo',
      notificationId: 'n',
      userIds: [user],
      channels: [1, 2],
      addresses: addressed(user, `${user}@a.org`),
    };
    const body = Buffer.from(JSON.stringify(request));
    const spoken = dialects.filter(({ isJson }) => isJson);
    const answers = await Promise.all(
      Array.from({ length: 13 }, () =>
        spoken.map((dialect) => speak(dialect, service.url.internal, procedures.notify, body)),
      ).flat(),
    );
    assert.equal(answers.length, 52);
    for (const { error } of answers) assert.equal(error, undefined);
    assert.deepEqual(
      email.destinations.filter((to) => to === `${user}@a.org`),
      [`${user}@a.org`],
    );
    assert.equal((await inbox(user)).notifications.length, 1);
    assert.deepEqual(counts(await notify(request)), [1, 1, 0]);
  });

  it('inside one batch sends once', async () => {
    const user = fresh();
    const request = {
      tenantId: 'demo',
      notificationId: 'n',
      userIds: [user],
      addresses: addressed(user, `${user}@a.org`),
    };
    const { body } = await call(service.url.internal, 'notify.v1.ProducerService/NotifyBatch', {
      requests: [request, request, request],
    });
    assert.equal((body.results as Json[]).length, 3);
    assert.equal(email.destinations.filter((to) => to === `${user}@a.org`).length, 1);
    await only(user);
  });

  it('brings an address to a channel that waits for one, which is then attempted once', async () => {
    const user = fresh();
    const request = { userIds: [user], channels: [inApp, byEmail], title: 'first' };
    assert.deepEqual(counts(await notify(request)), [0, 2, 0]);
    const brings = { ...request, title: 'second', addresses: addressed(user, `${user}@a.org`) };
    await Promise.all(Array.from({ length: 20 }, () => notify(brings)));
    assert.deepEqual(
      counts(await notify({ ...brings, addresses: addressed(user, 'later@a.org') })),
      [1, 1, 0],
    );
    const sent = email.sent.filter(({ userId }) => userId === user);
    assert.deepEqual(
      sent.map(({ destination, content }) => [destination, content.title]),
      [[`${user}@a.org`, 'first']],
    );
  });

  it('does not wake a channel whose address was given as "", until it brings one', async () => {
    const user = fresh();
    const request = { userIds: [user], channels: [byEmail], addresses: addressed(user, '') };
    assert.deepEqual(counts(await notify(request)), [0, 1, 0]);
    assert.deepEqual(counts(await notify(request)), [0, 1, 0]);
    assert.ok(!email.sent.some(({ userId }) => userId === user));
    assert.deepEqual(counts(await notify({ ...request, addresses: addressed(user, 'a@a.org') })), [1, 0, 0]);
  });

  it('sends nothing after the recipient has deleted the item', async () => {
    const user = fresh();
    await notify({ userIds: [user], channels: [inApp, byEmail] });
    await recipient('notify.v1.InboxService/DeleteNotification', user, { id: (await only(user)).id });
    assert.deepEqual(
      counts(
        await notify({ userIds: [user], channels: [inApp, byEmail], addresses: addressed(user, 'a@a.org') }),
      ),
      [0, 2, 0],
    );
    assert.ok(!email.sent.some(({ userId }) => userId === user));
    assert.deepEqual((await inbox(user)).notifications, []);
  });
});

describe('an attempt that fails', () => {
  const attempt = async (error: Error) => {
    const user = fresh();
    email.answer = async () => {
      throw error;
    };
    const request = {
      userIds: [user],
      channels: [byEmail],
      addresses: addressed(user, 'a@a.org'),
      returnResults: true,
    };
    const answer = await notify(request);
    email.answer = async () => {};
    const again = await notify(request);
    assert.deepEqual(counts(again), counts(answer), 'a repeat answers the same');
    assert.equal(email.sent.filter(({ userId }) => userId === user).length, 1, 'and attempts nothing');
    const [result] = answer.results as Json[];
    return [...counts(answer), result?.status, result?.reason];
  };

  it('for now is pending: it will be tried again', async () => {
    const error = new DeliveryError('throttled', 'too many', { retryable: true });
    assert.deepEqual(await attempt(error), [0, 1, 0, 'DELIVERY_STATUS_PENDING', 'throttled']);
  });

  it('for good is failed', async () => {
    const error = new DeliveryError('bad_address', 'no such mailbox', { retryable: false });
    assert.deepEqual(await attempt(error), [0, 0, 1, 'DELIVERY_STATUS_FAILED', 'bad_address']);
  });

  it('for a reason that nobody knows is pending, and the reason stays in the log', async () => {
    const error = new Error('password hunter2 refused');
    assert.deepEqual(await attempt(error), [0, 1, 0, 'DELIVERY_STATUS_PENDING', 'provider_error']);
  });

  it('leaves the other users of the call alone', async () => {
    const users = Array.from({ length: 40 }, () => fresh());
    email.answer = async ({ userId }) => {
      if (Number(userId.slice(5)) % 2 === 0)
        throw new DeliveryError('bad_address', 'no', { retryable: false });
    };
    const addresses = Object.fromEntries(
      users.map((user) => [user, { byChannel: { email: `${user}@a.org` } }]),
    );
    assert.deepEqual(counts(await notify({ userIds: users, channels: [byEmail], addresses })), [20, 0, 20]);
    email.answer = async () => {};
  });
});

describe('an attempt that takes long', () => {
  it('is pending in the answer after the time for it, and goes on', async (t) => {
    const slow = new FakeProvider('email');
    const ambient = fakeAmbient();
    const provided = using(slow);
    const patient = await build(
      t,
      { ...provided.env, NOTIFY_SYNC_ATTEMPT_TIMEOUT: '5s' },
      { ...provided.overrides, ...calm, ambient },
    );
    const waiting = held(slow);
    const request = {
      userIds: ['alice', 'bob'],
      channels: [byEmail],
      addresses: { ...addressed('alice', 'slow'), ...addressed('bob', 'slower') },
    };
    const answer = notify(request, patient);
    await eventually('both attempts are under way', () => waiting.length === 2);
    await ambient.clock.advance(4_999);
    waiting[0]?.resolve();
    await ambient.clock.advance(1);
    assert.deepEqual(counts(await answer), [1, 1, 0], 'one in time, one late');
    assert.deepEqual(counts(await notify(request, patient)), [1, 1, 0], 'a repeat does not attempt it again');
    waiting[1]?.resolve();
    await eventually(
      'the late one is delivered',
      async () => (await notify(request, patient)).delivered === 2,
    );
    assert.equal(slow.sent.length, 2);
  });

  it('is given up after half a minute and stays pending', async (t) => {
    const dead = new FakeProvider('email');
    const ambient = fakeAmbient();
    const provided = using(dead);
    const patient = await build(
      t,
      { ...provided.env, NOTIFY_SYNC_ATTEMPT_TIMEOUT: '60s' },
      { ...provided.overrides, ...calm, ambient },
    );
    let signal: AbortSignal | undefined;
    dead.answer = (_message, options) => {
      signal = options.signal;
      return new Promise(() => {});
    };
    const answer = notify(
      {
        userIds: ['alice'],
        channels: [byEmail],
        addresses: addressed('alice', 'a@a.org'),
        returnResults: true,
      },
      patient,
    );
    await eventually('the attempt is under way', () => signal);
    await ambient.clock.advance(30_000);
    const [result] = (await answer).results as Json[];
    assert.deepEqual([result?.status, result?.reason], ['DELIVERY_STATUS_PENDING', 'timeout']);
    assert.equal(signal?.aborted, true);
  });

  it('does not turn an item back that was read meanwhile', async () => {
    const user = fresh();
    const waiting = held(email);
    const answer = notify({
      userIds: [user],
      channels: [inApp, byEmail],
      addresses: addressed(user, 'a@a.org'),
    });
    await eventually('the attempt is under way', () => waiting.length === 1);
    const { id } = await only(user);
    await recipient(procedures.ackNotification, user, { id });
    const { readAtMs } = await only(user);
    waiting[0]?.resolve();
    email.answer = async () => {};
    assert.deepEqual(counts(await answer), [1, 1, 0]);
    const late = await only(user);
    assert.deepEqual([late.status, late.readAtMs], ['DELIVERY_STATUS_READ', readAtMs]);
    await recipient(procedures.ackNotification, user, { id });
    assert.equal((await only(user)).readAtMs, readAtMs, 'a second acknowledgement moves nothing');
  });
});

describe('a store that has no room for one of the users', () => {
  it('fails that user alone, says so, and a repeat completes the call', async (t) => {
    const mail = new FakeProvider('email');
    const provided = using(mail);
    const full = await build(t, provided.env, { ...provided.overrides, ...calm });
    const { createNotifications } = full.core.store;
    full.core.store.createNotifications = async (batch, lease) => {
      const outcomes = await createNotifications(
        batch.filter(({ userId }) => userId !== 'bob'),
        lease,
      );
      const error = new NotifyError('resource_exhausted', 'this inbox is full');
      return batch.map(({ userId }) =>
        userId === 'bob' ? { error } : (outcomes.shift() as (typeof outcomes)[number]),
      );
    };
    const request = {
      tenantId: 'demo',
      notificationId: 'n',
      userIds: ['alice', 'bob', 'carol'],
      addresses: Object.fromEntries(
        ['alice', 'bob', 'carol'].map((user) => [user, { byChannel: { email: user } }]),
      ),
    };
    const refused = await call(full.url.internal, procedures.notify, request);
    assert.deepEqual([refused.status, refused.body.code], [429, 'resource_exhausted']);
    assert.match(
      String(refused.body.message),
      /^user_ids\[1\]: this inbox is full; the other 2 were stored, and repeating/,
    );
    assert.equal(refused.headers.get('retry-after'), '60');
    assert.deepEqual(mail.destinations, ['alice', 'carol']);
    full.core.store.createNotifications = createNotifications;
    assert.deepEqual(counts(await notify(request, full)), [3, 3, 0]);
    assert.deepEqual(mail.destinations, ['alice', 'bob', 'carol'], 'nobody gets it twice');
  });
});

describe('an item that has expired', () => {
  it('on arrival is suppressed on every channel, sent nowhere and not seen', async (t) => {
    const user = fresh();
    const stream = await listen(t, user);
    const request = {
      userIds: [user],
      expiresAtMs: String(Date.now() - 1),
      addresses: addressed(user, 'a@a.org'),
      returnResults: true,
    };
    for (let i = 0; i < 2; i++) {
      const answer = await notify(request);
      assert.deepEqual([...counts(answer), answer.suppressed], [0, 0, 0, 2]);
      assert.deepEqual(
        (answer.results as Json[]).map(({ channel, status, reason }) => [channel, status, reason]),
        [
          [inApp, 'DELIVERY_STATUS_SUPPRESSED', 'expired'],
          [byEmail, 'DELIVERY_STATUS_SUPPRESSED', 'expired'],
        ],
      );
    }
    assert.ok(!email.sent.some(({ userId }) => userId === user));
    const { notifications, unreadCount } = await inbox(user);
    assert.deepEqual([notifications, unreadCount], [[], 0]);
    await notify({ userIds: [user], notificationId: 'sentinel' });
    assert.equal((await stream.next('notification')).notificationId, 'sentinel');
  });

  it('before a stream took it leaves the inbox and the unread count', async (t) => {
    const ambient = fakeAmbient();
    const timed = await build(t, {}, { ...calm, ambient });
    await notify({ userIds: ['alice'], expiresAtMs: String(ambient.clock.now() + 1_000) }, timed);
    const page = async () =>
      (
        await call(
          timed.url.client,
          procedures.getNotifications,
          {},
          { authorization: 'Bearer dev:alice:demo' },
        )
      ).body as Page;
    assert.equal((await page()).unreadCount, 1);
    await ambient.clock.advance(1_000);
    const { notifications, unreadCount } = await page();
    assert.deepEqual([notifications, unreadCount], [[], 0]);
  });
});

describe('paging', () => {
  const user = fresh();
  const all = Array.from({ length: 250 }, (_, i) => `item-${i}`);

  it('gives 250 items in pages of 100, newest first, each once, also while more arrive', async () => {
    for (let at = 0; at < all.length; at += 50)
      await call(service.url.internal, 'notify.v1.ProducerService/NotifyBatch', {
        requests: all
          .slice(at, at + 50)
          .map((notificationId) => ({ tenantId: 'demo', notificationId, userIds: [user] })),
      });
    const pages: string[][] = [];
    let cursor = '';
    do {
      const { notifications, nextCursor, unreadCount } = await inbox(user, { limit: 100, cursor });
      pages.push(notifications.map(({ notificationId }) => notificationId));
      assert.equal(unreadCount, 250 + pages.length - 1, 'the count is of the whole inbox, on every page');
      await notify({ userIds: [user], notificationId: `late-${pages.length}` });
      cursor = nextCursor;
    } while (cursor !== '');
    assert.deepEqual(
      pages.map(({ length }) => length),
      [100, 100, 50],
    );
    assert.deepEqual(pages.flat(), all.toReversed());
  });

  it('takes a limit of 0 and below for 20, and above 100 for 100', async () => {
    for (const [limit, length] of [
      [0, 20],
      [-5, 20],
      [1, 1],
      [100, 100],
      [101, 100],
      [2_147_483_647, 100],
    ])
      assert.equal((await inbox(user, { limit })).notifications.length, length, `limit ${limit}`);
  });

  it('has no cursor after the last page, also where it is full', async () => {
    const few = fresh();
    for (const notificationId of ['a', 'b', 'c', 'd']) await notify({ userIds: [few], notificationId });
    const { nextCursor } = await inbox(few, { limit: 2 });
    assert.notEqual(nextCursor, '');
    assert.equal((await inbox(few, { limit: 2, cursor: nextCursor })).nextCursor, '');
    assert.equal((await inbox(few, { limit: 4 })).nextCursor, '');
  });

  it('of another user and tenant shows nothing of this one, with the same cursor too', async () => {
    const { nextCursor } = await inbox(user, { limit: 10 });
    assert.deepEqual((await inbox(fresh(), { cursor: nextCursor })).notifications, []);
    assert.deepEqual((await inbox(user, { cursor: nextCursor }, 'other')).notifications, []);
  });

  it('filters by type, channel and unread, with the count of the whole inbox', async () => {
    const mixed = fresh();
    await notify({ userIds: [mixed], notificationId: 'a', subjectType: 'order' });
    await notify({
      userIds: [mixed],
      notificationId: 'b',
      type: 'order.paid',
      subjectType: 'order',
      channels: [inApp, bySms],
    });
    await notify({ userIds: [mixed], notificationId: 'c' });
    const ids = async (request: Json) => {
      const { notifications, unreadCount } = await inbox(mixed, request);
      assert.equal(unreadCount, 2);
      return notifications.map(({ notificationId }) => notificationId);
    };
    await recipient(procedures.ackNotification, mixed, {
      id: (await inbox(mixed)).notifications[0]?.id ?? '',
    });
    assert.deepEqual(
      await ids({ types: ['order'] }),
      ['a'],
      'the subject type is the type of a call that names none',
    );
    assert.deepEqual(await ids({ types: ['order', 'order.paid'] }), ['b', 'a']);
    assert.deepEqual(await ids({ channels: [bySms] }), ['b']);
    assert.deepEqual(await ids({ unreadOnly: true }), ['b', 'a']);
  });
});

describe('what a producer says', () => {
  it('comes back whole: data, links, actions, urgency and the rest', async () => {
    const user = fresh();
    const content = {
      type: 'order.paid',
      subjectRef: 'order/42',
      subjectType: 'order',
      title: 'Paid',
      body: 'Thanks',
      urgency: 'URGENCY_CRITICAL',
      data: {
        number: 1.5,
        text: 'x',
        list: [1, [], {}],
        flag: false,
        nothing: null,
        nested: { 'a b': { c: '"\\/' } },
      },
      actionUrl: 'https://shop.example/orders/42?a=b#c',
      iconUrl: '/icons/paid.svg',
      actions: [
        { label: 'Show', url: '/orders/42' },
        { label: 'Öffnen', url: 'shop-app://orders/42' },
      ],
      expiresAtMs: '9007199254740993',
    };
    const sent = Date.now();
    const { results } = (await notify({ ...content, userIds: [user], returnResults: true })) as {
      results: Json[];
    };
    const { id, position, createdAtMs, ...item } = await only(user);
    assert.deepEqual(item, {
      ...content,
      notificationId: 'n',
      channel: inApp,
      channels: [inApp],
      status: 'DELIVERY_STATUS_PENDING',
      deliveredAtMs: '0',
      ackAtMs: '0',
      readAtMs: '0',
      seen: false,
    });
    assert.equal(id, results[0]?.id);
    assert.ok(isUuid(id));
    assert.ok(Math.abs(Number(createdAtMs) - sent) < 60_000);
    assert.deepEqual(results[0], {
      userId: user,
      id,
      channel: inApp,
      status: 'DELIVERY_STATUS_PENDING',
      reason: '',
      created: true,
      dueAtMs: '0',
    });
  });

  it('may be large: a body of 512 KiB, ids of 256 characters, a title of 10,000', async () => {
    const user = '🚀'.repeat(256);
    const request = {
      tenantId: '漢'.repeat(256),
      userIds: [user],
      notificationId: 'é|:'.repeat(85),
      subjectRef: 'x'.repeat(256),
      title: 't'.repeat(10_000),
      body: 'é'.repeat(256 * 1024),
    };
    await notify(request);
    const { notificationId, title, body, subjectRef } = await only(user, request.tenantId);
    assert.ok(notificationId === request.notificationId && subjectRef === request.subjectRef);
    assert.ok(title === request.title && body === request.body);
  });

  it('may be a title of 10,000 characters in any script', async () => {
    const user = fresh();
    await notify({ userIds: [user], title: '漢'.repeat(10_000) });
    assert.equal((await only(user)).title.length, 10_000);
  });

  it('keeps keys apart that would join alike', async () => {
    const user = fresh();
    for (const [tenantId, name, notificationId] of [
      [`${user}|a`, 'b', 'c'],
      [user, 'a|b', 'c'],
      [`${user}:a`, 'b', 'c'],
      [user, 'a:b', 'c'],
      [user, 'a', 'b|c'],
      [user, 'a', 'B|c'],
    ]) {
      const answer = await notify({ tenantId, userIds: [name], notificationId, returnResults: true });
      assert.equal((answer.results as Json[])[0]?.created, true);
    }
    assert.equal((await inbox('a', {}, user)).notifications.length, 2);
    assert.equal((await inbox('a|b', {}, user)).notifications.length, 1);
    assert.equal((await inbox('b', {}, `${user}|a`)).notifications.length, 1);
  });

  const link = (url: string) =>
    call(service.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: fresh('n'),
      userIds: ['links'],
      actionUrl: url,
      iconUrl: url,
      actions: [{ label: 'a', url }],
    });

  it('may link to the web, to an app and to a path', async () => {
    for (const url of [
      'https://a.example/b?c=d#e',
      'http://a.example',
      'HTTPS://A.example',
      '/orders/1',
      '?a=b',
      '#top',
      'myapp://open/1',
      'mailto:a@b.org',
      'tel:+491234',
      '//cdn.example/x',
    ])
      assert.equal((await link(url)).status, 200, url);
  });

  it('may not link to a script, however it is spelt', async () => {
    for (const url of [
      'javascript:alert(1)',
      'JaVaScRiPt:alert(1)',
      ' javascript:alert(1)',
      '\tjavascript:alert(1)',
      'java\nscript:alert(1)',
      'javascript\t:alert(1)',
      '\u0001javascript:alert(1)',
      'data:text/html,x',
      'vbscript:x',
      'blob:https://a/b',
      'file:///etc/passwd',
      'orders/1',
      'https://a b',
    ]) {
      const { status, body } = await link(url);
      assert.equal(status, 400, JSON.stringify(url));
      for (const field of ['action_url', 'icon_url', 'actions\\[0\\].url'])
        assert.match(String(body.message), new RegExp(`(^|; )${field}: must`));
    }
  });
});

/** Any text that a field may hold: all of Unicode but NUL. */
const unicode = (options: { minLength?: number; maxLength?: number } = {}) =>
  fc
    .string({ unit: 'binary', size: 'medium', maxLength: 200, ...options })
    .filter((text) => !text.includes('\0'));
const tricky = fc.constantFrom(
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  ' a ',
  '"',
  '\\u0000',
  '\u2028',
  '\ufeffx',
  'e\u0301',
  'ﷺ',
  "'; DROP TABLE --",
  '%s %_',
);
const id = fc.oneof(tricky, unicode({ maxLength: 60 })).filter((text) => text.trim() !== '');
const anyText = fc.oneof(tricky, unicode());
const json = fc
  .dictionary(anyText, fc.oneof(anyText, fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 })), {
    noNullPrototype: false,
  })
  .filter((value) => !JSON.stringify(value).includes('\\u0000'));

describe('any text', () => {
  it('survives byte for byte, by JSON and by protobuf', async () => {
    const run = fc.asyncProperty(
      fc.record({
        tenantId: id,
        user: id,
        notificationId: id,
        subjectRef: anyText,
        subjectType: anyText,
        title: anyText,
        body: anyText,
        label: id,
        address: id,
        data: json,
      }),
      async ({ tenantId, user, label, address, data, ...texts }) => {
        // as a client's own JSON would have it: an own property, whatever its name
        const byUser = JSON.parse(
          `{${JSON.stringify(user)}:{"byChannel":{"__proto__":"x","constructor":"y","email":${JSON.stringify(address)}}}}`,
        );
        const request = {
          ...texts,
          tenantId,
          userIds: [user],
          actions: [{ label, url: '/' }],
          data,
          addresses: byUser,
          channels: [inApp, byEmail],
          returnResults: true,
        };
        const { body: answer } = await call(service.url.internal, procedures.notify, request);
        const [first] = (answer.results ?? []) as Json[];
        assert.equal(first?.userId, user, JSON.stringify(answer));
        const headers = bearer(user, tenantId);
        const get = async (dialect: (typeof dialects)[number] | undefined, body: string) => {
          assert.ok(dialect);
          return (
            await speak(dialect, service.url.client, procedures.getNotifications, Buffer.from(body), {
              headers,
            })
          ).message;
        };
        const asJson = JSON.parse((await get(dialects[0], '{"limit":100}')).toString()).notifications;
        const asBinary = fromBinary(GetNotificationsResponseSchema, await get(dialects[2], '')).notifications;
        for (const found of [asJson, asBinary]) {
          const item = found.find((each: Item) => each.id === first.id);
          assert.ok(item, 'the item is in the inbox of its user');
          if (first.created !== true) return; // an earlier run had the same key
          for (const [field, value] of Object.entries(texts)) assert.equal(item[field], value, field);
          assert.equal(item.actions[0].label, label);
          assert.equal(canonical(item.data), canonical(JSON.parse(JSON.stringify(data))));
        }
        const sent = email.sent.findLast(({ id }) => id === first.id);
        assert.deepEqual(
          [sent?.userId, sent?.tenantId, sent?.destination, sent?.content.title],
          [user, tenantId, address, texts.title],
        );
      },
    );
    await fc.assert(run, { numRuns: 150 });
  });
});

/** JSON with sorted keys, own properties of any name included. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, held) =>
    typeof held === 'object' && held !== null && !Array.isArray(held)
      ? Object.entries(held).sort(([a], [b]) => (a < b ? -1 : 1))
      : held,
  );
