/** What becomes of messages while a provider does not take our key, through the whole service, for each provider. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Code } from '@connectrpc/connect';
import { SendEmailResponseSchema } from '../../../proto/gen/notify/email/v1/email_pb.ts';
import { fakeAmbient } from '../../support/ambient.ts';
import { build, call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { grpc, grpcError, grpcReply } from '../../support/grpc-wire.ts';
import { logFile } from '../../support/log.ts';
import { apnsEnv, fcmEnv } from '../../support/mobile-push-env.ts';
import type { Wire } from '../../support/provider-server.ts';
import { http2 } from '../../support/scripted-http2.ts';
import { smtp, smtpAccepted } from '../../support/scripted-mail-server.ts';
import { http1, type Reply, ScriptedServer } from '../../support/scripted-server.ts';
import { account, created, twilioError } from '../../support/twilio-wire.ts';

type Json = Record<string, unknown>;

/** A provider, and two answers of its server. */
interface Case<Answer> {
  readonly wire: Wire<unknown, Answer>;
  readonly channel: 'email' | 'sms' | 'mobile_push';
  readonly destination: string;
  readonly rejected: Answer;
  readonly accepted: Answer;
  /** Its name in the log, where it is not the case's. */
  readonly says?: string;
  env(base: string, t: TestContext): Promise<Json> | Json;
}

const email = { channel: 'email', destination: 'alice@example.org' } as const;
const overHttp = (provider: string, env: Json, accepted: Reply, rejected: Reply): Case<Reply> => ({
  ...email,
  wire: http1,
  accepted,
  rejected,
  env: (base) => ({ NOTIFY_EMAIL_PROVIDER: provider, NOTIFY_EMAIL_ENDPOINT: base, ...env }),
});

/** Google's token endpoint, which takes the service account. */
async function google(t: TestContext): Promise<string> {
  const server = await ScriptedServer.listen(t);
  server.play({ status: 200, body: '{"access_token":"ya29.token","expires_in":3599}' });
  return `${server.url}/token`;
}

const fcm: Case<Reply> = {
  wire: http1,
  channel: 'mobile_push',
  destination: 'cReg:APA91b-token',
  rejected: { status: 401, body: '{"error":{"status":"UNAUTHENTICATED"}}' },
  accepted: { status: 200, body: '{"name":"projects/shop/messages/1"}' },
  env: async (base, t) => ({
    NOTIFY_MOBILEPUSH_PROVIDER: 'fcm',
    ...fcmEnv(base, await google(t)),
  }),
};

// biome-ignore lint/suspicious/noExplicitAny: a case's answers go to the server of that case alone, whatever their type
const cases: Readonly<Record<string, Case<any>>> = {
  acs: overHttp(
    'acs',
    { NOTIFY_EMAIL_API_KEY: 'c2VjcmV0' },
    { status: 202, body: '{"id":"1","status":"Running"}' },
    { status: 401 },
  ),
  sendgrid: overHttp('sendgrid', { NOTIFY_EMAIL_API_KEY: 'SG.key' }, { status: 202 }, { status: 401 }),
  ses: overHttp(
    'ses',
    { NOTIFY_EMAIL_REGION: 'eu-central-1', NOTIFY_EMAIL_API_KEY: 'AKIDEXAMPLE:secret' },
    { status: 200, body: '{"MessageId":"1"}' },
    { status: 403, body: '{"__type":"SignatureDoesNotMatch"}' },
  ),
  smtp: {
    ...email,
    wire: smtp,
    rejected: { at: 'AUTH', reply: 535, text: '5.7.8 no' },
    accepted: smtpAccepted,
    env: (base: string) => ({
      NOTIFY_EMAIL_PROVIDER: 'smtp',
      NOTIFY_EMAIL_SMTP_HOST: '127.0.0.1',
      NOTIFY_EMAIL_SMTP_PORT: new URL(base).port,
      NOTIFY_EMAIL_SMTP_USERNAME: 'notify',
      NOTIFY_EMAIL_SMTP_PASSWORD: 'secret-4711',
    }),
  },
  emailservice: {
    ...email,
    wire: grpc,
    rejected: grpcError(Code.Unauthenticated, 'no'),
    accepted: grpcReply(SendEmailResponseSchema, { messageId: '1' }),
    env: (base: string) => ({
      NOTIFY_EMAIL_PROVIDER: 'emailservice',
      NOTIFY_EMAIL_SERVICE_ADDRESS: new URL(base).host,
    }),
  },
  twilio: {
    wire: http1,
    channel: 'sms',
    destination: '+15550100123',
    rejected: twilioError(401, 20003),
    accepted: created(),
    env: (base: string) => ({
      NOTIFY_SMS_PROVIDER: 'twilio',
      NOTIFY_SMS_ACCOUNT_SID: account.sid,
      NOTIFY_SMS_AUTH_TOKEN: account.token,
      NOTIFY_SMS_FROM: '+15550100999',
      NOTIFY_SMS_ENDPOINT: base,
    }),
  },
  fcm,
  'fcm beside apns': {
    ...fcm,
    says: 'fcm',
    env: async (base, t) => ({
      ...apnsEnv('http://127.0.0.1:9'),
      ...(await fcm.env(base, t)),
      NOTIFY_MOBILEPUSH_PROVIDER: 'fcm,apns',
    }),
  },
  apns: {
    wire: http2,
    channel: 'mobile_push',
    destination: 'ab'.repeat(32),
    rejected: { status: 403, body: '{"reason":"InvalidProviderToken"}' },
    accepted: { status: 200, echo: ['apns-id'] },
    env: (base) => ({ NOTIFY_MOBILEPUSH_PROVIDER: 'apns', ...apnsEnv(base) }),
  },
};

describe('credentials that are rejected', () => {
  for (const [name, { wire, channel, destination, rejected, accepted, env, says = name }] of Object.entries(
    cases,
  ))
    it(`are said once by ${name}, and its messages wait until they are taken`, async (t) => {
      const server = await wire.listen(t);
      server.play(rejected);
      const ambient = fakeAmbient();
      const log = logFile(t);
      const service = await build(
        t,
        {
          NOTIFY_EMAIL_FROM: 'notify@example.com',
          // nobody moves the clock while a call waits for its turn
          NOTIFY_EMAIL_RATE: '1000',
          ...((await env(server.url, t)) as Record<string, string>),
        },
        { ambient, logger: log.logger },
      );
      const notify = async (id: string) => {
        const userIds = Array.from({ length: 10 }, (_, i) => `${id}-${i}`);
        const { body } = await call(service.url.internal, procedures.notify, {
          tenantId: 'demo',
          notificationId: id,
          userIds,
          title: 'a private title',
          channels: [`DELIVERY_CHANNEL_${channel.toUpperCase()}`],
          addresses: Object.fromEntries(
            userIds.map((user) => [user, { byChannel: { [channel]: destination } }]),
          ),
        });
        return body;
      };
      /** Lets a minute pass in steps, each until what it began has ended. */
      const minute = async () => {
        for (let step = 0; step < 6; step++) {
          await ambient.clock.advance(10_000);
          await eventually('an end to all attempts', () => service.core.attempts.size === 0);
        }
      };
      const delivered = async () => {
        const { body } = await call(service.url.internal, 'notify.v1.DeliveryService/ListDeliveries', {
          tenantId: 'demo',
          status: 'DELIVERY_STATUS_DELIVERED',
          limit: 100,
        });
        return ((body.deliveries as Json[] | undefined) ?? []).length;
      };

      assert.equal((await notify('first')).pending, 10);
      assert.equal((await notify('second')).pending, 10);
      for (let minutes = 0; minutes < 10; minutes++) await minute();
      // the log is written in batches
      await eventually('the line of the log', () => log.lines('provider_down').length > 0);
      const down = log.lines('provider_down');
      assert.deepEqual(
        down.map((line) => [line.channel, line.provider, line.reason]),
        [[channel, says, 'credentials_rejected']],
      );
      assert.equal(log.lines('provider_up').length, 0);
      assert.equal(await delivered(), 0);

      server.play(accepted);
      for (let minutes = 0; minutes < 60 && (await delivered()) < 20; minutes++) await minute();
      assert.equal(await delivered(), 20);
      await eventually('the line of the log', () => log.lines('provider_up').length > 0);
      assert.equal(log.lines('provider_up').length, 1);
      assert.equal(log.lines('provider_down').length, 1);
      assert.doesNotMatch(log.text(), /private title|alice@|\+1555010012/);
    });
});
