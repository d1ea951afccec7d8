import { createECDH } from 'node:crypto';
import type { TestContext } from 'node:test';
import { FakeProvider, using } from './fake-provider.ts';
import { MailServer } from './mail-server.ts';
import { apnsEnv, fcmEnv } from './mobile-push-env.ts';
import { ScriptedHttp2 } from './scripted-http2.ts';
import { type Received, ScriptedServer } from './scripted-server.ts';
import { account, created } from './twilio-wire.ts';
import { type Subscriber, subscriber } from './web-push.ts';

const vapid = createECDH('prime256v1');
vapid.generateKeys();

/** A phone of Apple's, and one that is not. */
export const appleToken = '0123456789abcdef'.repeat(4);
export const androidToken = 'cReg:APA91b-android-of-the-recipient';

/** Every channel with a real provider of it, each before a server of its own that takes everything. */
export class EveryChannel {
  readonly env: Readonly<Record<string, string>>;
  readonly overrides: ReturnType<typeof using>['overrides'];
  readonly chat: FakeProvider;
  readonly mail: MailServer;
  readonly twilio: ScriptedServer;
  readonly push: ScriptedServer;
  readonly google: ScriptedServer;
  readonly apple: ScriptedHttp2;
  readonly hooks: ScriptedServer;
  readonly browser: Subscriber;

  static async listen(t: Pick<TestContext, 'after'>): Promise<EveryChannel> {
    const [mail, twilio, push, google, apple, hooks] = await Promise.all([
      MailServer.listen(t),
      ScriptedServer.listen(t),
      ScriptedServer.listen(t),
      ScriptedServer.listen(t),
      ScriptedHttp2.listen(t),
      ScriptedServer.listen(t),
    ]);
    return new EveryChannel({ mail, twilio, push, google, apple, hooks });
  }

  private constructor(
    servers: Pick<EveryChannel, 'mail' | 'twilio' | 'push' | 'google' | 'apple' | 'hooks'>,
  ) {
    const { mail, twilio, push, google, apple, hooks } = servers;
    this.mail = mail;
    this.twilio = twilio;
    this.push = push;
    this.google = google;
    this.apple = apple;
    this.hooks = hooks;
    this.chat = new FakeProvider('chat');
    twilio.answer = created;
    push.answer = () => ({ status: 201 });
    google.answer = ({ path }) =>
      path === '/token'
        ? { status: 200, body: '{"access_token":"ya29.token","expires_in":3599}' }
        : { status: 200, body: '{"name":"projects/shop/messages/1"}' };
    this.browser = subscriber(`${push.url}/subscription`);
    const module = using(this.chat);
    this.overrides = module.overrides;
    const phone = (prefix: string) => ({
      [`${prefix}_PROVIDER`]: 'twilio',
      [`${prefix}_ACCOUNT_SID`]: account.sid,
      [`${prefix}_AUTH_TOKEN`]: account.token,
      [`${prefix}_FROM`]: '+15550199',
      [`${prefix}_ENDPOINT`]: twilio.url,
    });
    this.env = {
      ...module.env,
      NOTIFY_EMAIL_PROVIDER: 'smtp',
      NOTIFY_EMAIL_FROM: 'notify@example.com',
      NOTIFY_EMAIL_SMTP_HOST: '127.0.0.1',
      NOTIFY_EMAIL_SMTP_PORT: String(mail.port),
      ...phone('NOTIFY_SMS'),
      ...phone('NOTIFY_WHATSAPP'),
      NOTIFY_WEBPUSH_PROVIDER: 'vapid',
      NOTIFY_WEBPUSH_VAPID_PUBLIC: vapid.getPublicKey('base64url'),
      NOTIFY_WEBPUSH_VAPID_PRIVATE: Buffer.concat([Buffer.alloc(32), vapid.getPrivateKey()])
        .subarray(-32)
        .toString('base64url'),
      NOTIFY_MOBILEPUSH_PROVIDER: 'fcm,apns',
      ...fcmEnv(google.url),
      ...apnsEnv(apple.url),
      NOTIFY_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
      NOTIFY_EGRESS_ALLOW: '127.0.0.0/8',
      NOTIFY_EGRESS_ALLOW_HTTP: 'true',
    };
  }

  /** Where a recipient is, by address key. */
  get addresses(): Readonly<Record<string, string>> {
    return {
      email: 'alice@example.org',
      sms: '+15550100',
      whatsapp: '+15550101',
      web_push: this.browser.token,
      mobile_push: androidToken,
      webhook: `${this.hooks.url}/alice`,
      chat: 'room-of-alice',
    };
  }

  /** What arrived anywhere, by where it went to. */
  arrived(): string[] {
    const form = ({ body }: Received) => new URLSearchParams(body).get('To') ?? '';
    return [
      ...this.mail.received.flatMap(({ to }) => to),
      ...this.twilio.received.map(form),
      ...this.push.received.map(() => this.browser.token),
      ...this.google.received
        .filter(({ path }) => path !== '/token')
        .map(({ body }) => String(JSON.parse(body).message.token)),
      ...this.apple.received.map(({ headers }) => String(headers[':path']).replace('/3/device/', '')),
      ...this.hooks.received.map(({ path }) => `${this.hooks.url}${path}`),
      ...this.chat.destinations,
    ];
  }

  /** How many connections were made to the servers. */
  get connections(): number {
    const { mail, twilio, push, google, apple, hooks } = this;
    const counted = [mail, twilio, push, google, hooks].map(({ connections }) => connections);
    return counted.reduce((sum, count) => sum + count, apple.sessions.length);
  }
}

export const sentChannels = ['EMAIL', 'SMS', 'WHATSAPP', 'WEB_PUSH', 'MOBILE_PUSH', 'WEBHOOK', 'CHAT'].map(
  (name) => `DELIVERY_CHANNEL_${name}`,
);
