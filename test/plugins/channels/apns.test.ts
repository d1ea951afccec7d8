import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { ApnsProvider } from '../../../plugins/channels/mobile-push/apns/apns.ts';
import { DeliveryError } from '../../../src/core/channel.ts';
import type { Content } from '../../../src/core/glossary.ts';
import { channelConformance } from '../../conformance/channel.ts';
import { type FakeClock, fakeClock } from '../../support/ambient.ts';
import { eventually } from '../../support/eventually.ts';
import { type Http2Reply, http2, ScriptedHttp2 } from '../../support/scripted-http2.ts';
import { claimsOf } from '../../support/web-push.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const deviceToken = '00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0';
const deliveryId = '01a20154-4c24-73da-a2b6-0000000000a1';
const minuteMs = 60_000;

const open = (endpoint: string, clock: FakeClock): ApnsProvider =>
  new ApnsProvider(
    {
      keyP8: privateKey,
      keyId: 'KEY1234567',
      teamId: 'TEAM123456',
      topic: 'org.example.shop',
      sandbox: false,
      endpoint,
    },
    clock,
  );

/** What Apple says with every answer: the id that it was asked with. */
const accepted: Http2Reply = { status: 200, echo: ['apns-id'] };

const reason = (status: number, word: string, more: Record<string, unknown> = {}): Http2Reply => ({
  status,
  echo: ['apns-id'],
  body: JSON.stringify({ reason: word, ...more }),
});
const refusals = (code: string, answers: readonly (readonly [status: number, word: string])[]) =>
  answers.map(([status, word]) => ({ when: `${status} ${word}`, reply: reason(status, word), code }));

channelConformance(
  'apns',
  {
    open: (_t, base, clock) => open(base, clock),
    destination: () => deviceToken,
    wrongDestinations: ['cReg:APA91b', `../${deviceToken}`, deviceToken.slice(40), `${deviceToken}/`],
    accepted: () => ({ reply: accepted, id: ({ headers }) => String(headers['apns-id']) }),
    idInHead: true,
    understand({ headers, body }) {
      assert.equal(headers[':path'], `/3/device/${deviceToken}`);
      assert.match(headers.authorization ?? '', /^bearer [\w-]+\.[\w-]+\.[\w-]+$/);
      assert.ok(Buffer.byteLength(body) <= 4_096);
      const { alert } = (JSON.parse(body) as { aps: { alert: { title: string; body: string } } }).aps;
      return { destination: deviceToken, text: `${alert.title}\n${alert.body}` };
    },
    repeatKey: ({ headers }) => headers['apns-id'],
    throttled: (headers) => ({ ...reason(503, 'ServiceUnavailable'), headers }),
    permanent: [
      ...refusals('http_400', [
        [400, 'PayloadEmpty'],
        [400, 'BadPriority'],
      ]),
      ...refusals('http_413', [[413, 'PayloadTooLarge']]),
      { when: 'a page that is none of Apple’s', reply: { status: 404, body: '<html>' }, code: 'http_404' },
    ],
    transient: [
      ...refusals('http_400', [[400, 'IdleTimeout']]),
      ...refusals('http_429', [
        [429, 'TooManyRequests'],
        [429, 'TooManyProviderTokenUpdates'],
      ]),
      ...refusals('http_500', [[500, 'InternalServerError']]),
      ...refusals('http_503', [
        [503, 'ServiceUnavailable'],
        [503, 'Shutdown'],
      ]),
    ],
    credentials: refusals('credentials_rejected', [
      [400, 'TopicDisallowed'],
      [400, 'MissingTopic'],
      [403, 'InvalidProviderToken'],
      [403, 'ExpiredProviderToken'],
      [403, 'BadCertificateEnvironment'],
    ]),
    dead: refusals('unregistered_token', [
      [410, 'Unregistered'],
      [410, 'ExpiredToken'],
      [400, 'BadDeviceToken'],
      [400, 'DeviceTokenNotForTopic'],
    ]),
    longest: { title: 't', body: '€'.repeat(1_340) },
    connections: 1,
    secrets: [deviceToken, 'bearer', privateKey.slice(40, 80)],
  },
  http2,
);

const content: Content = {
  notificationId: 'note-1',
  type: '',
  subjectRef: '',
  subjectType: '',
  title: 'title',
  body: 'the private text',
  urgency: undefined,
  data: undefined,
  actionUrl: undefined,
  iconUrl: undefined,
  actions: [],
  expiresAtMs: 0n,
};

async function ground(t: TestContext) {
  const server = await ScriptedHttp2.listen(t);
  server.play(accepted);
  const clock = fakeClock();
  const provider = open(server.url, clock);
  t.after(() => provider.close());
  const send = (over: { content?: Partial<Content>; signal?: AbortSignal } = {}) =>
    provider.send(
      {
        tenantId: 'demo',
        userId: 'ada',
        id: 'id',
        deliveryId,
        destination: deviceToken,
        createdAtMs: 0n,
        content: { ...content, ...over.content },
      },
      { signal: over.signal ?? new AbortController().signal, idempotencyKey: deliveryId },
    );
  const failure = (sending: Promise<unknown>) =>
    sending.then(
      () => assert.fail('it was taken'),
      (thrown: unknown) => {
        assert.ok(thrown instanceof DeliveryError);
        return thrown;
      },
    );
  const token = (i = -1) => server.received.at(i)?.headers.authorization?.replace(/^bearer /, '') ?? '';
  return { server, clock, provider, send, failure, token };
}

describe('a message for apns', () => {
  it('is an alert under the delivery’s id', async (t) => {
    const { server, clock, send, token } = await ground(t);
    const receipt = await send({
      content: { data: '{"order":42,"aps":"no"}', actionUrl: 'https://shop.example.org/42' },
    });
    assert.deepEqual(receipt, { providerMessageId: deliveryId });
    const [{ headers, body } = assert.fail()] = server.received;
    assert.deepEqual(
      ['apns-id', 'apns-topic', 'apns-push-type', 'apns-priority', 'apns-expiration', 'apns-collapse-id'].map(
        (name) => headers[name],
      ),
      [deliveryId, 'org.example.shop', 'alert', '10', String(clock.now() / 1000 + 28 * 86_400), undefined],
    );
    assert.deepEqual(JSON.parse(body), {
      aps: { alert: { title: 'title', body: 'the private text' }, sound: 'default' },
      order: '42',
      url: 'https://shop.example.org/42',
    });
    const [head = ''] = token().split('.');
    assert.deepEqual(JSON.parse(Buffer.from(head, 'base64url').toString()), {
      alg: 'ES256',
      typ: 'JWT',
      kid: 'KEY1234567',
    });
    assert.deepEqual(claimsOf(token(), createPublicKey(publicKey)), {
      iss: 'TEAM123456',
      iat: clock.now() / 1000,
    });
  });

  it('says how urgent it is and how long it is good for', async (t) => {
    const { server, clock, send } = await ground(t);
    await send({ content: { urgency: 'low', expiresAtMs: BigInt(clock.now() + 90_500) } });
    await send({ content: { urgency: 'critical', expiresAtMs: BigInt(clock.now() + 500) } });
    const said = server.received.map(({ headers }) => [headers['apns-priority'], headers['apns-expiration']]);
    assert.deepEqual(said, [
      ['5', String(clock.now() / 1000 + 90)],
      ['10', '0'],
    ]);
  });

  it('is cut at a character where it is over 4,096 bytes', async (t) => {
    const { server, send } = await ground(t);
    await send({ content: { body: '🎺'.repeat(3_000) } });
    const text = server.received[0]?.body ?? '';
    const size = Buffer.byteLength(text);
    assert.ok(size <= 4_096 && size > 4_092, `${size} bytes`);
    assert.match(JSON.parse(text).aps.alert.body, /^(🎺)+$/u);
  });
});

describe('the token of apns', () => {
  it('is kept for 20 minutes at least and an hour at most', async (t) => {
    const { clock, send, token } = await ground(t);
    await send();
    const first = token();
    await clock.advance(20 * minuteMs);
    await send();
    assert.equal(token(), first);
    await clock.advance(40 * minuteMs);
    await send();
    assert.notEqual(token(), first);
  });

  it('is made anew when an old one is called expired', async (t) => {
    const { server, clock, send, token } = await ground(t);
    await send();
    const first = token();
    await clock.advance(30 * minuteMs);
    server.answer = ({ headers }) =>
      headers.authorization === `bearer ${first}` ? reason(403, 'ExpiredProviderToken') : accepted;
    await send();
    assert.notEqual(token(), first);
    assert.equal(server.received.length, 3);
  });

  it('stays where it is called expired in its first 20 minutes: then a clock is wrong', async (t) => {
    const { server, clock, send, failure, token } = await ground(t);
    await send();
    const first = token();
    await clock.advance(19 * minuteMs);
    server.play(reason(403, 'ExpiredProviderToken'));
    assert.equal((await failure(send())).code, 'credentials_rejected');
    assert.equal(server.received.length, 2);
    server.play(accepted);
    await send();
    assert.equal(token(), first);
  });
});

describe('the connection of apns', () => {
  it('is made again after it was lost, and after GOAWAY lets what is under way finish', async (t) => {
    const { server, send, failure } = await ground(t);
    server.play('reset');
    await failure(send());
    server.play(accepted);
    await send();
    assert.equal(server.connections, 2);
    server.answer = () => {
      server.sessions.at(-1)?.goaway(0);
      return accepted;
    };
    await send();
    server.play(accepted);
    await send();
    assert.equal(server.connections, 3);
  });

  it('is another one for what the peer has not looked at', async (t) => {
    const { server, send } = await ground(t);
    server.answer = () => (server.received.length === 1 ? 'refuse' : accepted);
    await send();
    assert.equal(server.received.length, 2);
  });

  it('is left when it did not answer an attempt in time', async (t) => {
    const { server, send, failure } = await ground(t);
    server.play('hang');
    const abort = new AbortController();
    const failed = failure(send({ signal: abort.signal }));
    await eventually('the request', () => server.received.length === 1);
    abort.abort();
    await failed;
    server.play(accepted);
    await send();
    assert.equal(server.connections, 2);
  });

  it('is not made again once the provider is closed', async (t) => {
    const { provider, send, failure } = await ground(t);
    await provider.close();
    assert.equal((await failure(send())).retryable, true);
  });
});
