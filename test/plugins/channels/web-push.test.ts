import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createECDH } from 'node:crypto';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { webPushPayload } from '../../../plugins/channels/web-push/payload.ts';
import { VapidKey } from '../../../plugins/channels/web-push/vapid-key.ts';
import { built } from '../../../src/app.ts';
import { ConfigError, parseConfig } from '../../../src/config.ts';
import { fakeClock } from '../../support/ambient.ts';
import { as, build, call, procedures, type Service } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { type LogFile, logFile } from '../../support/log.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';
import { type Subscriber, subscriber, vapidOf } from '../../support/web-push.ts';

type Json = Record<string, unknown>;

const pair = createECDH('prime256v1');
pair.generateKeys();
const publicKey = pair.getPublicKey('base64url');
const privateKey = Buffer.from(pair.getPrivateKey('hex').padStart(64, '0'), 'hex').toString('base64url');
const keys = {
  NOTIFY_WEBPUSH_PROVIDER: 'vapid',
  NOTIFY_WEBPUSH_VAPID_PUBLIC: publicKey,
  NOTIFY_WEBPUSH_VAPID_PRIVATE: privateKey,
  NOTIFY_WEBPUSH_CONTACT_EMAIL: 'ops@example.org',
};

const accepted = { status: 201, headers: { location: 'https://push.example.org/m/1' } };

describe('web push', () => {
  let pushService: ScriptedServer;
  let service: Service;
  let log: LogFile;
  let count = 0;

  /** Run in reverse, as a test would. */
  const closing: (() => unknown)[] = [];
  const suite = { after: (close: () => unknown) => void closing.unshift(close) } as Pick<
    TestContext,
    'after'
  >;
  after(async () => {
    for (const close of closing) await close();
  });
  before(async () => {
    pushService = await ScriptedServer.listen(suite);
    log = logFile(suite);
    service = await build(
      suite,
      { ...keys, NOTIFY_EGRESS_ALLOW: '127.0.0.1/32', NOTIFY_EGRESS_ALLOW_HTTP: 'true' },
      { logger: log.logger },
    );
  });
  beforeEach(() => {
    pushService.answer = () => accepted;
    pushService.received.length = 0;
  });

  const user = () => `user-${++count}`;
  const register = async (userId: string, { token }: Subscriber, deviceId = ''): Promise<void> => {
    const { status } = await call(
      service.url.client,
      'elloloop.notify.v1.NotificationClientService/RegisterPushToken',
      { deviceType: 'DEVICE_TYPE_BROWSER', deviceId, token },
      as(userId),
    );
    assert.equal(status, 200);
  };
  const subscribe = async (
    userId: string,
    endpoint = `${pushService.url}/s/${userId}`,
    deviceId = '',
  ): Promise<Subscriber> => {
    const browser = subscriber(endpoint);
    await register(userId, browser, deviceId);
    return browser;
  };
  const paths = () => pushService.received.map(({ path }) => path).sort();
  const notify = async (userId: string, over: Json = {}): Promise<Json> => {
    const { status, body } = await call(service.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: `note-${++count}`,
      userIds: [userId],
      channels: ['DELIVERY_CHANNEL_WEB_PUSH'],
      title: 'Your parcel',
      body: 'is on its way',
      ...over,
    });
    assert.equal(status, 200, JSON.stringify(body));
    return { delivered: body.delivered, pending: body.pending, failed: body.failed };
  };
  /** The newest delivery of a user, with its attempts. */
  const delivery = async (userId: string): Promise<Json> => {
    const of = (method: string, body: Json) =>
      call(service.url.internal, `notify.v1.DeliveryService/${method}`, { tenantId: 'demo', ...body });
    const listed = (await of('ListDeliveries', { userId })).body.deliveries as Json[];
    return (await of('GetDelivery', { id: listed[0]?.id })).body.delivery as Json;
  };

  it('reaches a registered browser: encrypted for it, signed for its push service', async () => {
    const ada = user();
    const browser = await subscribe(ada);
    const before = Date.now() / 1000;
    assert.deepEqual(
      await notify(ada, {
        title: 'Your parcel 📦',
        actionUrl: 'https://shop.example.org/42',
        data: { order: 42, place: 'Kyōto' },
      }),
      { delivered: 1, pending: 0, failed: 0 },
    );
    const [request] = pushService.received;
    assert.ok(request);
    assert.deepEqual([request.method, request.path], ['POST', `/s/${ada}`]);
    assert.deepEqual(JSON.parse(browser.decrypt(request.bytes)), {
      title: 'Your parcel 📦',
      body: 'is on its way',
      data: { order: '42', place: 'Kyōto', url: 'https://shop.example.org/42' },
    });
    const { claims, publicKey: signer } = vapidOf(request.headers.authorization);
    assert.equal(signer, publicKey);
    assert.equal(claims.aud, pushService.url);
    assert.equal(claims.sub, 'mailto:ops@example.org');
    assert.ok(Number(claims.exp) > before && Number(claims.exp) <= before + 24 * 3600 + 60);
    const { ttl, urgency, topic, 'content-encoding': encoding } = request.headers;
    assert.deepEqual([ttl, urgency, topic, encoding], ['2419200', 'normal', undefined, 'aes128gcm']);
    assert.equal((await delivery(ada)).providerMessageId, 'https://push.example.org/m/1');
  });

  it('takes a subscription that the call gives', async () => {
    const browser = subscriber(`${pushService.url}/given`);
    const ada = user();
    const addresses = { [ada]: { byChannel: { web_push: browser.token } } };
    assert.deepEqual(await notify(ada, { addresses }), { delivered: 1, pending: 0, failed: 0 });
    assert.equal(pushService.received[0]?.path, '/given');
  });

  it('tells the push service how urgent a message is and how long it is good for', async () => {
    const ada = user();
    await subscribe(ada);
    await notify(ada, { urgency: 'URGENCY_CRITICAL', expiresAtMs: String(Date.now() + 90_000) });
    await notify(ada, { urgency: 'URGENCY_LOW' });
    const [urgent, low] = pushService.received.map(({ headers }) => headers);
    assert.deepEqual([urgent?.urgency, low?.urgency], ['high', 'low']);
    assert.ok(Number(urgent?.ttl) > 60 && Number(urgent?.ttl) <= 90, String(urgent?.ttl));
  });

  it('sends at most what push services take, whatever the texts are', async () => {
    const ada = user();
    const browser = await subscribe(ada);
    await notify(ada, { body: '🎺'.repeat(3_000) });
    const [request] = pushService.received;
    assert.ok(request);
    assert.ok(request.bytes.length <= 4_096 && request.bytes.length > 4_090, `${request.bytes.length} bytes`);
    const { body } = JSON.parse(browser.decrypt(request.bytes)) as { body: string };
    assert.match(body, /^(🎺)+$/u);
  });

  for (const status of [404, 410])
    it(`forgets a browser whose push service answers ${status}`, async () => {
      const ada = user();
      await subscribe(ada);
      pushService.answer = () => ({ status });
      assert.deepEqual(await notify(ada), { delivered: 0, pending: 0, failed: 1 });
      assert.equal((await delivery(ada)).reason, 'subscription_gone');
      pushService.answer = () => accepted;
      assert.deepEqual(await notify(ada), { delivered: 0, pending: 1, failed: 0 });
      assert.equal(pushService.received.length, 1);
    });

  it('keeps a browser that was registered again while its push service was asked', async () => {
    const ada = user();
    const browser = await subscribe(ada);
    pushService.answer = async () => {
      await register(ada, browser);
      return { status: 410 };
    };
    assert.deepEqual(await notify(ada), { delivered: 0, pending: 0, failed: 1 });
    pushService.play(accepted);
    assert.deepEqual(await notify(ada), { delivered: 1, pending: 0, failed: 0 });
  });

  it('reaches every browser of a user, and forgets the one alone that has gone', async () => {
    const ada = user();
    const at = (name: string) => `${pushService.url}/s/${ada}-${name}`;
    const home = await subscribe(ada, at('home'), 'home');
    const work = await subscribe(ada, at('work'), 'work');
    pushService.answer = ({ path }) => (path.endsWith('work') ? { status: 410 } : accepted);
    assert.deepEqual(await notify(ada), { delivered: 1, pending: 0, failed: 0 }, 'the best of them counts');
    assert.deepEqual(paths(), [`/s/${ada}-home`, `/s/${ada}-work`]);
    const texts = [home, work].map(({ decrypt }) => {
      const body = pushService.received.find(({ bytes }) => isFor(decrypt, bytes))?.bytes;
      return JSON.parse(decrypt(body ?? assert.fail())).title as string;
    });
    assert.deepEqual(texts, ['Your parcel', 'Your parcel'], 'each encrypted for its own browser');
    await notify(ada);
    assert.deepEqual(paths().slice(0, 2), [`/s/${ada}-home`, `/s/${ada}-home`]);
    assert.equal(pushService.received.length, 3);
  });

  it('follows a browser that another user signs in on', async () => {
    const [ada, bob] = [user(), user()];
    const browser = await subscribe(ada);
    await register(bob, browser);
    assert.deepEqual(await notify(ada), { delivered: 0, pending: 1, failed: 0 });
    assert.equal(pushService.received.length, 0);
    assert.deepEqual(await notify(bob), { delivered: 1, pending: 0, failed: 0 });
  });

  it('says once that push services do not take the keys, not for each message, and when they do again', async () => {
    const said = () => log.lines().filter(({ msg }) => String(msg).startsWith('web_push_keys'));
    const before = said().length;
    const users = Array.from({ length: 12 }, user);
    for (const one of users) await subscribe(one);
    pushService.play({ status: 403 });
    for (const one of users.slice(0, 4)) await notify(one);
    assert.equal(said().length, before, 'a few browsers may have subscribed with other keys');
    for (const one of users) assert.deepEqual(await notify(one), { delivered: 0, pending: 1, failed: 0 });
    await eventually('the line of the log', () => said().length > before);
    assert.deepEqual(
      said()
        .slice(before)
        .map(({ level, msg }) => [level, String(msg).split(':')[0]]),
      [['ERROR', 'web_push_keys_rejected']],
    );
    pushService.play(accepted);
    for (const one of users.slice(0, 3)) await notify(one);
    await eventually('the other', () => said().length > before + 1);
    assert.deepEqual(
      said()
        .slice(before + 1)
        .map(({ msg }) => msg),
      ['web_push_keys_accepted'],
    );
  });

  for (const [answer, counts, reason] of [
    [{ status: 400 }, { delivered: 0, pending: 0, failed: 1 }, 'http_400'],
    [{ status: 413 }, { delivered: 0, pending: 0, failed: 1 }, 'http_413'],
    [
      { status: 302, headers: { location: 'https://example.org/' } },
      { delivered: 0, pending: 0, failed: 1 },
      'http_302',
    ],
    [{ status: 401 }, { delivered: 0, pending: 1, failed: 0 }, 'credentials_rejected'],
    [{ status: 403 }, { delivered: 0, pending: 1, failed: 0 }, 'credentials_rejected'],
    [
      { status: 400, body: '{"reason":"VapidPkHashMismatch"}' },
      { delivered: 0, pending: 1, failed: 0 },
      'credentials_rejected',
    ],
    [{ status: 429 }, { delivered: 0, pending: 1, failed: 0 }, 'http_429'],
    [{ status: 500 }, { delivered: 0, pending: 1, failed: 0 }, 'http_500'],
    ['reset', { delivered: 0, pending: 1, failed: 0 }, 'connection_failed'],
  ] as const)
    it(`takes ${JSON.stringify(answer)} for ${reason}`, async () => {
      const ada = user();
      await subscribe(ada);
      pushService.answer = () => answer;
      assert.deepEqual(await notify(ada), counts);
      assert.equal((await delivery(ada)).reason, reason);
    });

  it('waits as long as the push service says', async () => {
    const ada = user();
    await subscribe(ada);
    pushService.answer = () => ({ status: 503, headers: { 'retry-after': '7200' } });
    const from = Date.now();
    await notify(ada);
    assert.ok(Number((await delivery(ada)).dueAtMs) >= from + 7_200_000);
  });

  for (const [what, token] of [
    ['no JSON', 'not a subscription'],
    ['no endpoint', JSON.stringify({ keys: JSON.parse(subscriber('https://push.example.org/').token).keys })],
    [
      'a key that is no point of the curve',
      JSON.stringify({
        endpoint: 'https://push.example.org/',
        keys: { p256dh: Buffer.alloc(65, 4).toString('base64url'), auth: 'A'.repeat(22) },
      }),
    ],
  ] as const)
    it(`fails for good on ${what}`, async () => {
      const ada = user();
      const addresses = { [ada]: { byChannel: { web_push: token } } };
      assert.deepEqual(await notify(ada, { addresses }), { delivered: 0, pending: 0, failed: 1 });
      assert.equal((await delivery(ada)).reason, 'invalid_destination');
    });

  it('does not connect to a private address', async () => {
    const ada = user();
    await subscribe(ada, 'https://10.0.0.1/push');
    assert.deepEqual(await notify(ada), { delivered: 0, pending: 0, failed: 1 });
    assert.equal((await delivery(ada)).reason, 'destination_refused');
  });

  it('tells pages the key to subscribe with', async () => {
    const { body } = await call(service.url.client, 'notify.v1.InboxService/GetPushConfig', {}, as('ada'));
    assert.deepEqual(body, { vapidPublicKey: publicKey });
  });

  it('tells them none while it is off', async (t) => {
    const without = await build(t);
    const { body } = await call(without.url.client, 'notify.v1.InboxService/GetPushConfig', {}, as('ada'));
    assert.deepEqual(body, { vapidPublicKey: '' });
  });

  it('logs neither keys, subscriptions nor texts', async () => {
    const ada = user();
    const browser = await subscribe(ada);
    pushService.answer = () => ({ status: 500, body: 'Your parcel could not be pushed' });
    await notify(ada);
    const text = log.text();
    assert.ok(text.includes('send_failed'));
    const { endpoint, keys: theirs } = JSON.parse(browser.token);
    for (const secret of [
      privateKey,
      endpoint,
      theirs.auth,
      theirs.p256dh,
      'Your parcel',
      'on its way',
      'vapid t=',
    ])
      assert.ok(!text.includes(secret), `the log has ${secret}`);
  });
});

/** Whether a message can be read with a browser's keys. */
function isFor(decrypt: Subscriber['decrypt'], bytes: Buffer): boolean {
  try {
    decrypt(bytes);
    return true;
  } catch {
    return false;
  }
}

describe('a web push payload', () => {
  const content = {
    notificationId: 'note-1',
    type: '',
    subjectRef: '',
    subjectType: '',
    title: 'title',
    body: 'body',
    urgency: undefined,
    data: undefined,
    actionUrl: undefined,
    iconUrl: undefined,
    actions: [],
    expiresAtMs: 0n,
  };
  const read = (over: Partial<typeof content> | Record<string, unknown>) => {
    const text = webPushPayload({ ...content, ...over });
    assert.ok(Buffer.byteLength(text) <= 3_993, `${Buffer.byteLength(text)} bytes`);
    return JSON.parse(text) as { title: string; body: string; data: Record<string, string> };
  };

  it('is at the limit as it is, and beyond it loses the end of its body', () => {
    const room = 3_993 - Buffer.byteLength(webPushPayload({ ...content, body: '' }));
    assert.equal(read({ body: 'x'.repeat(room) }).body.length, room);
    assert.equal(read({ body: 'x'.repeat(room + 1) }).body.length, room);
    assert.equal(read({ body: 'é'.repeat(room) }).body.length, Math.floor(room / 2));
    assert.equal(read({ body: '"'.repeat(room) }).body.length, Math.floor(room / 2));
  });

  it('gives up the data, then the title, before the URL to open', () => {
    const url = 'https://shop.example.org/42';
    const large = { actionUrl: url, data: JSON.stringify({ note: 'n'.repeat(5_000) }) };
    assert.deepEqual(read(large), { title: 'title', body: 'body', data: { url } });
    const { title, data } = read({ ...large, title: 't'.repeat(9_000) });
    assert.match(title, /^t{3000,}$/);
    assert.deepEqual(data, { url });
    assert.deepEqual(read({ actionUrl: `${url}/${'x'.repeat(4_000)}` }).data, {});
  });
});

describe('a VAPID key', () => {
  it('signs once for each push service, and again after hours', async () => {
    const clock = fakeClock();
    const key = new VapidKey({ publicKey, privateKey, contact: undefined }, clock);
    const first = key.authorization('https://a.example.org');
    assert.notEqual(key.authorization('https://b.example.org'), first);
    await clock.advance(3_600_000);
    assert.equal(key.authorization('https://a.example.org'), first);
    await clock.advance(6 * 3_600_000);
    const later = key.authorization('https://a.example.org');
    assert.notEqual(later, first);
    assert.deepEqual(vapidOf(later).claims, {
      aud: 'https://a.example.org',
      exp: (clock.now() + 12 * 3_600_000) / 1000,
    });
  });

  it('comes from npm run vapid, as the configuration takes it', () => {
    const script = new URL('../../../src/vapid.ts', import.meta.url).pathname;
    const { stdout } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
    const printed = Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=')),
    );
    const env = { NOTIFY_AUTH_DEV_MODE: 'true', NOTIFY_WEBPUSH_PROVIDER: 'vapid', ...printed };
    assert.doesNotThrow(() => parseConfig(env, built), ConfigError);
  });
});
