import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { as, build, call, procedures } from '../../support/build.ts';
import { logFile } from '../../support/log.ts';
import { apnsEnv, fcmEnv } from '../../support/mobile-push-env.ts';
import { ScriptedHttp2 } from '../../support/scripted-http2.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';

const androidToken = 'cReg:APA91b-android';
const fcmTokenOfIos = 'dReg:APA91b-ios';
const hexToken = '0123456789abcdef'.repeat(4);

async function open(t: TestContext) {
  const google = await ScriptedServer.listen(t);
  google.answer = ({ path }) =>
    path === '/token'
      ? { status: 200, body: '{"access_token":"ya29.token","expires_in":3599}' }
      : { status: 200, body: '{"name":"projects/shop/messages/1"}' };
  const apple = await ScriptedHttp2.listen(t);
  apple.answer = ({ headers }) => ({ status: 200, headers: { 'apns-id': String(headers['apns-id']) } });
  const log = logFile(t);
  const env = {
    NOTIFY_MOBILEPUSH_PROVIDER: 'fcm,apns',
    ...fcmEnv(google.url),
    ...apnsEnv(apple.url),
  };
  return { google, apple, log, service: await build(t, env, { logger: log.logger }) };
}

describe('mobile push by FCM and APNs', () => {
  it('goes on by one of the two while the other is down', async (t) => {
    const { google, apple, log, service } = await open(t);
    const { answer } = google;
    google.answer = (request) => (request.path === '/token' ? answer(request) : { status: 503 });
    const to = async (id: string, ...tokens: string[]) => {
      const userIds = tokens.map((_, i) => `user-${i}`);
      const { body } = await call(service.url.internal, procedures.notify, {
        tenantId: 'demo',
        notificationId: id,
        userIds,
        title: 'Your parcel',
        channels: ['DELIVERY_CHANNEL_MOBILE_PUSH'],
        addresses: Object.fromEntries(
          tokens.map((token, i) => [userIds[i], { byChannel: { mobile_push: token } }]),
        ),
      });
      return [body.delivered, body.pending];
    };
    assert.deepEqual(await to('note-1', ...Array.from({ length: 6 }, (_, i) => androidToken + i)), [0, 6]);
    assert.deepEqual(
      log.lines('provider_down').map(({ provider }) => provider),
      ['fcm'],
    );
    const asked = google.received.length;
    assert.deepEqual(await to('note-2', hexToken, androidToken), [1, 1]);
    assert.deepEqual([google.received.length, apple.received.length], [asked, 1]);
  });

  it('sends each device what its token belongs to, and tells which of the two it was', async (t) => {
    const { google, apple, service } = await open(t);
    for (const [deviceType, deviceId, token] of [
      ['DEVICE_TYPE_ANDROID', 'phone', androidToken],
      ['DEVICE_TYPE_IOS', 'old', fcmTokenOfIos],
      ['DEVICE_TYPE_IOS', 'new', hexToken],
    ])
      await call(
        service.url.client,
        'elloloop.notify.v1.NotificationClientService/RegisterPushToken',
        { deviceType, deviceId, token },
        as('ada'),
      );
    const message = { tenantId: 'demo', userIds: ['ada'], title: 'Your parcel', body: 'is on its way' };
    const channels = ['DELIVERY_CHANNEL_MOBILE_PUSH'];
    const notify = (notificationId: string) =>
      call(service.url.internal, procedures.notify, { ...message, channels, notificationId });
    const { body } = await notify('note-1');
    assert.deepEqual([body.delivered, body.pending, body.failed], [1, 0, 0]);

    const tokens = google.received
      .filter(({ path }) => path !== '/token')
      .map((request) => JSON.parse(request.body).message.token);
    assert.deepEqual(tokens.sort(), [androidToken, fcmTokenOfIos]);
    assert.deepEqual(
      apple.received.map(({ headers }) => headers[':path']),
      [`/3/device/${hexToken}`],
    );
    const listed = await call(service.url.internal, 'notify.v1.DeliveryService/ListDeliveries', {
      tenantId: 'demo',
      userId: 'ada',
    });
    const deliveries = listed.body.deliveries as { provider: string; destination: string }[];
    assert.deepEqual(deliveries.map(({ provider }) => provider).sort(), ['apns', 'fcm', 'fcm']);

    apple.answer = () => ({ status: 410, body: '{"reason":"Unregistered"}' });
    await notify('note-2');
    await notify('note-3');
    assert.equal(apple.received.length, 2, 'the device is forgotten');
  });
});
