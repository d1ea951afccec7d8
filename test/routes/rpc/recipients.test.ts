import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { DeliveryError } from '../../../src/core/channel.ts';
import { as, call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeProvider, using } from '../../support/fake-provider.ts';
import { MailServer } from '../../support/mail-server.ts';
import { postgresForFile } from '../../support/postgres.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';
import { serve } from '../../support/serve.ts';

type Json = Record<string, unknown>;
interface Result extends Json {
  readonly channel: string;
  readonly status: string;
  readonly reason: string;
}

const { postgres, skip } = await postgresForFile();

/** A service whose email, SMS and mobile push a test sees, and the calls that backends make. */
async function open(
  t: TestContext,
  env: Record<string, string> = {},
  providers: FakeProvider[] = [new FakeProvider('email')],
) {
  const fake = using(...providers);
  const service = await serve(t, { ...fake.env, ...env }, fake.overrides);
  const rpc = async (procedure: string, request: Json, tenantId = 'demo') => {
    const { status, body } = await call(service.url.internal, procedure, { tenantId, ...request });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  let count = 0;
  const notify = async (over: Json = {}, tenantId = 'demo') => {
    count += 1;
    const request = { notificationId: `n-${count}`, userIds: ['ada'], title: 'title', returnResults: true };
    const body = await rpc(procedures.notify, { ...request, ...over }, tenantId);
    return { ...body, results: body.results as Result[] } as Json & { results: Result[] };
  };
  return {
    service,
    rpc,
    notify,
    put: (addresses: Json, over: Json = {}, tenantId = 'demo') =>
      rpc(putRecipient, { recipient: { userId: 'ada', addresses, ...over } }, tenantId),
    deliveries: async (over: Json = {}) =>
      (await rpc('notify.v1.DeliveryService/ListDeliveries', over)).deliveries as Json[],
  };
}

const putRecipient = 'notify.v1.RecipientService/PutRecipient';
const putRecipients = 'notify.v1.RecipientService/PutRecipients';
const getRecipient = 'notify.v1.RecipientService/GetRecipient';
const eraseRecipient = 'notify.v1.RecipientService/EraseRecipient';
const listDead = 'notify.v1.RecipientService/ListDeadAddresses';
const reviveAddress = 'notify.v1.RecipientService/ReviveAddress';
const email = { channels: ['DELIVERY_CHANNEL_EMAIL'] };
const webhookMaster = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

describe('a recipient record', () => {
  it('is answered as it was put, and replaced as a whole', async (t) => {
    const { rpc } = await open(t);
    const recipient = {
      userId: 'a|b: é 😀',
      addresses: {
        email: 'Ada@exämple.org',
        sms: '+15550100',
        whatsapp: '+15550100',
        web_push: '{"endpoint":"https://push.example/1"}',
        mobile_push: 'token',
        webhook: 'https://example.org/hook?a=1',
        chat: '日本',
      },
      locale: 'pt-BR',
      timeZone: 'America/Sao_Paulo',
      attributes: { z: 1, a: { name: 'Åsa "x" \\', tags: ['ü', null, true, 1.5] } },
    };
    await rpc(putRecipient, { recipient });
    const get = () => rpc(getRecipient, { userId: recipient.userId });
    const answer = await get();
    assert.deepEqual(answer, { recipient });
    assert.deepEqual(
      Object.keys((answer.recipient as Json).attributes as Json),
      ['z', 'a'],
      'in their order',
    );
    await rpc(putRecipient, { recipient: { userId: recipient.userId } });
    assert.deepEqual(await get(), {
      recipient: { userId: recipient.userId, addresses: {}, locale: '', timeZone: '' },
    });
  });

  it('may be put 1,000 at a time, all of them or none', async (t) => {
    const { rpc, service } = await open(t);
    const recipients = Array.from({ length: 1_000 }, (_, i) => ({ userId: `u-${i}`, locale: 'de' }));
    await rpc(putRecipients, { recipients });
    assert.equal(((await rpc(getRecipient, { userId: 'u-999' })).recipient as Json).locale, 'de');
    const refused = async (request: Json, message: RegExp) => {
      const answer = await call(service.url.internal, putRecipients, { tenantId: 'demo', ...request });
      assert.equal(answer.status, 400);
      assert.match(String(answer.body.message), message);
    };
    await refused({ recipients: [...recipients, { userId: 'more' }] }, /^recipients: must be at most 1,000/);
    await refused({ recipients: [] }, /^recipients: must hold at least one/);
    await refused(
      { recipients: [{ userId: 'new' }, { userId: 'x' }, { userId: 'new' }] },
      /^recipients\[2\]\.user_id: is that of recipients\[0\] too; name each user once$/,
    );
    const { status } = await call(service.url.internal, getRecipient, { tenantId: 'demo', userId: 'new' });
    assert.equal(status, 404);
  });

  it('is refused with everything that is wrong with it, by field, and quotes nothing', async (t) => {
    const { service } = await open(t);
    const bad = {
      userId: ' ',
      addresses: {
        email: 'secret at example.org',
        sms: '0555-secret',
        whatsapp: 'whatsapp:+15550100',
        webhook: 'ftp://secret.example',
        web_push: 'secret',
        chat: ' ',
        mobile_push: 'a\u0000b',
        in_app: 'secret',
        fax: 'secret',
        'a secret key': 'secret',
      },
      locale: 'secret_DE!',
      timeZone: '+02:00',
      attributes: { x: 'a\u0000' },
    };
    const answer = await call(service.url.internal, putRecipients, {
      tenantId: '',
      recipients: [{ userId: 'fine' }, bad],
    });
    assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_argument']);
    const message = String(answer.body.message);
    const fields = message
      .split('; ')
      .flatMap((part) => /^([\w[\].]+(?:\["\w+"\])?): /.exec(part)?.[1] ?? []);
    const of = (name: string) => `recipients[1].${name}`;
    assert.deepEqual(
      fields.sort(),
      [
        'tenant_id',
        of('user_id'),
        ...['email', 'sms', 'whatsapp', 'webhook', 'web_push', 'chat', 'mobile_push', 'in_app', 'fax'].map(
          (key) => of(`addresses["${key}"]`),
        ),
        of('addresses'),
        of('locale'),
        of('time_zone'),
        of('attributes'),
      ].sort(),
    );
    assert.doesNotMatch(message, /secret/);
    const one = await call(service.url.internal, putRecipient, { tenantId: 'demo', recipient: bad });
    assert.match(
      String(one.body.message),
      /^recipient\.user_id: must not be blank; recipient\.addresses\["email"\]/,
    );
    const none = await call(service.url.internal, putRecipient, { tenantId: 'demo' });
    assert.equal(none.body.message, 'recipient: must be given');
    for (const [procedure, missing] of [
      [putRecipient, 'recipient: must be given'],
      [putRecipients, 'recipients: must hold at least one recipient'],
    ] as const) {
      const empty = await call(service.url.internal, procedure, {});
      assert.equal(empty.body.message, `tenant_id: must not be blank; ${missing}`);
    }
  });

  it('is not_found where there is none, and asks for the internal token', async (t) => {
    const { service } = await open(t, { NOTIFY_INTERNAL_TOKEN: 'x'.repeat(32) });
    const token = { 'x-notify-internal-token': 'x'.repeat(32) };
    const request = { tenantId: 'demo', userId: 'nobody' };
    const answer = await call(service.url.internal, getRecipient, request, token);
    assert.deepEqual([answer.status, answer.body.code], [404, 'not_found']);
    for (const procedure of [
      putRecipient,
      putRecipients,
      getRecipient,
      eraseRecipient,
      listDead,
      reviveAddress,
    ]) {
      assert.equal((await call(service.url.internal, procedure, request)).status, 401);
      assert.equal((await call(service.url.client, procedure, request, as('nobody'))).status, 404);
    }
  });
});

for (const driver of ['memory', 'postgres'] as const)
  describe(`Notify and the record, on ${driver}`, { skip: driver === 'postgres' && skip }, () => {
    const onStore = async (): Promise<Record<string, string>> =>
      driver === 'memory'
        ? {}
        : { NOTIFY_STORE_DRIVER: 'postgres', NOTIFY_POSTGRES_DSN: await postgres().database() };

    it("reaches the record's address; the request's beats it, and '' suppresses the sending", async (t) => {
      const mail = new FakeProvider('email');
      const { notify, put } = await open(t, await onStore(), [mail]);
      await put({ email: 'record@example.org' });
      const unnamed = await notify();
      assert.deepEqual(
        unnamed.results.map(({ channel, status }) => [channel, status]),
        [
          ['DELIVERY_CHANNEL_IN_APP', 'DELIVERY_STATUS_PENDING'],
          ['DELIVERY_CHANNEL_EMAIL', 'DELIVERY_STATUS_DELIVERED'],
        ],
        'an address makes email one of the channels',
      );
      assert.equal((await notify(email)).delivered, 1);
      const to = (address: string) => ({ ...email, addresses: { ada: { byChannel: { email: address } } } });
      assert.equal((await notify(to('request@example.org'))).delivered, 1);
      const suppressed = await notify(to(''));
      assert.deepEqual([suppressed.pending, suppressed.results[0]?.reason], [1, 'no_destination']);
      const unnamedButKept = await notify({ addresses: { ada: { byChannel: { email: '', sms: '' } } } });
      assert.deepEqual(
        unnamedButKept.results.map(({ channel, reason }) => [channel, reason]),
        [
          ['DELIVERY_CHANNEL_IN_APP', ''],
          ['DELIVERY_CHANNEL_EMAIL', 'no_destination'],
        ],
        'a row is kept where no channel is named, of those that have a provider',
      );
      const others = await notify({ ...email, userIds: ['bob'] });
      assert.deepEqual([others.pending, others.results[0]?.reason], [1, 'no_destination']);
      await notify(email, 'other');
      assert.deepEqual(
        mail.sent.map(({ destination }) => destination),
        ['record@example.org', 'record@example.org', 'request@example.org'],
      );
    });

    it('finds an address in the record that was not there when the call came first', async (t) => {
      const mail = new FakeProvider('email');
      const { notify, put } = await open(t, await onStore(), [mail]);
      const first = await notify({ ...email, notificationId: 'invoice' });
      assert.equal(first.results[0]?.reason, 'no_destination');
      await put({ email: 'ada@example.org' });
      for (let i = 0; i < 3; i++)
        assert.equal((await notify({ ...email, notificationId: 'invoice' })).delivered, 1);
      assert.deepEqual(mail.destinations, ['ada@example.org'], 'attempted once');
    });

    it("takes the record before the user's devices, and devices where it has no token", async (t) => {
      const push = new FakeProvider('mobile_push');
      const { notify, put, service } = await open(t, await onStore(), [push]);
      for (const token of ['phone', 'tablet'])
        await service.as('ada', 'RegisterPushToken', {
          deviceType: 'DEVICE_TYPE_ANDROID',
          deviceId: token,
          token,
        });
      await notify();
      await put({ mobile_push: 'of-the-record' });
      await notify();
      await put({ email: 'ada@example.org' });
      await notify({ userIds: ['bob', 'ada'] });
      assert.deepEqual(push.destinations, ['of-the-record', 'phone', 'phone', 'tablet', 'tablet']);
    });

    it('are each looked up by one call to the store, and only where they are needed', async (t) => {
      const { notify, put, service } = await open(t, await onStore());
      const ops = async () => {
        const of = (op: string) => service.metric('notify_store_op_total', { op });
        return [await of('destinations'), await of('dead_addresses'), await of('list_devices')];
      };
      const userIds = Array.from({ length: 100 }, (_, i) => `u-${i}`);
      await notify({ userIds, channels: ['DELIVERY_CHANNEL_IN_APP'] });
      await notify({ userIds, channels: ['DELIVERY_CHANNEL_SMS', 'DELIVERY_CHANNEL_IN_APP'] });
      assert.deepEqual(await ops(), [0, 0, 0], 'in-app alone, and a channel that nobody sends');
      const addresses = Object.fromEntries(
        userIds.map((id) => [id, { byChannel: { email: `${id}@example.org` } }]),
      );
      await notify({ userIds, addresses });
      assert.deepEqual(await ops(), [0, 1, 0], 'every address is brought');
      await notify({ userIds });
      assert.deepEqual(await ops(), [1, 1, 0], 'no address is known');
      await put({ email: 'ada@example.org' });
      await notify({ userIds: [...userIds, 'ada'] });
      assert.deepEqual(await ops(), [2, 2, 0]);
    });

    it('sends a webhook that answered 410 nothing more, until the record has it again', async (t) => {
      const receiver = await ScriptedServer.listen(t);
      const { notify, put, deliveries, rpc } = await open(t, {
        ...(await onStore()),
        NOTIFY_WEBHOOK_SECRET: webhookMaster,
        NOTIFY_EGRESS_ALLOW: '127.0.0.0/8',
        NOTIFY_EGRESS_ALLOW_HTTP: 'true',
      });
      const url = `${receiver.url}/hook`;
      const webhook = {
        channels: ['DELIVERY_CHANNEL_WEBHOOK'],
        addresses: { ada: { byChannel: { webhook: url } } },
      };
      receiver.answer = () => ({ status: 410 });
      assert.equal((await notify(webhook)).failed, 1);
      receiver.answer = () => ({ status: 204 });
      const next = await notify(webhook);
      assert.deepEqual(
        [next.delivered, next.pending, next.failed, next.suppressed, next.results[0]?.reason],
        [0, 0, 0, 1, 'bounced'],
      );
      assert.equal(receiver.received.length, 1);
      const [{ id } = assert.fail()] = await deliveries({ status: 'DELIVERY_STATUS_SUPPRESSED' });
      const { delivery } = (await rpc('notify.v1.DeliveryService/GetDelivery', { id })) as { delivery: Json };
      assert.deepEqual(
        [delivery.status, delivery.reason, delivery.destination, delivery.attempts],
        ['DELIVERY_STATUS_SUPPRESSED', 'bounced', url, []],
      );
      assert.equal((await notify(webhook, 'other')).delivered, 1, "another tenant's is another address");
      assert.equal((await notify({ ...webhook, addresses: {}, userIds: ['bob'] })).pending, 1);

      await put({ webhook: url });
      assert.equal((await notify(webhook)).delivered, 1);
      assert.equal((await notify({ channels: webhook.channels })).delivered, 1);
      assert.equal(receiver.received.length, 4);
    });

    it('lists dead addresses, and revives one without a record', async (t) => {
      const mail = new FakeProvider('email');
      const sms = new FakeProvider('sms');
      const { notify, rpc, service } = await open(t, await onStore(), [mail, sms]);
      for (const provider of [mail, sms])
        provider.answer = async () => {
          throw new DeliveryError('destination_gone', 'nobody is there', { retryable: false });
        };
      const addresses = { ada: { byChannel: { email: 'ada@example.org', sms: '+15550100' } } };
      const both = { channels: ['DELIVERY_CHANNEL_EMAIL', 'DELIVERY_CHANNEL_SMS'], addresses };
      const before = Date.now();
      assert.equal((await notify(both)).failed, 2);
      assert.equal((await notify(both)).suppressed, 2);
      const list = async (over: Json = {}, tenantId = 'demo') => {
        const body = await rpc(listDead, over, tenantId);
        return body as { addresses: Json[]; nextCursor: string };
      };
      const { addresses: all } = await list();
      assert.deepEqual(all.map(({ channel, address, reason }) => [channel, address, reason]).sort(), [
        ['DELIVERY_CHANNEL_EMAIL', 'ada@example.org', 'bounced'],
        ['DELIVERY_CHANNEL_SMS', '+15550100', 'bounced'],
      ]);
      for (const { deadAtMs } of all) assert.ok(Math.abs(Number(deadAtMs) - before) < 60_000);
      const first = await list({ limit: 1 });
      const second = await list({ limit: 1, cursor: first.nextCursor });
      assert.deepEqual([...first.addresses, ...second.addresses], all);
      assert.equal(second.nextCursor, '');
      assert.equal((await list({ channel: 'DELIVERY_CHANNEL_SMS' })).addresses.length, 1);
      assert.deepEqual(await list({}, 'other'), { addresses: [], nextCursor: '' });

      const revive = { channel: 'DELIVERY_CHANNEL_EMAIL', address: 'ADA@example.org' };
      assert.deepEqual(await rpc(reviveAddress, revive, 'other'), { revived: false });
      assert.deepEqual(await rpc(reviveAddress, revive), { revived: true });
      assert.deepEqual(await rpc(reviveAddress, revive), { revived: false });
      mail.answer = async () => {};
      const after = await notify(both);
      assert.deepEqual([after.delivered, after.suppressed], [1, 1]);

      for (const [procedure, request, field] of [
        [listDead, { channel: 'DELIVERY_CHANNEL_IN_APP' }, 'channel'],
        [listDead, { cursor: 'nonsense' }, 'cursor'],
        [reviveAddress, { channel: 'DELIVERY_CHANNEL_MOBILE_PUSH', address: 'x' }, 'channel'],
        [reviveAddress, { address: ' ' }, 'channel'],
      ] as const) {
        const { status, body } = await call(service.url.internal, procedure, {
          tenantId: 'demo',
          ...request,
        });
        assert.equal(status, 400);
        assert.match(String(body.message), new RegExp(`^${field}: `));
      }
    });

    it('lets what is scheduled to a dead address appear in the inbox, as what goes out at once does', async (t) => {
      const mail = new FakeProvider('email');
      const { notify, service } = await open(t, await onStore(), [mail]);
      mail.answer = async () => {
        throw new DeliveryError('destination_gone', 'nobody is there', { retryable: false });
      };
      const to = { ...email, addresses: { ada: { byChannel: { email: 'ada@example.org' } } } };
      await notify(to);
      await notify({ ...to, title: 'at once' });
      await notify({ ...to, title: 'later', sendAtMs: String(Date.now() + 300) });
      const titles = async () =>
        ((await service.as('ada', 'GetNotifications', {})).notifications as Json[]).map(({ title }) => title);
      assert.deepEqual(await titles(), ['at once', 'title']);
      await eventually('it appears', async () => (await titles()).length === 3);
      assert.deepEqual(await titles(), ['later', 'at once', 'title']);
      assert.equal(mail.sent.length, 1);
    });

    it('forgets everything about a user, and tells the open streams', async (t) => {
      const mail = new FakeProvider('email');
      const push = new FakeProvider('mobile_push');
      const { notify, put, rpc, service, deliveries } = await open(t, await onStore(), [mail, push]);
      const device = { deviceType: 'DEVICE_TYPE_IOS', token: 'phone' };
      await service.as('ada', 'RegisterPushToken', device);
      await put({ email: 'ada@example.org' });
      await put({ email: 'ada@other.example' }, {}, 'other');
      await notify({ notificationId: 'kept' });
      await notify({ notificationId: 'kept', userIds: ['bob'], addresses: {} });
      await notify({ notificationId: 'kept' }, 'other');
      const [{ id } = assert.fail()] = await deliveries({ userId: 'ada', channel: 'DELIVERY_CHANNEL_EMAIL' });
      const stream = await service.open('ada');
      const elsewhere = await service.openAs({ headers: as('ada', 'other') });
      const before = await stream.next('inbox');
      await elsewhere.next('inbox');
      const { version } = await service.as('ada', 'GetNotifications', {});

      // record, notification, email, push, device
      assert.deepEqual(await rpc(eraseRecipient, { userId: 'ada' }), { erased: 5 });
      const reset = await stream.next('reset');
      assert.deepEqual(await stream.nextJson('end'), { reason: 'erased', reconnect: true });
      await stream.end();
      const inbox = await service.as('ada', 'GetNotifications', {});
      assert.deepEqual(
        [inbox.notifications, inbox.unreadCount, inbox.unseenCount, inbox.version],
        [[], 0, 0, '0'],
      );
      for (const [procedure, request] of [
        ['notify.v1.DeliveryService/GetDelivery', { id }],
        [getRecipient, { userId: 'ada' }],
      ] as const) {
        const answer = await call(service.url.internal, procedure, { tenantId: 'demo', ...request });
        assert.deepEqual([answer.status, answer.body.code], [404, 'not_found']);
      }
      assert.deepEqual(await rpc(eraseRecipient, { userId: 'ada' }), { erased: 0 });

      const sentBefore = mail.sent.length + push.sent.length;
      const again = await notify({ notificationId: 'kept', title: 'anew' });
      assert.deepEqual(
        again.results.map(({ channel, created }) => [channel, created]),
        [['DELIVERY_CHANNEL_IN_APP', true]],
      );
      assert.equal(mail.sent.length + push.sent.length, sentBefore, 'neither address nor device is known');
      // the browser comes back from where it was told to go on, and misses nothing
      const back = await service.open('ada', { headers: { 'last-event-id': reset.id ?? '' } });
      assert.equal(await back.nextTitle(), 'anew');
      // one that was away all the time knows a position of what there was
      const away = await service.open('ada', { headers: { 'last-event-id': before.id ?? '' } });
      await away.next('reset');
      const inboxNow = await service.as('ada', 'GetNotifications', {});
      assert.ok(BigInt(String(inboxNow.version)) > BigInt(String(version)) + 1n);

      assert.equal((await service.as('bob', 'GetNotifications', {})).unreadCount, 1);
      const other = { tenantId: 'other', userId: 'ada' };
      const record = (await call(service.url.internal, getRecipient, other)).body.recipient as Json;
      assert.deepEqual(record.addresses, { email: 'ada@other.example' });
      await notify({ title: 'still live' }, 'other');
      assert.equal(await elsewhere.nextTitle(), 'still live');
    });
  });

describe('mail to a mailbox that there is not', () => {
  it('is sent once, and what follows is suppressed', async (t) => {
    let asked = 0;
    const server = await MailServer.listen(t, {
      onRcptTo(_address, _session, done) {
        asked += 1;
        done(Object.assign(new Error('5.1.1 no such user'), { responseCode: 550 }));
      },
    });
    const service = await serve(t, {
      NOTIFY_EMAIL_PROVIDER: 'smtp',
      NOTIFY_EMAIL_FROM: 'notify@example.com',
      NOTIFY_EMAIL_SMTP_HOST: '127.0.0.1',
      NOTIFY_EMAIL_SMTP_PORT: String(server.port),
    });
    const rpc = (procedure: string, request: Json) =>
      call(service.url.internal, procedure, { tenantId: 'demo', ...request });
    await rpc(putRecipient, { recipient: { userId: 'ada', addresses: { email: 'ada@example.org' } } });
    const answers: unknown[] = [];
    for (const notificationId of ['n-1', 'n-2']) {
      const { body } = await rpc(procedures.notify, { notificationId, userIds: ['ada'], title: 'x' });
      answers.push([body.pending, body.failed, body.suppressed]);
    }
    assert.deepEqual(answers, [
      [1, 1, undefined],
      [1, 0, 1],
    ]);
    assert.equal(asked, 1);
  });
});
