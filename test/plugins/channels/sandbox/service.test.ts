/** The sandbox in front of the real providers of every channel: configuration, dispatcher, delivery log, mailbox, service log. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { as, build, call, procedures } from '../../../support/build.ts';
import { eventually } from '../../../support/eventually.ts';
import { androidToken, appleToken, EveryChannel, sentChannels } from '../../../support/every-channel.ts';
import { type LogFile, logFile } from '../../../support/log.ts';
import { smtpError } from '../../../support/mail-server.ts';
import { postgresForFile } from '../../../support/postgres.ts';
import { TestProviderClient } from '../../../support/test-provider.ts';

interface Delivery {
  readonly id: string;
  readonly channel: string;
  readonly destination: string;
  readonly provider: string;
  readonly status: string;
  readonly reason: string;
  readonly attempts: { readonly provider: string; readonly status: string; readonly detail: string }[];
}

const production = {
  NOTIFY_AUTH_DEV_MODE: 'false',
  NOTIFY_AUTH_JWT_SECRET: 'a secret of more than thirty-two bytes',
  NOTIFY_INTERNAL_TOKEN: 'internal',
};

/** The log is written a moment later. */
const logged = (log: LogFile, msg: string, count: number) =>
  eventually(`${count} lines ${msg}`, () => {
    const lines = log.lines(msg);
    return lines.length === count ? lines : undefined;
  });

async function open(t: TestContext, servers: EveryChannel, env: Record<string, string>) {
  const log = logFile(t);
  const service = await build(
    t,
    { ...servers.env, NOTIFY_RETRY_BASE: '1s', ...env },
    { ...servers.overrides, logger: log.logger },
  );
  const rpc = async (method: string, request: object) => {
    const token = { 'x-notify-internal-token': 'internal' };
    const { status, body } = await call(
      service.url.internal,
      method,
      { tenantId: 'demo', ...request },
      token,
    );
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  return {
    service,
    log,
    mailbox: new TestProviderClient(service.url.client),
    notify: (id: string, addresses = servers.addresses, channels = sentChannels) =>
      rpc(procedures.notify, {
        notificationId: id,
        userIds: ['alice'],
        title: 'a private title',
        body: 'a private body',
        channels,
        addresses: { alice: { byChannel: addresses } },
        returnResults: true,
      }),
    /** Every delivery with its attempts. */
    deliveries: async (): Promise<Delivery[]> => {
      const { deliveries } = await rpc('notify.v1.DeliveryService/ListDeliveries', {});
      return Promise.all(
        (deliveries as Delivery[]).map(
          async ({ id }) => (await rpc('notify.v1.DeliveryService/GetDelivery', { id })).delivery as Delivery,
        ),
      );
    },
  };
}

describe('NOTIFY_SANDBOX=capture', () => {
  it('lets nothing reach any provider, on any channel, and counts it as delivered', async (t) => {
    const servers = await EveryChannel.listen(t);
    const { service, notify, deliveries, mailbox, log } = await open(t, servers, {
      NOTIFY_SANDBOX: 'capture',
    });
    const { delivered, pending, failed } = await notify('n-1');
    assert.deepEqual([delivered, pending, failed], [7, 0, 0]);
    assert.deepEqual(servers.arrived(), []);
    assert.equal(servers.connections, 0);

    const found = await deliveries();
    assert.deepEqual(
      found.map(({ provider, status, reason }) => [provider, status, reason]).sort(),
      ['fake', 'fcm', 'smtp', 'twilio', 'twilio', 'vapid', 'webhook'].map((provider) => [
        provider,
        'DELIVERY_STATUS_DELIVERED',
        'sandbox_captured',
      ]),
    );
    for (const { attempts } of found)
      assert.deepEqual(
        attempts.map(({ status, detail }) => [status, detail]),
        [['DELIVERY_STATUS_DELIVERED', 'the sandbox kept it: nothing was sent']],
      );

    const letters = await mailbox.messages();
    assert.deepEqual(
      letters.map(({ destination }) => destination).sort(),
      Object.values(servers.addresses).sort(),
    );
    for (const { outcome, title, body } of letters)
      assert.deepEqual([outcome, title, body], ['captured', 'a private title', 'a private body']);

    const metrics = await (await fetch(`${service.url.ops}/metrics`)).text();
    assert.match(
      metrics,
      /notify_sandbox_total\{channel="email",provider="smtp",diversion="sandbox_captured"\} 1/,
    );
    await logged(log, 'sandbox_captured', 7);
  });

  it('keeps no texts in production, and says in the log what it kept, by ids', async (t) => {
    const servers = await EveryChannel.listen(t);
    const { service, notify, deliveries, log } = await open(t, servers, {
      ...production,
      NOTIFY_SANDBOX: 'capture',
    });
    await notify('n-1');
    assert.equal(servers.connections, 0);
    assert.deepEqual(service.core.testProviders.mailbox.changesSince('').messages, []);
    const ids = (await deliveries()).map(({ id }) => id).sort();
    const lines = await logged(log, 'sandbox_captured', 7);
    assert.deepEqual(lines.map(({ delivery_id }) => delivery_id).sort(), ids);
    assert.deepEqual([...new Set(lines.map(({ tenant_id }) => tenant_id))], ['demo']);
    for (const secret of ['private', ...Object.values(servers.addresses)])
      assert.equal(log.text().includes(secret), false, secret);
  });

  it('makes way for addresses that are allowed, and for no others', async (t) => {
    const servers = await EveryChannel.listen(t);
    const { hooks, push } = servers;
    const { notify, deliveries } = await open(t, servers, {
      NOTIFY_SANDBOX: 'capture',
      NOTIFY_SANDBOX_ALLOW: `@Example.ORG, +15550101, ${hooks.url}/qa, ${push.url}/subscription, ${appleToken}, room-of-qa`,
    });
    await notify('n-1');
    assert.deepEqual(servers.arrived(), ['alice@example.org', 'whatsapp:+15550101', servers.browser.token]);
    const reasons = Object.fromEntries((await deliveries()).map(({ channel, reason }) => [channel, reason]));
    assert.equal(reasons.DELIVERY_CHANNEL_EMAIL, '');
    assert.equal(reasons.DELIVERY_CHANNEL_SMS, 'sandbox_captured');
    await notify('n-2', {
      email: 'alice@sub.example.org',
      sms: '+15550101',
      whatsapp: '15550101',
      mobile_push: appleToken,
      webhook: `${hooks.url}/qa`,
      chat: 'room-of-qa',
    });
    assert.deepEqual(servers.arrived().slice(1), [
      'whatsapp:+15550101',
      '+15550101',
      servers.browser.token,
      appleToken,
      `${hooks.url}/qa`,
      'room-of-qa',
    ]);
  });
});

describe('NOTIFY_SANDBOX=redirect', () => {
  const qaPhone = 'dReg:APA91b-phone-of-the-qa-team';

  it('sends to its own addresses alone, by the real providers, and captures the rest', async (t) => {
    const servers = await EveryChannel.listen(t);
    const { hooks, mail } = servers;
    const [sms, whatsapp] = ['+15550177', '+15550178'];
    const { notify, deliveries, mailbox, log } = await open(t, servers, {
      NOTIFY_SANDBOX: `redirect:email=qa@example.com,sms=${sms},whatsapp=${whatsapp},mobile_push=${qaPhone},webhook=${hooks.url}/qa,chat=qa-room`,
    });
    const { delivered } = await notify('n-1');
    assert.equal(delivered, 7);
    assert.deepEqual(
      servers.arrived().sort(),
      ['qa@example.com', sms, `whatsapp:${whatsapp}`, qaPhone, `${hooks.url}/qa`, 'qa-room'].sort(),
    );
    const [letter] = mail.received;
    assert.equal(letter?.mail.subject, '[to: alice@example.org] a private title');
    assert.equal(letter?.mail.text?.trim(), 'a private body');
    assert.doesNotMatch(letter?.raw ?? '', /^(to|cc|bcc):.*alice/im);
    assert.equal(servers.push.connections, 0);
    assert.deepEqual(
      (await mailbox.messages()).map(({ channel, outcome }) => [channel, outcome]),
      [['web_push', 'captured']],
    );
    const found = await deliveries();
    const email = found.find(({ channel }) => channel === 'DELIVERY_CHANNEL_EMAIL');
    assert.deepEqual(
      [email?.destination, email?.provider, email?.status, email?.reason],
      ['alice@example.org', 'smtp', 'DELIVERY_STATUS_DELIVERED', 'sandbox_redirected'],
    );
    assert.match(email?.attempts[0]?.detail ?? '', /^the sandbox sent it to its own address/);
    await logged(log, 'sandbox_redirected', 6);
    for (const secret of ['private', 'qa@example.com', ...Object.values(servers.addresses)])
      assert.equal(log.text().includes(secret), false, secret);
  });

  it('captures a push that its phone is of the wrong kind for', async (t) => {
    const servers = await EveryChannel.listen(t);
    const { notify } = await open(t, servers, { NOTIFY_SANDBOX: `redirect:mobile_push=${qaPhone}` });
    const push = ['DELIVERY_CHANNEL_MOBILE_PUSH'];
    await notify('n-1', { mobile_push: appleToken }, push);
    await notify('n-2', { mobile_push: androidToken }, push);
    assert.deepEqual(servers.arrived(), [qaPhone]);
  });

  it('does not take what is said of its own address for the recipient’s: the device stays', async (t) => {
    const servers = await EveryChannel.listen(t);
    const gone = {
      status: 404,
      body: '{"error":{"code":404,"status":"NOT_FOUND","message":"gone","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}',
    };
    const { answer } = servers.google;
    servers.google.answer = (request) => (request.path === '/token' ? answer(request) : gone);
    const { service, notify, deliveries } = await open(t, servers, {
      NOTIFY_SANDBOX: `redirect:mobile_push=${qaPhone},email=qa@example.com`,
    });
    await call(
      service.url.client,
      'elloloop.notify.v1.NotificationClientService/RegisterPushToken',
      { deviceType: 'DEVICE_TYPE_ANDROID', deviceId: 'phone', token: androidToken },
      as('alice'),
    );
    const push = ['DELIVERY_CHANNEL_MOBILE_PUSH'];
    await notify('n-1', {}, push);
    const [delivery] = await deliveries();
    assert.deepEqual(
      [delivery?.destination, delivery?.status, delivery?.reason],
      [androidToken, 'DELIVERY_STATUS_FAILED', 'sandbox_address_refused'],
    );
    assert.match(delivery?.attempts[0]?.detail ?? '', /^of the address in NOTIFY_SANDBOX: FCM answered/);
    servers.google.answer = answer;
    const { delivered } = await notify('n-2', {}, push);
    assert.equal(delivered, 1, 'the device is still there');
  });

  it('tries again what its provider does not take for the moment', async (t) => {
    const servers = await EveryChannel.listen(t);
    servers.mail.refuse = () => smtpError(451, '4.3.0 not now');
    const { notify, deliveries } = await open(t, servers, {
      NOTIFY_SANDBOX: 'redirect:email=qa@example.com',
    });
    await notify('n-1', servers.addresses, ['DELIVERY_CHANNEL_EMAIL']);
    assert.equal((await deliveries())[0]?.reason, 'smtp_451');
    servers.mail.refuse = () => undefined;
    await eventually('the mail', () => servers.mail.received.length === 1);
    assert.deepEqual(servers.arrived(), ['qa@example.com']);
  });
});

const { postgres, skip } = await postgresForFile();

describe('a database copied from production', { skip }, () => {
  it('sends nothing of what was pending in it: the configuration of the attempt decides', async (t) => {
    const servers = await EveryChannel.listen(t);
    servers.mail.refuse = () => smtpError(451, '4.3.0 not now');
    const store = { NOTIFY_STORE_DRIVER: 'postgres', NOTIFY_POSTGRES_DSN: await postgres().database() };
    const live = await open(t, servers, store);
    const { pending } = await live.notify('n-1', servers.addresses, ['DELIVERY_CHANNEL_EMAIL']);
    assert.equal(pending, 1);
    await live.service.close();
    servers.mail.refuse = () => undefined;
    const before = servers.mail.connections;

    const staging = await open(t, servers, { ...store, NOTIFY_SANDBOX: 'capture' });
    const [delivery] = await eventually('an outcome', async () => {
      const found = await staging.deliveries();
      return found[0]?.status === 'DELIVERY_STATUS_PENDING' ? undefined : found;
    });
    assert.equal(delivery?.reason, 'sandbox_captured');
    assert.deepEqual([servers.arrived(), servers.mail.connections], [[], before]);
  });
});
