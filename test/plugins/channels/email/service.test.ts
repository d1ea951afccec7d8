/** Email through the whole service: configuration, dispatcher, delivery log, service log. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { fakeAmbient } from '../../../support/ambient.ts';
import { build, call, procedures } from '../../../support/build.ts';
import { logFile } from '../../../support/log.ts';
import { MailServer, smtpError } from '../../../support/mail-server.ts';
import { ScriptedServer } from '../../../support/scripted-server.ts';

type Json = Record<string, unknown>;

/** A service on a clock that the test moves, whose mails go where `env` says. */
async function open(t: TestContext, env: Record<string, string>) {
  const ambient = fakeAmbient();
  const log = logFile(t);
  const service = await build(
    t,
    { NOTIFY_EMAIL_FROM: 'Notify <notify@example.com>', ...env },
    { ambient, logger: log.logger },
  );
  const producer = async (method: string, request: Json) => {
    const { status, body } = await call(service.url.internal, method, { tenantId: 'demo', ...request });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  return {
    ambient,
    log,
    notify: (id: string) =>
      producer(procedures.notify, {
        notificationId: id,
        userIds: ['alice'],
        title: 'a private title',
        body: 'a private body',
        channels: ['DELIVERY_CHANNEL_EMAIL'],
        addresses: { alice: { byChannel: { email: 'alice@example.org' } } },
        returnResults: true,
      }),
    delivery: async () => {
      const { deliveries } = await producer('notify.v1.DeliveryService/ListDeliveries', {});
      const [{ id } = assert.fail()] = deliveries as Json[];
      return (await producer('notify.v1.DeliveryService/GetDelivery', { id })).delivery as Json & {
        attempts: Json[];
      };
    },
  };
}

const smtp = (port: number) => ({
  NOTIFY_EMAIL_PROVIDER: 'smtp',
  NOTIFY_EMAIL_SMTP_HOST: '127.0.0.1',
  NOTIFY_EMAIL_SMTP_PORT: String(port),
});

describe('email of the service', () => {
  it('is delivered when the mail server has it, and is one mail however often it is notified', async (t) => {
    const server = await MailServer.listen(t);
    const { notify, delivery } = await open(t, smtp(server.port));
    const { delivered } = await notify('n-1');
    await notify('n-1');
    assert.equal(delivered, 1);
    assert.equal(server.received.length, 1);
    const { id, provider, providerMessageId } = await delivery();
    assert.deepEqual([provider, providerMessageId], ['smtp', `<${id}@example.com>`]);
    assert.equal(server.received[0]?.mail.messageId, providerMessageId);
  });

  it('is tried again after a refusal that passes, as the same mail, and the log tells nothing of it', async (t) => {
    const server = await MailServer.listen(t);
    server.refuse = () => smtpError(451, '4.3.0 not now, alice@example.org: a private body');
    const { notify, delivery, ambient, log } = await open(t, smtp(server.port));
    const { pending, results } = await notify('n-1');
    assert.deepEqual([pending, (results as Json[])[0]?.reason], [1, 'smtp_451']);
    await ambient.clock.advance(15_000);
    server.refuse = () => undefined;
    await ambient.clock.advance(25_000);
    const { id, status, attempts } = await delivery();
    assert.equal(status, 'DELIVERY_STATUS_DELIVERED');
    assert.deepEqual(
      attempts.map(({ reason, detail }) => [reason, detail]),
      [
        ['smtp_451', 'the mail server answered 451 4.3.0 to DATA'],
        ['smtp_451', 'the mail server answered 451 4.3.0 to DATA'],
        ['', ''],
      ],
    );
    for (const msg of ['send_failed', 'retry_failed'])
      assert.deepEqual(
        log.lines(msg).map(({ tenant_id, user_id, delivery_id }) => [tenant_id, user_id, delivery_id]),
        [['demo', 'alice', id]],
        msg,
      );
    assert.doesNotMatch(log.text(), /private|alice@/);
  });

  it('that is refused for good is failed, and waits for a key where that is what is wrong', async (t) => {
    const server = await ScriptedServer.listen(t);
    const { notify, delivery, ambient, log } = await open(t, {
      NOTIFY_EMAIL_PROVIDER: 'SendGrid',
      NOTIFY_EMAIL_API_KEY: 'SG.a-secret-key',
      NOTIFY_EMAIL_ENDPOINT: `${server.url}/`,
    });
    server.answer = () => ({ status: 401, body: '{"errors":[{"message":"a private body"}]}' });
    const { pending } = await notify('n-1');
    assert.equal(pending, 1);
    await ambient.clock.advance(59_000);
    assert.equal(server.received.length, 1, 'not before a minute');
    server.answer = () => ({ status: 400, body: '{"errors":[{"message":"a private body"}]}' });
    await ambient.clock.advance(61_000);
    const { status, reason } = await delivery();
    assert.deepEqual([status, reason], ['DELIVERY_STATUS_FAILED', 'http_400']);
    assert.doesNotMatch(log.text(), /private|alice@|SG\./);
  });

  for (const [name, env] of [
    ['ses', { NOTIFY_EMAIL_REGION: 'eu-central-1', NOTIFY_EMAIL_API_KEY: 'AKIDEXAMPLE:secret' }],
    ['acs', { NOTIFY_EMAIL_API_KEY: 'c2VjcmV0' }],
  ] as const)
    it(`goes out by ${name}`, async (t) => {
      const server = await ScriptedServer.listen(t);
      server.answer = () => ({ status: 202, body: '{"MessageId":"id-1","id":"id-1","status":"Running"}' });
      const { notify, delivery } = await open(t, {
        NOTIFY_EMAIL_PROVIDER: name,
        NOTIFY_EMAIL_ENDPOINT: server.url,
        ...env,
      });
      assert.equal((await notify('n-1')).delivered, 1);
      const { provider, providerMessageId } = await delivery();
      assert.deepEqual([provider, providerMessageId], [name, 'id-1']);
    });
});
