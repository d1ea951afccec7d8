import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { after, beforeEach, describe, it, type TestContext } from 'node:test';
import { FcmProvider } from '../../../plugins/channels/mobile-push/fcm/fcm.ts';
import { fcmMessage } from '../../../plugins/channels/mobile-push/fcm/message.ts';
import { DeliveryError } from '../../../src/core/channel.ts';
import type { Content } from '../../../src/core/glossary.ts';
import { channelConformance } from '../../conformance/channel.ts';
import { type FakeClock, fakeClock } from '../../support/ambient.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';
import { claimsOf } from '../../support/web-push.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const registration = 'cRegistration:APA91b-token_of-a-phone';
const accessToken = 'ya29.a-secret-access-token';

/** Google's token endpoint. */
const google = await ScriptedServer.listen({ after } as Pick<TestContext, 'after'>);
const granted = (text = accessToken) => ({
  status: 200,
  body: JSON.stringify({ access_token: text, expires_in: 3_599, token_type: 'Bearer' }),
});

const open = (base: string, clock: FakeClock): FcmProvider =>
  new FcmProvider(
    {
      credentials: {
        clientEmail: 'push@shop.iam.gserviceaccount.com',
        privateKey,
        tokenUri: `${google.url}/token`,
      },
      projectId: 'shop',
      endpoint: base,
    },
    clock,
  );

/** Google's error (AIP-193), with FCM's own word where it has one. */
const error = (code: number, status: string, errorCode?: string, message = 'quoting the private text') => ({
  status: code,
  body: JSON.stringify({
    error: {
      code,
      message,
      status,
      details:
        errorCode === undefined
          ? []
          : [{ '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode }],
    },
  }),
});
const name = 'projects/shop/messages/0:1500415314455276%31bd1c9631bd1c96';
const accepted = { status: 200, body: JSON.stringify({ name }) };

beforeEach(() => {
  google.answer = () => granted();
  google.received.length = 0;
});

channelConformance('fcm', {
  open: (_t, base, clock) => open(base, clock),
  destination: () => registration,
  wrongDestinations: ['f'.repeat(64), 'ein Gerät'],
  accepted: () => ({ reply: accepted, id: name }),
  understand({ method, path, headers, body }) {
    assert.deepEqual([method, path], ['POST', '/v1/projects/shop/messages:send']);
    assert.equal(headers.authorization, `Bearer ${accessToken}`);
    const { message } = JSON.parse(body) as {
      message: { token: string; notification: { title: string; body: string } };
    };
    return {
      destination: message.token,
      text: `${message.notification.title}\n${message.notification.body}`,
    };
  },
  throttled: (headers) => ({ ...error(503, 'UNAVAILABLE', 'UNAVAILABLE'), headers }),
  permanent: [
    { when: 'INVALID_ARGUMENT', reply: error(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT'), code: 'http_400' },
    {
      when: 'SENDER_ID_MISMATCH',
      reply: error(403, 'PERMISSION_DENIED', 'SENDER_ID_MISMATCH'),
      code: 'sender_id_mismatch',
    },
    { when: 'a redirect', reply: { status: 302, headers: { location: '/' } }, code: 'http_302' },
  ],
  transient: [
    { when: 'QUOTA_EXCEEDED', reply: error(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED'), code: 'http_429' },
    { when: 'UNAVAILABLE', reply: error(503, 'UNAVAILABLE', 'UNAVAILABLE'), code: 'http_503' },
    { when: 'INTERNAL', reply: error(500, 'INTERNAL', 'INTERNAL'), code: 'http_500' },
    { when: 'a gateway that has no words', reply: { status: 502, body: '<html>' }, code: 'http_502' },
  ],
  credentials: [
    { when: 'UNAUTHENTICATED', reply: error(401, 'UNAUTHENTICATED'), code: 'credentials_rejected' },
    { when: 'PERMISSION_DENIED', reply: error(403, 'PERMISSION_DENIED'), code: 'credentials_rejected' },
    {
      when: 'NOT_FOUND of the project',
      reply: error(404, 'NOT_FOUND', undefined, 'Project shop was not found.'),
      code: 'credentials_rejected',
    },
    { when: 'no such path', reply: { status: 404, body: '<html>' }, code: 'credentials_rejected' },
    {
      when: 'THIRD_PARTY_AUTH_ERROR',
      reply: error(401, 'UNAUTHENTICATED', 'THIRD_PARTY_AUTH_ERROR'),
      code: 'third_party_auth_error',
    },
  ],
  dead: [
    { when: 'UNREGISTERED', reply: error(404, 'NOT_FOUND', 'UNREGISTERED'), code: 'unregistered_token' },
    { when: 'NOT_FOUND', reply: error(404, 'NOT_FOUND'), code: 'unregistered_token' },
    {
      when: 'INVALID_ARGUMENT about the token',
      reply: error(
        400,
        'INVALID_ARGUMENT',
        'INVALID_ARGUMENT',
        'The registration token is not a valid FCM registration token',
      ),
      code: 'unregistered_token',
    },
  ],
  longest: { title: 't', body: '€'.repeat(1_365) },
  connections: 16,
  secrets: [accessToken, registration, privateKey.slice(40, 80)],
});

const content: Content = {
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

describe('access tokens of fcm', () => {
  async function ground(t: TestContext) {
    const fcm = await ScriptedServer.listen(t);
    fcm.answer = () => accepted;
    const clock = fakeClock();
    const provider = open(fcm.url, clock);
    t.after(() => provider.close());
    const send = () =>
      provider.send(
        {
          tenantId: 'demo',
          userId: 'ada',
          id: 'id',
          deliveryId: 'id',
          destination: registration,
          createdAtMs: 0n,
          content,
        },
        { signal: new AbortController().signal, idempotencyKey: 'id' },
      );
    const failure = () =>
      send().then(
        () => assert.fail('it was taken'),
        (thrown: unknown) => {
          assert.ok(thrown instanceof DeliveryError);
          return thrown;
        },
      );
    return { fcm, clock, send, failure };
  }

  it('are asked for where the credentials say, as the service account', async (t) => {
    const { clock, send } = await ground(t);
    await send();
    const { path, headers, body } = google.only;
    assert.deepEqual([path, headers['content-type']], ['/token', 'application/x-www-form-urlencoded']);
    const form = new URLSearchParams(body);
    assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
    const iat = clock.now() / 1000;
    assert.deepEqual(claimsOf(form.get('assertion') ?? '', createPublicKey(publicKey)), {
      iss: 'push@shop.iam.gserviceaccount.com',
      scope: 'https://www.googleapis.com/auth/firebase.messaging',
      aud: `${google.url}/token`,
      iat,
      exp: iat + 3_600,
    });
  });

  it('are asked for once however many wait, and again before they end', async (t) => {
    const { fcm, clock, send } = await ground(t);
    await Promise.all(Array.from({ length: 20 }, send));
    assert.equal(google.received.length, 1);
    await clock.advance(3_000_000);
    await send();
    assert.equal(google.received.length, 1);
    await clock.advance(300_000);
    google.answer = () => granted('ya29.second');
    await Promise.all([send(), send()]);
    assert.equal(google.received.length, 2);
    assert.equal(fcm.received.at(-1)?.headers.authorization, 'Bearer ya29.second');
  });

  it('are asked for anew when one was revoked', async (t) => {
    const { fcm, send, failure } = await ground(t);
    fcm.answer = () => error(401, 'UNAUTHENTICATED');
    await failure();
    google.answer = () => granted('ya29.second');
    fcm.answer = () => accepted;
    await send();
    assert.equal(fcm.received.at(-1)?.headers.authorization, 'Bearer ya29.second');
  });

  it('that are refused wait for an operator, and one that cannot be had is tried again', async (t) => {
    const { fcm, failure, send } = await ground(t);
    for (const [answer, code] of [
      [{ status: 400, body: '{"error":"invalid_grant"}' }, 'credentials_rejected'],
      [{ status: 401, body: '' }, 'credentials_rejected'],
      [{ status: 503, body: '' }, 'http_503'],
      [{ status: 200, body: '{}' }, 'no_access_token'],
      ['reset', 'connection_failed'],
    ] as const) {
      google.answer = () => answer;
      const failed = await failure();
      assert.deepEqual([failed.code, failed.retryable], [code, true]);
    }
    assert.equal(fcm.received.length, 0);
    google.answer = () => granted();
    await send();
  });
});

describe('a message for fcm', () => {
  interface Message {
    notification: { title: string; body: string };
    data: Record<string, string>;
    android: { priority: string; ttl: string };
    apns: { headers: Record<string, string> };
  }
  const nowMs = Date.UTC(2026, 0, 1);
  const read = (over: Partial<Content>) =>
    (fcmMessage('token', { ...content, ...over }, nowMs) as { message: Message }).message;

  it('has data of texts, without what FCM keeps for itself', () => {
    const { data } = read({
      data: '{"n":1,"t":"x","o":{"a":[true]},"from":"x","google.x":"y","gcm":"z"}',
      actionUrl: 'https://shop.example.org/42',
    });
    assert.deepEqual(data, { n: '1', t: 'x', o: '{"a":[true]}', url: 'https://shop.example.org/42' });
  });

  it('has a priority by its urgency, and a life by its expiry', () => {
    const plain = read({});
    assert.deepEqual(plain.android, { priority: 'HIGH', ttl: '2419200s' });
    const low = read({ urgency: 'low', expiresAtMs: BigInt(nowMs + 61_500) });
    assert.deepEqual(low.android, { priority: 'NORMAL', ttl: '61s' });
    assert.deepEqual(low.apns.headers, {
      'apns-priority': '5',
      'apns-expiration': String(nowMs / 1000 + 61),
    });
  });

  it('loses the end of its body beyond 4,096 bytes', () => {
    const { notification, data } = read({ body: '🎺'.repeat(2_000), data: '{"order":"42"}' });
    assert.deepEqual(data, { order: '42' });
    assert.match(notification.body, /^(🎺)+$/u);
    const size = Buffer.byteLength(`title${notification.body}order42`);
    assert.ok(size <= 4_096 && size > 4_092, `${size} bytes`);
  });
});
