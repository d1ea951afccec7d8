/** Whether each provider's credentials are taken, asked of servers that speak the provider's documented protocol. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { buildProviders, built } from '../../../src/app.ts';
import { parseConfig } from '../../../src/config.ts';
import { type ChannelProvider, DeliveryError } from '../../../src/core/channel.ts';
import { checkProvider, type ProviderReport } from '../../../src/core/provider-check.ts';
import { fakeClock } from '../../support/ambient.ts';
import { EveryChannel } from '../../support/every-channel.ts';
import { FakeProvider } from '../../support/fake-provider.ts';
import { MailServer } from '../../support/mail-server.ts';
import { type Answer, type Received, ScriptedServer } from '../../support/scripted-server.ts';
import { account, twilioError } from '../../support/twilio-wire.ts';

/** What the checks of a configuration come to. */
async function check(t: TestContext, env: Readonly<Record<string, string>>): Promise<ProviderReport[]> {
  const app = await buildProviders(parseConfig({ NOTIFY_AUTH_DEV_MODE: 'true', ...env }, built));
  t.after(() => app.close());
  const { signal } = new AbortController();
  return Promise.all(
    [...app.providers.values()].flat().map((provider) => checkProvider(provider, app.ambient.clock, signal)),
  );
}

const json = (status: number, body: object, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** One answer of a provider, and what it means. */
interface Case {
  readonly answer: Answer;
  readonly state: ProviderReport['state'];
  readonly detail: RegExp;
}

interface Subject {
  readonly env: (url: string) => Readonly<Record<string, string>>;
  /** That the provider would understand what it is asked, and that it sends nothing. */
  readonly understood: (request: Received) => void;
  readonly secrets: readonly string[];
  readonly cases: Readonly<Record<string, Case>>;
}

const email = (provider: string, env: Readonly<Record<string, string>>) => ({
  NOTIFY_EMAIL_PROVIDER: provider,
  NOTIFY_EMAIL_FROM: 'notify@example.com',
  ...env,
});

const awsError = (status: number, name: string): Answer =>
  json(
    status,
    { message: 'the key AKIDEXAMPLE' },
    { 'x-amzn-errortype': `${name}:http://internal.amazon.com/` },
  );
const sesAccount = { ProductionAccessEnabled: true, SendingEnabled: true, EnforcementStatus: 'HEALTHY' };
const azureKey = Buffer.from('a secret key of the resource').toString('base64');
const unavailable: Case = { answer: { status: 503 }, state: 'unreachable', detail: /answered 503/ };
const broken: Case = { answer: 'reset', state: 'unreachable', detail: /connection/ };

const subjects: Readonly<Record<string, Subject>> = {
  sendgrid: {
    env: (url) => email('sendgrid', { NOTIFY_EMAIL_API_KEY: 'SG.secret', NOTIFY_EMAIL_ENDPOINT: url }),
    understood({ method, path, headers, body }) {
      assert.deepEqual([method, path, body], ['GET', '/v3/scopes', '']);
      assert.equal(headers.authorization, 'Bearer SG.secret');
    },
    secrets: ['SG.secret'],
    cases: {
      right: {
        answer: json(200, { scopes: ['mail.send', 'alerts.read'] }),
        state: 'ready',
        detail: /takes the API key/,
      },
      'a key that may not send': {
        answer: json(200, { scopes: ['alerts.read'] }),
        state: 'rejected',
        detail: /no permission to send mail \(mail\.send\)/,
      },
      wrong: {
        answer: json(401, { errors: [{ field: null, message: 'authorization required' }] }),
        state: 'rejected',
        detail: /401: it does not take the API key/,
      },
      'a key that may not ask': {
        answer: json(403, {}),
        state: 'not_checkable',
        detail: /knows the API key/,
      },
      unavailable,
      broken,
    },
  },
  ses: {
    env: (url) =>
      email('ses', {
        NOTIFY_EMAIL_REGION: 'eu-west-1',
        NOTIFY_EMAIL_API_KEY: 'AKIDEXAMPLE:a-secret-access-key',
        NOTIFY_EMAIL_ENDPOINT: url,
      }),
    understood({ method, path, headers }) {
      assert.deepEqual([method, path], ['GET', '/v2/email/account']);
      assert.match(
        headers.authorization ?? '',
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/.*\/eu-west-1\/ses\//,
      );
    },
    secrets: ['AKIDEXAMPLE', 'a-secret-access-key'],
    cases: {
      right: { answer: json(200, sesAccount), state: 'ready', detail: /^SES takes the credentials$/ },
      'an account in the sandbox': {
        answer: json(200, { ...sesAccount, ProductionAccessEnabled: false }),
        state: 'ready',
        detail: /only verified addresses get mail/,
      },
      'an account that is paused': {
        answer: json(200, { ...sesAccount, SendingEnabled: false }),
        state: 'rejected',
        detail: /sending is paused/,
      },
      'a wrong key': {
        answer: awsError(403, 'UnrecognizedClientException'),
        state: 'rejected',
        detail: /403 UnrecognizedClientException: it does not take the AWS credentials/,
      },
      'a wrong secret': {
        answer: awsError(403, 'InvalidSignatureException'),
        state: 'rejected',
        detail: /InvalidSignatureException/,
      },
      'a policy for sending alone': {
        answer: awsError(403, 'AccessDeniedException'),
        state: 'not_checkable',
        detail: /ses:GetAccount/,
      },
      unavailable,
      broken,
    },
  },
  acs: {
    env: (url) => email('acs', { NOTIFY_EMAIL_API_KEY: azureKey, NOTIFY_EMAIL_ENDPOINT: url }),
    // as the documentation of Azure's HMAC signs
    understood({ method, path, headers, body }) {
      assert.equal(method, 'GET');
      assert.match(path, /^\/emails\/operations\/[0-9a-f-]{36}\?api-version=\d{4}-\d{2}-\d{2}$/);
      const hash = createHash('sha256').update(body).digest('base64');
      const signed = `GET\n${path}\n${headers['x-ms-date']};${headers.host};${hash}`;
      const key = Buffer.from(azureKey, 'base64');
      const signature = createHmac('sha256', key).update(signed).digest('base64');
      assert.equal(headers['x-ms-content-sha256'], hash);
      assert.equal(
        headers.authorization,
        `HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=${signature}`,
      );
    },
    secrets: [azureKey],
    cases: {
      right: {
        answer: json(404, { error: { code: 'NotFound' } }),
        state: 'ready',
        detail: /Azure takes the key/,
      },
      wrong: {
        answer: json(401, { error: { code: 'Denied' } }),
        state: 'rejected',
        detail: /401 Denied: it does not take the key/,
      },
      'an answer that tells nothing': {
        answer: json(400, { error: { code: 'InvalidOperationId' } }),
        state: 'not_checkable',
        detail: /does not tell/,
      },
      unavailable,
      broken,
    },
  },
  twilio: {
    env: (url) => ({
      NOTIFY_SMS_PROVIDER: 'twilio',
      NOTIFY_SMS_ACCOUNT_SID: account.sid,
      NOTIFY_SMS_AUTH_TOKEN: account.token,
      NOTIFY_SMS_FROM: '+15550199',
      NOTIFY_SMS_ENDPOINT: url,
    }),
    understood({ method, path, headers, body }) {
      assert.deepEqual([method, path, body], ['GET', `/2010-04-01/Accounts/${account.sid}.json`, '']);
      const basic = Buffer.from(`${account.sid}:${account.token}`).toString('base64');
      assert.equal(headers.authorization, `Basic ${basic}`);
    },
    secrets: [account.token, account.sid],
    cases: {
      right: {
        answer: json(200, { sid: account.sid, status: 'active', type: 'Full', auth_token: account.token }),
        state: 'ready',
        detail: /^Twilio takes the account SID and the auth token$/,
      },
      'a trial account': {
        answer: json(200, { sid: account.sid, status: 'active', type: 'Trial' }),
        state: 'ready',
        detail: /verified numbers alone/,
      },
      'an account that is suspended': {
        answer: json(200, { sid: account.sid, status: 'suspended', type: 'Full' }),
        state: 'rejected',
        detail: /the Twilio account is suspended/,
      },
      wrong: {
        answer: twilioError(401, 20003),
        state: 'rejected',
        detail: /error 20003: the account SID or the auth token/,
      },
      unavailable,
      broken,
    },
  },
};

describe('the check of a provider by HTTP', () => {
  for (const [name, { env, understood, secrets, cases }] of Object.entries(subjects))
    for (const [what, { answer, state, detail }] of Object.entries(cases))
      it(`${name}, ${what}: ${state}`, async (t) => {
        const server = await ScriptedServer.listen(t);
        server.answer = () => answer;
        const [report, ...more] = await check(t, env(server.url));
        assert.ok(report && more.length === 0);
        assert.deepEqual([report.provider, report.state], [name, state], report.detail);
        assert.match(report.detail, detail);
        for (const secret of secrets) assert.ok(!report.detail.includes(secret), report.detail);
        understood(server.only);
      });
});

describe('the check of a mail server', () => {
  const smtp = (port: number, pass = 'right') =>
    email('smtp', {
      NOTIFY_EMAIL_SMTP_HOST: '127.0.0.1',
      NOTIFY_EMAIL_SMTP_PORT: String(port),
      ...(pass !== '' && { NOTIFY_EMAIL_SMTP_USERNAME: 'notify', NOTIFY_EMAIL_SMTP_PASSWORD: pass }),
    });
  const withLogin = (t: TestContext) =>
    MailServer.listen(t, {
      allowInsecureAuth: true,
      authOptional: false,
      onAuth: ({ username = '', password }, _session, done) =>
        password === 'right' ? done(null, { user: username }) : done(new Error('no such login')),
    });

  it('logs in, and sends nothing', async (t) => {
    const server = await withLogin(t);
    assert.deepEqual(await check(t, smtp(server.port)), [
      { channel: 'email', provider: 'smtp', state: 'ready', detail: 'the mail server takes the login' },
    ]);
    assert.deepEqual(server.received, []);
  });

  it('tells a wrong login', async (t) => {
    const server = await withLogin(t);
    const [report] = await check(t, smtp(server.port, 'wrong-password'));
    assert.equal(report?.state, 'rejected');
    assert.match(report?.detail ?? '', /does not take the login/);
    assert.doesNotMatch(report?.detail ?? '', /wrong-password/);
  });

  it('says that there was no login to prove', async (t) => {
    const server = await MailServer.listen(t);
    const [report] = await check(t, smtp(server.port, ''));
    assert.deepEqual(
      [report?.state, report?.detail],
      ['ready', 'the mail server answers; there is no login to prove'],
    );
  });

  it('tells that nobody listens', async (t) => {
    const server = await MailServer.listen(t);
    await server.close();
    assert.equal((await check(t, smtp(server.port)))[0]?.state, 'unreachable');
  });
});

describe('the check of a mail service by gRPC', () => {
  const service = (port: number) =>
    email('emailservice', { NOTIFY_EMAIL_SERVICE_ADDRESS: `127.0.0.1:${port}` });

  it('connects by HTTP/2', async (t) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const [report] = await check(t, service((server.address() as AddressInfo).port));
    assert.deepEqual([report?.state, /answers/.test(report?.detail ?? '')], ['ready', true]);
  });

  it('tells that nobody listens', async (t) => {
    const closed = createTcpServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const [report] = await check(t, service(port));
    assert.deepEqual(
      [report?.state, /connection/.test(report?.detail ?? '')],
      ['unreachable', true],
      report?.detail,
    );
  });
});

describe('the check of push', () => {
  const push = (env: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(env).filter(([name]) => /MOBILEPUSH|FCM|APNS/.test(name)));
  const stateOf = async (t: TestContext, servers: EveryChannel, name: string) => {
    const report = (await check(t, push(servers.env))).find(({ provider }) => provider === name);
    return [report?.state, report?.detail ?? ''] as const;
  };

  it('asks FCM for a token, and to look at a message that it does not send', async (t) => {
    const servers = await EveryChannel.listen(t);
    assert.deepEqual(await stateOf(t, servers, 'fcm'), [
      'ready',
      'FCM takes the service account for this project',
    ]);
    const sent = servers.google.received.filter(({ path }) => path !== '/token');
    assert.deepEqual(
      sent.map(({ path, body }) => [path, JSON.parse(body).validate_only]),
      [['/v1/projects/shop/messages:send', true]],
    );
  });

  it('tells that Google or the project does not take the account', async (t) => {
    for (const refusing of ['/token', '/v1/projects/shop/messages:send']) {
      const servers = await EveryChannel.listen(t);
      const { answer } = servers.google;
      servers.google.answer = (request) =>
        request.path === refusing
          ? json(request.path === '/token' ? 400 : 403, { error: 'invalid_grant' })
          : answer(request);
      const [state, detail] = await stateOf(t, servers, 'fcm');
      assert.deepEqual([state, /service account/.test(detail)], ['rejected', true], detail);
    }
  });

  it('reads from what Apple says of a token that no device has whether it takes the key', async (t) => {
    const servers = await EveryChannel.listen(t);
    const says = (status: number, reason: string) => {
      servers.apple.answer = () => ({ status, body: JSON.stringify({ reason }) });
      return stateOf(t, servers, 'apns');
    };
    assert.equal((await says(400, 'BadDeviceToken'))[0], 'ready');
    const wrong = await says(403, 'InvalidProviderToken');
    assert.deepEqual([wrong[0], /InvalidProviderToken \(403\)/.test(wrong[1])], ['rejected', true]);
    assert.equal((await says(400, 'TopicDisallowed'))[0], 'rejected');
    assert.equal((await says(503, 'ServiceUnavailable'))[0], 'unreachable');
    const [first] = servers.apple.received;
    assert.equal(first?.headers[':path'], `/3/device/${'0'.repeat(64)}`);
    assert.equal(first?.headers['apns-push-type'], 'background');
    assert.deepEqual(JSON.parse(first?.body ?? ''), { aps: { 'content-available': 1 } });
  });

  it('has nobody to ask for web push and webhooks', async (t) => {
    const servers = await EveryChannel.listen(t);
    const env = Object.entries(servers.env).filter(([name]) => /WEBPUSH|WEBHOOK|EGRESS/.test(name));
    const reports = await check(t, Object.fromEntries(env));
    assert.deepEqual(
      reports.map(({ provider, state }) => [provider, state]),
      [
        ['vapid', 'ready'],
        ['webhook', 'ready'],
      ],
    );
    assert.equal(servers.connections, 0);
  });
});

describe('checkProvider', () => {
  const never = new AbortController().signal;
  const withCheck = (check: NonNullable<ChannelProvider['check']>): ChannelProvider =>
    Object.assign(new FakeProvider('email'), { check });

  it('says of a provider without a check that the first message shows', async () => {
    const report = await checkProvider(new FakeProvider('sms'), fakeClock(), never);
    assert.deepEqual(report, {
      channel: 'sms',
      provider: 'fake',
      state: 'not_checkable',
      detail: 'this provider has no check; the first message shows',
    });
  });

  it('ends after 10 s, also where the provider does not listen', async () => {
    const clock = fakeClock();
    const checking = checkProvider(
      withCheck(() => new Promise(() => {})),
      clock,
      never,
    );
    await clock.advance(10_000);
    const { state, detail } = await checking;
    assert.deepEqual([state, detail], ['unreachable', 'no answer came within 10 s']);
  });

  it('ends with its signal', async () => {
    const stop = new AbortController();
    const checking = checkProvider(
      withCheck(() => new Promise(() => {})),
      fakeClock(),
      stop.signal,
    );
    stop.abort();
    assert.equal((await checking).state, 'unreachable');
    assert.equal(
      (
        await checkProvider(
          withCheck(() => new Promise(() => {})),
          fakeClock(),
          stop.signal,
        )
      ).state,
      'unreachable',
    );
  });

  it('tells nothing of what a module throws', async () => {
    const failing = withCheck(() => {
      throw new Error('the key is hunter2');
    });
    const { state, detail } = await checkProvider(failing, fakeClock(), never);
    assert.deepEqual([state, detail], ['unreachable', 'the check failed in an unexpected way']);
  });

  it('takes what is final for a rejection', async () => {
    const refusing = withCheck(async () => {
      throw new DeliveryError('http_400', 'Acme answered 400', { retryable: false });
    });
    assert.equal((await checkProvider(refusing, fakeClock(), never)).state, 'rejected');
  });
});
