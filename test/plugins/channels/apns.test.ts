import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { ApnsProvider } from '../../../plugins/channels/mobile-push/apns/apns.ts';
import { DeliveryError } from '../../../src/core/channel.ts';
import type { Content } from '../../../src/core/glossary.ts';
import { fakeClock } from '../../support/ambient.ts';
import { eventually } from '../../support/eventually.ts';
import { type Http2Answer, ScriptedHttp2 } from '../../support/scripted-http2.ts';
import { selfSigned } from '../../support/self-signed.ts';
import { claimsOf } from '../../support/web-push.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const deviceToken = '00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0';
const deliveryId = '01a20154-4c24-73da-a2b6-0000000000a1';
const minuteMs = 60_000;

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
  server.answer = ({ headers }) => ({ status: 200, headers: { 'apns-id': String(headers['apns-id']) } });
  const clock = fakeClock();
  const settings = {
    keyP8: privateKey,
    keyId: 'KEY1234567',
    teamId: 'TEAM123456',
    topic: 'org.example.shop',
  };
  const provider = new ApnsProvider({ ...settings, sandbox: false, endpoint: server.url }, clock);
  t.after(() => provider.close());
  const send = (
    over: { content?: Partial<Content>; destination?: string; signal?: AbortSignal; id?: string } = {},
  ) =>
    provider.send(
      {
        tenantId: 'demo',
        userId: 'ada',
        id: 'id',
        deliveryId: over.id ?? deliveryId,
        destination: over.destination ?? deviceToken,
        createdAtMs: 0n,
        content: { ...content, ...over.content },
      },
      { signal: over.signal ?? new AbortController().signal, idempotencyKey: over.id ?? deliveryId },
    );
  const failure = (sending: Promise<unknown>) =>
    sending.then(
      () => assert.fail('it was taken'),
      (thrown: unknown) => {
        assert.ok(thrown instanceof DeliveryError, inspect(thrown));
        const shown = inspect(thrown, { depth: 20, showHidden: true });
        for (const secret of [deviceToken, content.body, 'bearer', privateKey.slice(40, 80)])
          assert.ok(!shown.includes(secret), shown);
        return thrown;
      },
    );
  const token = (i = -1) => server.received.at(i)?.headers.authorization?.replace(/^bearer /, '') ?? '';
  return { server, clock, provider, send, failure, token };
}

const reason = (status: number, word: string, more: Record<string, unknown> = {}) => ({
  status,
  body: JSON.stringify({ reason: word, ...more }),
});

describe('apns', () => {
  it('hands an alert over under the delivery’s id', async (t) => {
    const { server, clock, send, token } = await ground(t);
    const receipt = await send({
      content: { data: '{"order":42,"aps":"no"}', actionUrl: 'https://shop.example.org/42' },
    });
    assert.deepEqual(receipt, { providerMessageId: deliveryId });
    const [{ headers, body } = assert.fail()] = server.received;
    assert.equal(headers[':path'], `/3/device/${deviceToken}`);
    assert.deepEqual(
      ['apns-id', 'apns-topic', 'apns-push-type', 'apns-priority', 'apns-expiration'].map(
        (name) => headers[name],
      ),
      [deliveryId, 'org.example.shop', 'alert', '10', String(clock.now() / 1000 + 28 * 86_400)],
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

  it('says how urgent a message is and how long it is good for', async (t) => {
    const { server, clock, send } = await ground(t);
    await send({ content: { urgency: 'low', expiresAtMs: BigInt(clock.now() + 90_500) } });
    await send({ content: { urgency: 'critical', expiresAtMs: BigInt(clock.now() + 500) } });
    const said = server.received.map(({ headers }) => [headers['apns-priority'], headers['apns-expiration']]);
    assert.deepEqual(said, [
      ['5', String(clock.now() / 1000 + 90)],
      ['10', '0'],
    ]);
  });

  it('cuts what is over 4,096 bytes at a character', async (t) => {
    const { server, send } = await ground(t);
    await send({ content: { body: '🎺'.repeat(3_000) } });
    const text = server.received[0]?.body ?? '';
    const size = Buffer.byteLength(text);
    assert.ok(size <= 4_096 && size > 4_092, `${size} bytes`);
    assert.match(JSON.parse(text).aps.alert.body, /^(🎺)+$/u);
  });

  const cases: readonly [Http2Answer, string, boolean][] = [
    [reason(410, 'Unregistered', { timestamp: 1 }), 'unregistered_token', false],
    [reason(410, 'ExpiredToken'), 'unregistered_token', false],
    [reason(400, 'BadDeviceToken'), 'unregistered_token', false],
    [reason(400, 'DeviceTokenNotForTopic'), 'unregistered_token', false],
    [reason(400, 'PayloadEmpty'), 'http_400', false],
    [reason(413, 'PayloadTooLarge'), 'http_413', false],
    [{ status: 404, body: '<html>' }, 'http_404', false],
    [reason(400, 'IdleTimeout'), 'http_400', true],
    [reason(400, 'TopicDisallowed'), 'credentials_rejected', true],
    [reason(403, 'InvalidProviderToken'), 'credentials_rejected', true],
    [reason(403, 'ExpiredProviderToken'), 'credentials_rejected', true],
    [reason(429, 'TooManyRequests'), 'http_429', true],
    [reason(429, 'TooManyProviderTokenUpdates'), 'http_429', true],
    [reason(500, 'InternalServerError'), 'http_500', true],
    [reason(503, 'Shutdown'), 'http_503', true],
    ['lost', 'connection_failed', true],
  ];
  for (const [answer, code, retryable] of cases)
    it(`takes ${JSON.stringify(answer)} for ${code}`, async (t) => {
      const { server, send, failure } = await ground(t);
      server.answer = () => answer;
      const failed = await failure(send());
      assert.deepEqual([failed.code, failed.retryable], [code, retryable]);
      assert.equal(server.received.length, 1);
    });

  it('waits as long as it is told', async (t) => {
    const { server, send, failure } = await ground(t);
    server.answer = () => ({ ...reason(503, 'ServiceUnavailable'), headers: { 'retry-after': '90' } });
    assert.equal((await failure(send())).retryAfterMs, 90_000);
  });

  it('refuses a destination that is no device token, without asking', async (t) => {
    const { server, send, failure } = await ground(t);
    for (const destination of ['', 'cReg:APA91b', `${deviceToken}\r\n`, `../${deviceToken}`])
      assert.equal((await failure(send({ destination }))).code, 'invalid_destination');
    assert.equal(server.received.length, 0);
  });

  it('keeps its token for 20 minutes at least and an hour at most', async (t) => {
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

  it('makes another token when an old one is called expired', async (t) => {
    const { server, clock, send, token } = await ground(t);
    await send();
    const first = token();
    await clock.advance(30 * minuteMs);
    server.answer = ({ headers }) =>
      headers.authorization === `bearer ${first}` ? reason(403, 'ExpiredProviderToken') : { status: 200 };
    await send();
    assert.notEqual(token(), first);
    assert.equal(server.received.length, 3);
  });

  it('sends 300 messages at once over one connection, and keeps it', async (t) => {
    const { server, send } = await ground(t);
    const bodies = Array.from({ length: 300 }, (_, i) => `message ${i}.`);
    await Promise.all(bodies.map((body) => send({ content: { body } })));
    await send();
    assert.equal(server.sessions.length, 1);
    const got = server.received.map(({ body }) => JSON.parse(body).aps.alert.body as string);
    assert.deepEqual(got.slice(0, 300).sort(), bodies.sort());
  });

  it('connects again after the connection was lost, and after GOAWAY lets what is under way finish', async (t) => {
    const { server, send, failure } = await ground(t);
    server.answer = () => 'lost';
    await failure(send());
    server.answer = () => ({ status: 200 });
    await send();
    assert.equal(server.sessions.length, 2);
    server.answer = () => {
      server.sessions.at(-1)?.goaway(0);
      return { status: 200 };
    };
    await send();
    server.answer = () => ({ status: 200 });
    await send();
    assert.equal(server.sessions.length, 3);
  });

  it('sends once more what the peer has not looked at', async (t) => {
    const { server, send } = await ground(t);
    server.answer = () => (server.received.length === 1 ? 'refuse' : { status: 200 });
    await send();
    assert.equal(server.received.length, 2);
  });

  it('ends with its attempt, and leaves a connection that did not answer', async (t) => {
    const { server, send, failure } = await ground(t);
    server.answer = () => 'hang';
    const abort = new AbortController();
    const failed = failure(send({ signal: abort.signal }));
    await eventually('the request', () => server.received.length === 1);
    abort.abort();
    assert.equal((await failed).code, 'interrupted');
    assert.equal((await failure(send({ signal: AbortSignal.abort() }))).code, 'interrupted');
    server.answer = () => ({ status: 200 });
    await send();
    assert.equal(server.sessions.length, 2);
  });

  it('speaks HTTP/2 over TLS, and trusts no certificate that nobody signed', async (t) => {
    const { failure } = await ground(t);
    const server = createSecureServer(selfSigned);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as AddressInfo;
    const provider = new ApnsProvider(
      {
        keyP8: privateKey,
        keyId: 'k',
        teamId: 't',
        topic: 'x',
        sandbox: false,
        endpoint: `https://127.0.0.1:${port}`,
      },
      fakeClock(),
    );
    const message = { tenantId: 'd', userId: 'u', id: 'i', deliveryId, destination: deviceToken };
    const sending = provider.send(
      { ...message, createdAtMs: 0n, content },
      { signal: new AbortController().signal, idempotencyKey: deliveryId },
    );
    const { code, retryable } = await failure(sending);
    assert.deepEqual([code, retryable], ['tls_failed', true]);
  });

  it('comes back when nobody listens', async (t) => {
    const { provider, send, failure } = await ground(t);
    await provider.close();
    assert.deepEqual((await failure(send())).retryable, true);
    const nobody = new ApnsProvider(
      {
        keyP8: privateKey,
        keyId: 'k',
        teamId: 't',
        topic: 'x',
        sandbox: false,
        endpoint: 'http://127.0.0.1:1',
      },
      fakeClock(),
    );
    const message = { tenantId: 'd', userId: 'u', id: 'i', deliveryId, destination: deviceToken };
    const sending = nobody.send(
      { ...message, createdAtMs: 0n, content },
      { signal: new AbortController().signal, idempotencyKey: deliveryId },
    );
    assert.equal((await failure(sending)).code, 'connection_failed');
  });
});
