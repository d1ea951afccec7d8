import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { call } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { logFile } from '../../support/log.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';
import { serve } from '../../support/serve.ts';

const master = (fill: number) => `whsec_${Buffer.alloc(32, fill).toString('base64')}`;
const secretOf = 'notify.v1.RecipientService/GetWebhookSecret';

async function open(t: TestContext, env: Record<string, string> = {}) {
  const receiver = await ScriptedServer.listen(t);
  const log = logFile(t);
  const service = await serve(
    t,
    {
      NOTIFY_WEBHOOK_SECRET: master(1),
      NOTIFY_EGRESS_ALLOW: '127.0.0.0/8',
      NOTIFY_EGRESS_ALLOW_HTTP: 'true',
      ...env,
    },
    { logger: log.logger },
  );
  let count = 0;
  const notify = async (url: string, over: Record<string, unknown> = {}) => {
    count += 1;
    const { body } = await call(
      service.url.internal,
      'elloloop.notify.v1.NotificationInternalService/Notify',
      {
        tenantId: 'demo',
        notificationId: `n-${count}`,
        userIds: ['ada'],
        title: 'a private title',
        channels: ['DELIVERY_CHANNEL_WEBHOOK'],
        addresses: { ada: { byChannel: { webhook: url } } },
        returnResults: true,
        ...over,
      },
    );
    const [result] = body.results as { status: string; reason: string; id: string }[];
    assert.ok(result, JSON.stringify(body));
    return result;
  };
  const secret = async (url: string, tenantId = 'demo') =>
    String((await call(service.url.internal, secretOf, { tenantId, url })).body.secret);
  return { receiver, service, notify, secret, log };
}

describe('a webhook of the service', () => {
  it('is what was notified, signed with the key that is shown', async (t) => {
    const { receiver, notify, secret } = await open(t);
    const url = `${receiver.url}/hook`;
    const { status, id } = await notify(url, {
      type: 'order.shipped',
      subjectRef: '42',
      body: 'in words',
      data: { parcels: 2 },
      urgency: 'URGENCY_HIGH',
    });
    assert.equal(status, 'DELIVERY_STATUS_DELIVERED');
    const { body, headers } = receiver.only;
    const sent = new Webhook(await secret(url)).verify(body, headers as Record<string, string>) as {
      type: string;
      timestamp: string;
      data: Record<string, unknown>;
    };
    assert.deepEqual(Object.keys(sent), ['type', 'timestamp', 'data']);
    assert.equal(sent.type, 'order.shipped');
    assert.equal(new Date(sent.timestamp).toISOString(), sent.timestamp);
    assert.deepEqual(sent.data, {
      id,
      tenantId: 'demo',
      userId: 'ada',
      notificationId: 'n-1',
      subjectRef: '42',
      subjectType: '',
      title: 'a private title',
      body: 'in words',
      urgency: 'high',
      data: { parcels: 2 },
    });
  });

  it("is signed with a key of the tenant's and the URL's own", async (t) => {
    const { receiver, notify, secret } = await open(t);
    const url = `${receiver.url}/hook`;
    const derived = createHmac('sha256', Buffer.alloc(32, 1)).update(`demo\0${url}`).digest('base64');
    assert.equal(await secret(url), `whsec_${derived}`);
    await notify(url);
    const { body, headers } = receiver.only;
    for (const other of [await secret(url, 'other'), await secret(`${url}/`), master(1)])
      assert.throws(() => new Webhook(other).verify(body, headers as Record<string, string>));
  });

  it('is signed with both masters while they are changed, and the first one is shown', async (t) => {
    const { receiver, notify, secret } = await open(t, {
      NOTIFY_WEBHOOK_SECRET: `${master(2)},${master(1)}`,
    });
    const url = `${receiver.url}/hook`;
    await notify(url);
    const { body, headers } = receiver.only;
    const keyBy = (fill: number) =>
      `whsec_${createHmac('sha256', Buffer.alloc(32, fill)).update(`demo\0${url}`).digest('base64')}`;
    for (const fill of [1, 2]) new Webhook(keyBy(fill)).verify(body, headers as Record<string, string>);
    assert.equal(await secret(url), keyBy(2));
  });

  it('says in the answer what became of it, and nothing private in the log', async (t) => {
    const { receiver, notify, log } = await open(t);
    const url = `${receiver.url}/hook?token=a-private-token`;
    for (const [status, expected, reason] of [
      [204, 'DELIVERED', ''],
      [503, 'PENDING', 'http_503'],
      [429, 'PENDING', 'http_429'],
      [400, 'FAILED', 'http_400'],
      [302, 'FAILED', 'http_302'],
      [410, 'FAILED', 'destination_gone'],
    ] as const) {
      receiver.answer = () => ({ status });
      const result = await notify(url);
      assert.deepEqual([result.status, result.reason], [`DELIVERY_STATUS_${expected}`, reason]);
    }
    const private_ = await notify('https://169.254.169.254/latest/meta-data');
    assert.deepEqual([private_.status, private_.reason], ['DELIVERY_STATUS_FAILED', 'destination_refused']);
    const nowhere = await notify('https://nobody.invalid/a-private-path');
    assert.deepEqual([nowhere.status, nowhere.reason], ['DELIVERY_STATUS_PENDING', 'dns_failed']);
    await eventually('seven lines', () => log.lines('send_failed').length >= 7);
    for (const word of [
      'a-private',
      'a private title',
      'nobody.invalid',
      '169.254.169.254',
      master(1).slice(6),
    ])
      assert.ok(!log.text().includes(word), word);
  });
});

describe('GetWebhookSecret', () => {
  it('refuses what is no tenant and no URL', async (t) => {
    const { service } = await open(t);
    const answer = await call(service.url.internal, secretOf, { tenantId: ' ', url: 'example.com/hook' });
    assert.equal(answer.status, 400);
    assert.match(String(answer.body.message), /^tenant_id: must not be blank; url: must be an https URL/);
  });

  it('is unimplemented while the channel is off', async (t) => {
    const service = await serve(t);
    const url = 'https://example.com/hook';
    const answer = await call(service.url.internal, secretOf, { tenantId: 'demo', url });
    assert.deepEqual([answer.status, answer.body.code], [501, 'unimplemented']);
  });

  it('asks for the internal token', async (t) => {
    const { service } = await open(t, { NOTIFY_INTERNAL_TOKEN: 'x'.repeat(32) });
    const url = 'https://example.com/hook';
    assert.equal((await call(service.url.internal, secretOf, { tenantId: 'demo', url })).status, 401);
    assert.equal((await call(service.url.client, secretOf, { tenantId: 'demo', url })).status, 404);
  });
});
