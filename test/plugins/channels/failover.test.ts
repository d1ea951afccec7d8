/** A channel with two providers through the whole service: SES by its wire format, and a real mail server behind it. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { fakeAmbient } from '../../support/ambient.ts';
import { build, call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { logFile } from '../../support/log.ts';
import { MailServer, smtpError } from '../../support/mail-server.ts';
import { moduleFile } from '../../support/module.ts';
import { type Answer, ScriptedServer } from '../../support/scripted-server.ts';

type Json = Record<string, unknown>;

const taken: Answer = { status: 200, body: '{"MessageId":"ses-1"}' };
const refusal = (status: number, name: string): Answer => ({
  status,
  headers: { 'x-amzn-errortype': name },
  body: '{"message":"a private text"}',
});

async function open(t: TestContext, env: Record<string, string> = {}) {
  const ambient = fakeAmbient();
  const log = logFile(t);
  const ses = await ScriptedServer.listen(t);
  const mail = await MailServer.listen(t);
  ses.answer = () => taken;
  const service = await build(
    t,
    {
      NOTIFY_EMAIL_PROVIDER: 'ses,smtp',
      NOTIFY_EMAIL_FROM: 'Notify <notify@example.com>',
      NOTIFY_EMAIL_REGION: 'eu-central-1',
      NOTIFY_EMAIL_API_KEY: 'AKIDEXAMPLE:a-secret-key',
      NOTIFY_EMAIL_ENDPOINT: ses.url,
      NOTIFY_EMAIL_RATE: '1000',
      NOTIFY_EMAIL_SMTP_HOST: '127.0.0.1',
      NOTIFY_EMAIL_SMTP_PORT: String(mail.port),
      ...env,
    },
    { ambient, logger: log.logger },
  );
  const producer = async (method: string, request: Json) => {
    const { status, body } = await call(service.url.internal, method, { tenantId: 'demo', ...request });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  let count = 0;
  return {
    ambient,
    log,
    ses,
    mail,
    notify: (...users: string[]) =>
      producer(procedures.notify, {
        notificationId: `n-${++count}`,
        userIds: users,
        title: 'a private title',
        body: 'a private body',
        channels: ['DELIVERY_CHANNEL_EMAIL'],
        addresses: Object.fromEntries(
          users.map((user) => [user, { byChannel: { email: `${user}@example.org` } }]),
        ),
        returnResults: true,
      }),
    delivery: async (userId: string) => {
      const { deliveries } = await producer('notify.v1.DeliveryService/ListDeliveries', { userId });
      const [{ id } = assert.fail()] = deliveries as Json[];
      const { delivery } = await producer('notify.v1.DeliveryService/GetDelivery', { id });
      const { attempts, ...rest } = delivery as Json & { attempts: Json[] };
      return { ...rest, log: attempts.map(({ provider, reason }) => [provider, reason]) } as Json;
    },
    metrics: async () => (await fetch(`${service.url.ops}/metrics`)).text(),
    unreachable: () => ses.close(),
  };
}

const users = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `user${from + i}`);

describe('email by SES, and by SMTP where that fails', () => {
  it('goes by SES alone while that is well', async (t) => {
    const { notify, delivery, ses, mail } = await open(t);
    assert.equal((await notify('alice')).delivered, 1);
    assert.deepEqual([ses.received.length, mail.received.length], [1, 0]);
    const { provider, providerMessageId } = await delivery('alice');
    assert.deepEqual([provider, providerMessageId], ['ses', 'ses-1']);
  });

  for (const [what, answer, reason] of [
    ['answers 503', refusal(503, 'ServiceUnavailable'), 'http_503'],
    ['throttles', refusal(429, 'TooManyRequestsException'), 'http_429'],
    ['rejects the credentials', refusal(403, 'InvalidClientTokenId'), 'credentials_rejected'],
    [
      'has not verified the sender',
      refusal(400, 'MailFromDomainNotVerifiedException'),
      'provider_misconfigured',
    ],
    ['closes without a word', 'reset', 'connection_failed'],
    ['cannot be reached', undefined, 'connection_failed'],
  ] as const)
    it(`goes out by SMTP within the call where SES ${what}, and both are told of`, async (t) => {
      const { notify, delivery, ses, mail, log, metrics, unreachable } = await open(t);
      if (answer === undefined) await unreachable();
      else ses.answer = () => answer;
      const { delivered, pending, failed } = await notify('alice');
      assert.deepEqual([delivered, pending, failed], [1, 0, 0]);
      assert.deepEqual(
        mail.received.map(({ to }) => to),
        [['alice@example.org']],
      );
      const told = await delivery('alice');
      assert.deepEqual([told.status, told.provider], ['DELIVERY_STATUS_DELIVERED', 'smtp']);
      assert.deepEqual(told.log, [
        ['ses', reason],
        ['smtp', ''],
      ]);
      assert.equal(told.providerMessageId, mail.received[0]?.mail.messageId);
      const [line, ...more] = log.lines('send_failed');
      assert.deepEqual(
        [line?.provider, line?.status, line?.next_provider, more],
        ['ses', 'pending', 'smtp', []],
      );
      const counted = await metrics();
      assert.match(counted, /notify_send_total\{channel="email",provider="ses",status="pending"\} 1/);
      assert.match(counted, /notify_send_total\{channel="email",provider="smtp",status="delivered"\} 1/);
      assert.doesNotMatch(log.text(), /private|alice@|a-secret-key/);
    });

  it('is failed where SES refuses it for good', async (t) => {
    const { notify, delivery, ses, mail } = await open(t);
    ses.answer = () => refusal(400, 'MessageRejected');
    assert.equal((await notify('alice')).failed, 1);
    assert.equal(mail.received.length, 0);
    assert.deepEqual((await delivery('alice')).log, [['ses', 'message_refused']]);
  });

  it('waits where both are away, and goes out when one is back', async (t) => {
    const { notify, delivery, ses, mail, ambient } = await open(t);
    ses.answer = () => refusal(503, 'ServiceUnavailable');
    mail.refuse = () => smtpError(451, '4.3.0 not now');
    const { pending, results } = await notify('alice');
    assert.deepEqual([pending, (results as Json[])[0]?.reason], [1, 'smtp_451']);
    mail.refuse = () => undefined;
    await ambient.clock.advance(15_000);
    const { log } = await eventually('it is delivered', async () => {
      const seen = await delivery('alice');
      return seen.status === 'DELIVERY_STATUS_DELIVERED' && seen;
    });
    assert.deepEqual(log, [
      ['ses', 'http_503'],
      ['smtp', 'smtp_451'],
      ['ses', 'http_503'],
      ['smtp', ''],
    ]);
  });

  it('asks SES no more while it is down, and goes back to it', async (t) => {
    const { notify, delivery, ses, mail, ambient, log } = await open(t);
    ses.answer = () => refusal(500, 'InternalFailure');
    assert.equal((await notify(...users(0, 10))).delivered, 10);
    assert.deepEqual(
      log.lines('provider_down').map(({ provider, reason }) => [provider, reason]),
      [['ses', 'http_500']],
    );
    const asked = ses.received.length;
    assert.equal((await notify(...users(10, 60))).delivered, 50);
    assert.equal(ses.received.length, asked);
    assert.equal(mail.received.length, 60);
    assert.deepEqual((await delivery('user33')).log, [['smtp', '']]);

    ses.answer = () => taken;
    await ambient.clock.advance(6_000);
    assert.equal((await notify('user60')).delivered, 1);
    assert.deepEqual((await delivery('user60')).log, [['ses', '']], 'the probe');
    assert.equal((await notify(...users(61, 71))).delivered, 10);
    assert.deepEqual([ses.received.length, mail.received.length], [asked + 11, 60]);
    assert.deepEqual(
      log.lines('provider_up').map(({ provider }) => provider),
      ['ses'],
    );
  });

  it('goes on by SMTP when SES has not answered within NOTIFY_EMAIL_TIMEOUT', async (t) => {
    const { notify, delivery, ses, mail, ambient } = await open(t, { NOTIFY_EMAIL_TIMEOUT: 'ses=2s' });
    ses.answer = () => 'hang';
    const answer = notify('alice');
    while (ses.received.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await ambient.clock.advance(2_000);
    assert.equal((await answer).delivered, 1);
    assert.deepEqual((await delivery('alice')).log, [
      ['ses', 'timeout'],
      ['smtp', ''],
    ]);
    assert.equal(mail.received.length, 1);
  });

  it('asks each for as much at once as NOTIFY_EMAIL_CONCURRENCY says, over as many connections', async (t) => {
    const { notify, ses, mail } = await open(t, { NOTIFY_EMAIL_CONCURRENCY: 'ses=15,smtp=2' });
    let answerAll = () => {};
    const asked = new Promise<void>((resolve) => {
      answerAll = resolve;
    });
    ses.answer = async () => {
      if (ses.received.length === 15) setImmediate(answerAll);
      await asked;
      return refusal(503, 'ServiceUnavailable');
    };
    assert.equal((await notify(...users(0, 40))).delivered, 40);
    assert.equal(ses.mostConnections, 15);
    assert.ok(ses.received.length < 20, 'the rest did not wait for it');
    assert.equal(mail.received.length, 40);
    assert.equal(mail.connections, 2);
  });

  it('says at which rate it holds a provider whose own it goes by', async (t) => {
    const { log } = await open(t, { NOTIFY_EMAIL_RATE: 'smtp=50' });
    const told = log.lines().filter(({ msg }) => String(msg).startsWith('usual_rate'));
    assert.deepEqual(
      told.map(({ channel, provider, rate }) => [channel, provider, rate]),
      [['email', 'ses', 14]],
    );
  });

  it('may have a provider of a module and the test provider beside them', async (t) => {
    const pigeon = moduleFile(
      t,
      `export const core = async (app) => app.registerProvider('email', 'pigeon', async () => ({
        channel: 'email', name: 'pigeon', send: async () => { throw new Error('it is raining'); },
      }));
      core[Symbol.for('skip-override')] = true;`,
    );
    const { notify, delivery, ses } = await open(t, {
      NOTIFY_PLUGINS: pigeon,
      NOTIFY_EMAIL_PROVIDER: 'pigeon,ses,test',
    });
    ses.answer = () => refusal(503, 'ServiceUnavailable');
    assert.equal((await notify('alice')).delivered, 1);
    assert.deepEqual((await delivery('alice')).log, [
      ['pigeon', 'provider_error'],
      ['ses', 'http_503'],
      ['test', ''],
    ]);
  });
});
