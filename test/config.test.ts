import assert from 'node:assert/strict';
import { createECDH, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Built,
  type Config,
  ConfigError,
  features,
  InvalidValue,
  parseConfig,
  parseDuration,
  variableNames,
} from '../src/config.ts';

type Env = Record<string, string | undefined>;

const nothing: Built = { stores: ['memory'], providers: {}, features: [] };
const everything: Built = {
  stores: ['memory', 'postgres', 'entdb'],
  providers: {
    email: ['emailservice', 'smtp', 'ses', 'sendgrid', 'acs'],
    sms: ['twilio', 'sns', 'acs'],
    whatsapp: ['twilio', 'meta'],
    web_push: ['vapid'],
    mobile_push: ['fcm', 'apns'],
    chat: ['slack', 'discord', 'teams', 'telegram', 'ntfy', 'gotify', 'apprise'],
  },
  features,
};

const dev = { NOTIFY_AUTH_DEV_MODE: 'true' };
const strong = 'x'.repeat(32);

const vapid = createECDH('prime256v1');
vapid.generateKeys();
const vapidPublic = vapid.getPublicKey('base64url');
// leading zero bytes are cut off
const vapidPrivate = Buffer.from(vapid.getPrivateKey('hex').padStart(64, '0'), 'hex').toString('base64url');
const pem = { type: 'pkcs8', format: 'pem' } as const;
const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(pem).toString();
const ecKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(pem).toString();
const serviceAccount = {
  type: 'service_account',
  project_id: 'shop-1',
  client_email: 'notify@shop-1.iam.gserviceaccount.com',
  private_key: rsaKey,
  token_uri: 'http://127.0.0.1:9999/token',
};

function parse(env: Env = {}, built = everything): Config {
  return parseConfig({ ...dev, ...env }, built);
}

function refusal(env: Env, built = everything): ConfigError {
  try {
    parseConfig(env, built);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  assert.fail(`nothing is refused in ${JSON.stringify(env)}`);
}

/** What is said about each variable, in dev mode unless the environment says otherwise. */
function violations(env: Env, built = everything): Record<string, string> {
  const { violations: list } = refusal({ ...dev, ...env }, built);
  return Object.fromEntries(list.map(({ variable, message }) => [variable, message]));
}

/** The one variable that is refused, and what is said about it. */
function onlyViolation(env: Env, variable: string, message: RegExp, built = everything): void {
  const found = violations(env, built);
  assert.deepEqual(Object.keys(found), [variable], JSON.stringify(found));
  assert.match(found[variable] ?? '', message);
}

describe('parseDuration', () => {
  it('reads Go notation and days', () => {
    const cases: [string, number][] = [
      ['0', 0],
      ['0s', 0],
      ['500ms', 500],
      ['30s', 30_000],
      ['+30s', 30_000],
      ['1m30s', 90_000],
      ['1h', 3_600_000],
      ['1.5h', 5_400_000],
      ['.5s', 500],
      ['1.s', 1_000],
      ['1.1s', 1_100],
      ['4.35s', 4_350],
      ['2d', 172_800_000],
      ['0.5d', 43_200_000],
      ['1d2h3m4s5ms', 93_784_005],
      ['1500us', 2],
      ['1µs', 1],
      ['1ns', 1],
      ['1000000ns', 1],
      ['106751d', 106_751 * 86_400_000],
    ];
    for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
  });

  it('refuses what is none, and says what would be right', () => {
    const cases: [string, RegExp][] = [
      ['30', /"30" has no unit; write 30s/],
      ['1.5', /no unit/],
      ['00', /no unit/],
      ['-5s', /"-5s" is negative/],
      ['-0', /negative/],
      ['', /no duration.*1m30s/],
      ['abc', /no duration/],
      ['1H', /no duration/],
      ['1M', /no duration/],
      ['5 s', /no duration/],
      ['s', /no duration/],
      ['.s', /no duration/],
      ['1h30', /no duration/],
      ['1w', /no duration/],
      ['1e3s', /no duration/],
      ['٣s', /no duration/],
      ['106752d', /too long/],
      [`${'9'.repeat(400)}h`, /too long/],
    ];
    for (const [text, message] of cases)
      assert.throws(() => parseDuration(text), { name: 'InvalidValue', message });
  });

  it('adds up any units in any order', () => {
    const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
    const units = fc.constantFrom(...(Object.keys(unitMs) as (keyof typeof unitMs)[]));
    const parts = fc.array(fc.tuple(fc.nat({ max: 10_000 }), units), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(parts, (list) => {
        const expected = list.reduce((sum, [count, unit]) => sum + count * unitMs[unit], 0);
        assert.equal(parseDuration(list.map(([count, unit]) => `${count}${unit}`).join('')), expected);
      }),
    );
  });

  it('reads back every whole number of milliseconds, however it is written', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 31 }), (ms) => {
        const pad = (value: number) => String(value).padStart(3, '0');
        assert.equal(parseDuration(`${ms}ms`), ms);
        assert.equal(parseDuration(`${Math.floor(ms / 1_000)}.${pad(ms % 1_000)}s`), ms);
        assert.equal(parseDuration(`${Math.floor(ms / 60_000)}m${ms % 60_000}ms`), ms);
      }),
    );
  });

  it('answers whole milliseconds or InvalidValue to any text', () => {
    const fragments = fc.constantFrom(
      '1',
      '05',
      '.',
      '-',
      '+',
      's',
      'ms',
      'm',
      'h',
      'd',
      'µs',
      ' ',
      'x',
      '9'.repeat(30),
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(fragments).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let ms: number;
        try {
          ms = parseDuration(text);
        } catch (error) {
          assert.ok(error instanceof InvalidValue, String(error));
          return;
        }
        assert.ok(Number.isSafeInteger(ms) && ms >= 0, `${text} → ${ms}`);
      }),
    );
  });
});

describe('defaults', () => {
  it('are those of the contract', () => {
    const hour = 3_600_000;
    const unlimited = { rate: undefined, concurrency: undefined, timeoutMs: undefined };
    assert.deepEqual(parseConfig(dev, nothing), {
      host: '::',
      ports: { client: 8080, internal: 8081, metrics: 9090 },
      log: { level: 'info' },
      shutdownTimeoutMs: 30_000,
      plugins: [],
      store: { driver: 'memory', postgres: undefined, entdb: undefined },
      auth: {
        devMode: true,
        jwtSecret: undefined,
        jwtSecretPrevious: undefined,
        jwtIssuer: undefined,
        jwtAudience: undefined,
        jwtLeewayMs: 30_000,
        jwtRequireExp: false,
        allowWeakSecret: false,
        jwksUrl: undefined,
        internalToken: undefined,
        internalTokenPrevious: undefined,
      },
      allowedOrigins: [],
      live: {
        enabled: true,
        heartbeatIntervalMs: 30_000,
        retryMaxAttempts: 3,
        retryIntervalMs: 5_000,
        maxAgeMs: hour,
        maxStreamsPerUser: 20,
        maxStreams: 20_000,
        maxStreamsPerTenant: 0,
        confirmTimeoutMs: 250,
        endAtTokenExpiry: true,
      },
      syncAttemptTimeoutMs: 5_000,
      providers: { email: [], sms: [], whatsapp: [], web_push: [], mobile_push: [], chat: [] },
      httpProvidersFile: undefined,
      email: undefined,
      sms: { twilio: undefined, sns: undefined, acs: undefined },
      whatsapp: { twilio: undefined, meta: undefined },
      chat: { slack: undefined, telegram: undefined, ntfy: undefined, gotify: undefined, apprise: undefined },
      webPush: { vapid: undefined },
      mobilePush: { fcm: undefined, apns: undefined },
      webhook: { secrets: undefined },
      retry: {
        baseMs: 10_000,
        maxMs: hour,
        forMs: {
          email: 24 * hour,
          sms: 4 * hour,
          whatsapp: 4 * hour,
          web_push: 24 * hour,
          mobile_push: 24 * hour,
          webhook: 72 * hour,
          chat: 24 * hour,
        },
      },
      rateLimits: {},
      sending: {
        email: unlimited,
        sms: unlimited,
        whatsapp: unlimited,
        web_push: unlimited,
        mobile_push: unlimited,
        webhook: unlimited,
        chat: unlimited,
      },
      retention: { readMs: 90 * 24 * hour, unreadMs: 365 * 24 * hour, deliveriesMs: 30 * 24 * hour },
      sandbox: { rule: undefined, allow: [] },
      egress: { allow: [], allowHttp: false },
      publicUrl: undefined,
      workers: 1,
      console: false,
      templatesDir: undefined,
      redisUrl: undefined,
      unknownVariables: [],
      httpVariables: {},
    });
  });

  it('hold for empty and blank variables', () => {
    for (const blank of ['', '  ']) {
      const env = Object.fromEntries([...variableNames].map((name) => [name, blank]));
      assert.deepEqual(parseConfig({ ...env, ...dev }, nothing), parseConfig(dev, nothing));
    }
  });
});

describe('variables', () => {
  it('that the contract names are known', () => {
    const contract = `
      CLIENT_PORT INTERNAL_PORT METRICS_PORT LOG_LEVEL SHUTDOWN_TIMEOUT STORE_DRIVER POSTGRES_DSN
      POSTGRES_AUTOMIGRATE ENTDB_ADDRESS ENTDB_TENANT_ID AUTH_JWT_SECRET AUTH_JWT_ISSUER
      AUTH_JWT_AUDIENCE AUTH_JWT_LEEWAY INTERNAL_TOKEN AUTH_DEV_MODE ALLOWED_ORIGINS
      LIVE_CONNECTIONS_ENABLED LIVE_HEARTBEAT_INTERVAL LIVE_RETRY_MAX_ATTEMPTS LIVE_RETRY_INTERVAL
      EMAIL_PROVIDER EMAIL_FROM EMAIL_SERVICE_ADDRESS EMAIL_SMTP_HOST EMAIL_SMTP_PORT
      EMAIL_SMTP_USERNAME EMAIL_SMTP_PASSWORD EMAIL_API_KEY EMAIL_REGION EMAIL_ENDPOINT SMS_PROVIDER
      SMS_ACCOUNT_SID SMS_AUTH_TOKEN SMS_FROM SMS_MESSAGING_SERVICE_SID WHATSAPP_PROVIDER
      WHATSAPP_ACCOUNT_SID WHATSAPP_AUTH_TOKEN WHATSAPP_FROM WHATSAPP_MESSAGING_SERVICE_SID
      WEBPUSH_PROVIDER WEBPUSH_VAPID_PUBLIC WEBPUSH_VAPID_PRIVATE WEBPUSH_CONTACT_EMAIL
      MOBILEPUSH_PROVIDER FCM_CREDENTIALS_JSON FCM_PROJECT_ID APNS_KEY_P8 APNS_KEY_ID APNS_TEAM_ID
      APNS_TOPIC APNS_SANDBOX REDIS_URL WEBHOOK_SECRET EGRESS_ALLOW EGRESS_ALLOW_HTTP SMS_ENDPOINT
      WHATSAPP_ENDPOINT FCM_ENDPOINT APNS_ENDPOINT PUBLIC_URL SYNC_ATTEMPT_TIMEOUT LIVE_MAX_AGE
      LIVE_MAX_STREAMS_PER_USER LIVE_MAX_STREAMS LIVE_MAX_STREAMS_PER_TENANT LIVE_CONFIRM_TIMEOUT HOST POSTGRES_DIRECT_DSN POSTGRES_PREPARE
      RETRY_BASE RETRY_MAX RETRY_FOR SANDBOX SANDBOX_ALLOW RATE_LIMITS EMAIL_RATE SMS_RATE WHATSAPP_RATE
      WEBPUSH_RATE MOBILEPUSH_RATE WEBHOOK_RATE CHAT_RATE RETENTION_READ RETENTION_UNREAD
      RETENTION_DELIVERIES LIVE_END_AT_TOKEN_EXPIRY CHAT_PROVIDER HTTP_PROVIDERS CONSOLE WORKERS
      TEMPLATES_DIR AUTH_JWT_REQUIRE_EXP AUTH_ALLOW_WEAK_SECRET AUTH_JWKS_URL AUTH_JWT_SECRET_PREVIOUS
      INTERNAL_TOKEN_PREVIOUS PLUGINS ENTDB_TLS ENTDB_API_KEY CHAT_TOKEN CHAT_ENDPOINT CHAT_SLACK_TOKEN CHAT_SLACK_ENDPOINT
      CHAT_TELEGRAM_TOKEN CHAT_TELEGRAM_ENDPOINT CHAT_NTFY_TOKEN CHAT_NTFY_ENDPOINT CHAT_GOTIFY_ENDPOINT CHAT_APPRISE_ENDPOINT
      SES_TOPIC_ARN SENDGRID_WEBHOOK_KEY`;
    const expected = contract
      .trim()
      .split(/\s+/)
      .map((name) => `NOTIFY_${name}`)
      .concat(
        ['EMAIL', 'SMS', 'WHATSAPP', 'WEBPUSH', 'MOBILEPUSH', 'WEBHOOK', 'CHAT'].flatMap((channel) => [
          `NOTIFY_${channel}_CONCURRENCY`,
          `NOTIFY_${channel}_TIMEOUT`,
        ]),
        ['SES', 'SENDGRID', 'ACS'].flatMap((provider) => [
          `NOTIFY_EMAIL_${provider}_API_KEY`,
          `NOTIFY_EMAIL_${provider}_ENDPOINT`,
        ]),
      );
    assert.deepEqual([...variableNames].sort(), expected.sort());
  });

  it('that are not known are collected, not refused', () => {
    const env = {
      NOTIFY_ZZZ: '1',
      NOTIFY_CLIENT_PROT: '8090',
      NOTIFY_UNSET: '',
      OTHER: '1',
      OTEL_SERVICE_NAME: 'n',
    };
    assert.deepEqual(parse(env).unknownVariables, ['NOTIFY_CLIENT_PROT', 'NOTIFY_ZZZ']);
  });
});

describe('values', () => {
  it('booleans are true, false, 1, 0, t or f in any case', () => {
    const read = (text: string) => parse({ NOTIFY_LIVE_CONNECTIONS_ENABLED: text }).live.enabled;
    for (const text of ['true', 'TRUE', 'True', '1', 't', 'T', ' true '])
      assert.equal(read(text), true, text);
    for (const text of ['false', 'FALSE', '0', 'f', 'F']) assert.equal(read(text), false, text);
    for (const text of ['yes', 'on', '2', 'tru', 'null']) {
      onlyViolation(
        { NOTIFY_LIVE_CONNECTIONS_ENABLED: text },
        'NOTIFY_LIVE_CONNECTIONS_ENABLED',
        /neither true nor false/,
      );
    }
  });

  it('the log level may be in any case, and warning is warn', () => {
    const read = (text: string) => parse({ NOTIFY_LOG_LEVEL: text }).log.level;
    assert.deepEqual(['DEBUG', 'Info', 'warn', 'Warning', 'error'].map(read), [
      'debug',
      'info',
      'warn',
      'warn',
      'error',
    ]);
    onlyViolation({ NOTIFY_LOG_LEVEL: 'trace' }, 'NOTIFY_LOG_LEVEL', /"trace".*debug, info, warn or error/);
  });

  it('ports are 0 to 65535', () => {
    const { ports } = parse({
      NOTIFY_CLIENT_PORT: '0',
      NOTIFY_INTERNAL_PORT: '0',
      NOTIFY_METRICS_PORT: '65535',
    });
    assert.deepEqual(ports, { client: 0, internal: 0, metrics: 65_535 });
    for (const text of ['65536', '-1', '80.5', '0x50', 'http', '99999999999']) {
      onlyViolation({ NOTIFY_CLIENT_PORT: text }, 'NOTIFY_CLIENT_PORT', /no port; use 1–65535, or 0/);
    }
  });

  it('ports are distinct', () => {
    onlyViolation(
      { NOTIFY_CLIENT_PORT: '8081' },
      'NOTIFY_INTERNAL_PORT',
      /8081 is the port of NOTIFY_CLIENT_PORT/,
    );
    const all = violations({ NOTIFY_CLIENT_PORT: '1', NOTIFY_INTERNAL_PORT: '1', NOTIFY_METRICS_PORT: '1' });
    assert.deepEqual(Object.keys(all), ['NOTIFY_INTERNAL_PORT', 'NOTIFY_METRICS_PORT']);
  });

  it('durations are milliseconds, bounded by what a timer can wait', () => {
    assert.equal(parse({ NOTIFY_SHUTDOWN_TIMEOUT: '1m30s' }).shutdownTimeoutMs, 90_000);
    assert.equal(parse({ NOTIFY_LIVE_MAX_AGE: '0' }).live.maxAgeMs, 0);
    assert.equal(parse({ NOTIFY_LIVE_MAX_AGE: '24d' }).live.maxAgeMs, 24 * 86_400_000);
    onlyViolation({ NOTIFY_LIVE_MAX_AGE: '25d' }, 'NOTIFY_LIVE_MAX_AGE', /too long; use at most 24d/);
    onlyViolation(
      { NOTIFY_SHUTDOWN_TIMEOUT: '30' },
      'NOTIFY_SHUTDOWN_TIMEOUT',
      /"30" has no unit; write 30s/,
    );
    onlyViolation({ NOTIFY_AUTH_JWT_LEEWAY: '-1s' }, 'NOTIFY_AUTH_JWT_LEEWAY', /negative/);
    onlyViolation({ NOTIFY_LIVE_HEARTBEAT_INTERVAL: '0' }, 'NOTIFY_LIVE_HEARTBEAT_INTERVAL', /above 0/);
    onlyViolation({ NOTIFY_RETRY_BASE: '0s' }, 'NOTIFY_RETRY_BASE', /above 0/);
  });

  it('whole numbers have a least one', () => {
    assert.equal(parse({ NOTIFY_LIVE_RETRY_MAX_ATTEMPTS: '0' }).live.retryMaxAttempts, 0);
    onlyViolation(
      { NOTIFY_LIVE_RETRY_MAX_ATTEMPTS: '-1' },
      'NOTIFY_LIVE_RETRY_MAX_ATTEMPTS',
      /whole number of at least 0/,
    );
    onlyViolation(
      { NOTIFY_LIVE_RETRY_MAX_ATTEMPTS: '1.5' },
      'NOTIFY_LIVE_RETRY_MAX_ATTEMPTS',
      /whole number/,
    );
    onlyViolation(
      { NOTIFY_LIVE_MAX_STREAMS_PER_USER: '0' },
      'NOTIFY_LIVE_MAX_STREAMS_PER_USER',
      /at least 1/,
    );
    onlyViolation({ NOTIFY_WORKERS: '0' }, 'NOTIFY_WORKERS', /from 1 to 1024/);
  });

  it('the host is an address without a port', () => {
    for (const text of ['::', '::1', '0.0.0.0', 'localhost', 'n1.internal'])
      assert.equal(parse({ NOTIFY_HOST: text }).host, text);
    for (const text of ['[::]', '0.0.0.0:80', 'http://a', 'a b'])
      onlyViolation({ NOTIFY_HOST: text }, 'NOTIFY_HOST', /no address/);
  });

  it('origins are as a browser sends them', () => {
    const text =
      'https://App.example.com/, http://localhost:3000,https://a.example:443,capacitor://localhost,';
    assert.deepEqual(parse({ NOTIFY_ALLOWED_ORIGINS: text }).allowedOrigins, [
      'https://app.example.com',
      'http://localhost:3000',
      'https://a.example',
      'capacitor://localhost',
    ]);
    assert.deepEqual(parse({ NOTIFY_ALLOWED_ORIGINS: '*' }).allowedOrigins, ['*']);
    onlyViolation(
      { NOTIFY_ALLOWED_ORIGINS: 'https://a.example,app.example.com' },
      'NOTIFY_ALLOWED_ORIGINS',
      /"app.example.com" is no origin/,
    );
    onlyViolation(
      { NOTIFY_ALLOWED_ORIGINS: 'https://a.example/inbox' },
      'NOTIFY_ALLOWED_ORIGINS',
      /without a path/,
    );
    onlyViolation(
      { NOTIFY_ALLOWED_ORIGINS: 'https://*.a.example' },
      'NOTIFY_ALLOWED_ORIGINS',
      /list each origin/,
    );
  });

  it('networks are CIDRs', () => {
    assert.deepEqual(parse({ NOTIFY_EGRESS_ALLOW: '10.0.0.0/8, fd00::/8,127.0.0.1,::1' }).egress.allow, [
      '10.0.0.0/8',
      'fd00::/8',
      '127.0.0.1/32',
      '::1/128',
    ]);
    for (const text of ['10.0.0.0/33', '10.0.0/8', 'localhost', '::/129', '10.0.0.0/']) {
      onlyViolation({ NOTIFY_EGRESS_ALLOW: text }, 'NOTIFY_EGRESS_ALLOW', /is no network/);
    }
  });

  it('the public URL ends with its path', () => {
    assert.equal(parse({ NOTIFY_PUBLIC_URL: 'https://n.example/push/' }).publicUrl, 'https://n.example/push');
    for (const text of ['n.example', 'ftp://n.example', 'https://n.example/?a=1', 'https://']) {
      assert.deepEqual(Object.keys(violations({ NOTIFY_PUBLIC_URL: text })), ['NOTIFY_PUBLIC_URL'], text);
    }
  });

  it('retry pauses grow, and horizons by channel override the defaults', () => {
    const { retry } = parse({
      NOTIFY_RETRY_BASE: '5s',
      NOTIFY_RETRY_MAX: '5s',
      NOTIFY_RETRY_FOR: 'sms=30m, chat=0',
    });
    assert.deepEqual([retry.baseMs, retry.maxMs], [5_000, 5_000]);
    assert.deepEqual([retry.forMs.sms, retry.forMs.chat, retry.forMs.email], [1_800_000, 0, 86_400_000]);
    onlyViolation({ NOTIFY_RETRY_BASE: '2h' }, 'NOTIFY_RETRY_MAX', /shorter than NOTIFY_RETRY_BASE/);
    onlyViolation({ NOTIFY_RETRY_FOR: 'fax=1h' }, 'NOTIFY_RETRY_FOR', /"fax=1h".*email, web_push/);
    onlyViolation({ NOTIFY_RETRY_FOR: 'sms=1h,sms=2h' }, 'NOTIFY_RETRY_FOR', /sms is named twice/);
    onlyViolation({ NOTIFY_RETRY_FOR: 'sms=4' }, 'NOTIFY_RETRY_FOR', /"4" has no unit/);
    onlyViolation({ NOTIFY_RETRY_FOR: 'sms' }, 'NOTIFY_RETRY_FOR', /not channel=value/);
  });

  it('limits are a count in a window', () => {
    const { rateLimits } = parse({ NOTIFY_RATE_LIMITS: 'email=10/1h,SMS=5/24h' });
    assert.deepEqual(rateLimits, {
      email: { limit: 10, windowMs: 3_600_000 },
      sms: { limit: 5, windowMs: 86_400_000 },
    });
    for (const text of ['email=10', 'email=0/1h', 'email=10/0', 'email=x/1h']) {
      onlyViolation(
        { NOTIFY_RATE_LIMITS: text },
        'NOTIFY_RATE_LIMITS',
        /is no limit; write for example 10\/1h/,
      );
    }
    onlyViolation({ NOTIFY_RATE_LIMITS: 'email=10/60' }, 'NOTIFY_RATE_LIMITS', /"60" has no unit/);
  });

  it('send rates are above 0, and only looked at where the channel sends', () => {
    const ses = {
      NOTIFY_EMAIL_PROVIDER: 'ses',
      NOTIFY_EMAIL_FROM: 'a@b.example',
      NOTIFY_EMAIL_REGION: 'eu-west-1',
    };
    const rate = (text: string) => parse({ ...ses, NOTIFY_EMAIL_RATE: text }).sending.email.rate;
    assert.deepEqual(rate('14'), { every: 14, named: {} });
    assert.deepEqual(rate('0.5'), { every: 0.5, named: {} });
    onlyViolation({ ...ses, NOTIFY_EMAIL_RATE: '0' }, 'NOTIFY_EMAIL_RATE', /"0" is not a number above 0/);
    assert.equal(parse({ NOTIFY_EMAIL_RATE: 'fast' }).sending.email.rate, undefined);
  });

  it('rates, attempts at once and time-outs are one number for each provider, or some by name', () => {
    const two = {
      NOTIFY_EMAIL_PROVIDER: 'ses,smtp',
      NOTIFY_EMAIL_FROM: 'a@b.example',
      NOTIFY_EMAIL_REGION: 'eu-west-1',
      NOTIFY_EMAIL_SMTP_HOST: 'mail.b.example',
    };
    const { email } = parse({
      ...two,
      NOTIFY_EMAIL_RATE: 'SES=14, smtp=0.5',
      NOTIFY_EMAIL_CONCURRENCY: '8',
      NOTIFY_EMAIL_TIMEOUT: '20s, ses=1.5s',
    }).sending;
    assert.deepEqual(email, {
      rate: { every: undefined, named: { ses: 14, smtp: 0.5 } },
      concurrency: { every: 8, named: {} },
      timeoutMs: { every: 20_000, named: { ses: 1_500 } },
    });
    const webhook = { NOTIFY_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}` };
    assert.deepEqual(parse({ ...webhook, NOTIFY_WEBHOOK_CONCURRENCY: '100' }).sending.webhook.concurrency, {
      every: 100,
      named: {},
    });
    for (const [variable, text, message] of [
      ['NOTIFY_EMAIL_RATE', 'sendgrid=14', /"sendgrid" is no provider of the channel; it has ses or smtp/],
      ['NOTIFY_EMAIL_RATE', 'ses=14,ses=15', /"ses" is named twice/],
      ['NOTIFY_EMAIL_RATE', '14,15', /has two values; name the provider of each/],
      ['NOTIFY_EMAIL_RATE', 'ses=', /"" is not a number above 0/],
      ['NOTIFY_EMAIL_CONCURRENCY', '0', /"0" is not a whole number from 1 to 1000/],
      ['NOTIFY_EMAIL_TIMEOUT', 'ses=5', /"5" has no unit/],
      ['NOTIFY_EMAIL_TIMEOUT', '45s', /"45s" is no time for an attempt; use 100ms to 40s/],
    ] as const)
      onlyViolation({ ...two, [variable]: text }, variable, message);
  });

  it('the sandbox captures or redirects', () => {
    assert.deepEqual(parse({ NOTIFY_SANDBOX: 'Capture' }).sandbox.rule, { kind: 'capture' });
    const env = {
      NOTIFY_SANDBOX: 'redirect:email=qa@b.example,sms=+15550100',
      NOTIFY_SANDBOX_ALLOW: 'a@b.example, +15550101',
    };
    assert.deepEqual(parse(env).sandbox, {
      rule: { kind: 'redirect', to: { email: 'qa@b.example', sms: '+15550100' } },
      allow: ['a@b.example', '+15550101'],
    });
    onlyViolation({ NOTIFY_SANDBOX: 'true' }, 'NOTIFY_SANDBOX', /use capture, or redirect:/);
    onlyViolation(
      { NOTIFY_SANDBOX: 'redirect:emial=a@b.example' },
      'NOTIFY_SANDBOX',
      /the channels are email/,
    );
  });

  it('the sandbox redirects to addresses that the channel could have', () => {
    const token = 'dReg:APA91b-phone-of-the-qa-team';
    for (const right of [
      ...['email=qa+1@b.example', 'sms=+15550100', 'whatsapp=+15550100', `mobile_push=${token}`],
      ...['webhook=https://hooks.b.example/qa?a=b', 'chat=qa-room', 'chat=-100123'],
    ])
      assert.equal(parse({ NOTIFY_SANDBOX: `redirect:${right}` }).sandbox.rule?.kind, 'redirect', right);
    for (const [wrong, message] of [
      ['email=+15550100', /^email needs one address/],
      ['email=QA <qa@b.example>', /^email needs one address/],
      ['sms=15550100', /^sms needs a number in international form/],
      ['whatsapp=qa@b.example', /^whatsapp needs a number/],
      ['web_push=+15550100', /^web_push cannot be redirected: .* leave it out, and it is captured$/],
      ['mobile_push=+15550100', /^mobile_push needs a device's push token/],
      ['mobile_push=the-qa-team@b.example', /^mobile_push needs a device's push token/],
      ['webhook=+15550100', /^webhook needs a URL/],
      ['webhook=ftp://b.example', /^webhook needs a URL/],
      ['chat=the room', /^chat needs one address/],
    ] as const)
      onlyViolation({ NOTIFY_SANDBOX: `redirect:${wrong}` }, 'NOTIFY_SANDBOX', message);
  });

  it('the list of those who still get theirs is refused where everybody would', () => {
    onlyViolation(
      { NOTIFY_SANDBOX_ALLOW: 'a@b.example' },
      'NOTIFY_SANDBOX_ALLOW',
      /without which everybody gets theirs; set NOTIFY_SANDBOX=capture/,
    );
    onlyViolation(
      { NOTIFY_SANDBOX: 'capture', NOTIFY_SANDBOX_ALLOW: '*@b.example' },
      'NOTIFY_SANDBOX_ALLOW',
      /write each address, or @example.com/,
    );
  });

  it('webhook secrets are one or two Standard Webhooks secrets', () => {
    const [first, second] = [1, 2].map((fill) => `whsec_${Buffer.alloc(32, fill).toString('base64')}`);
    assert.deepEqual(parse({ NOTIFY_WEBHOOK_SECRET: `${first}, ${second}` }).webhook.secrets, [
      first,
      second,
    ]);
    for (const text of ['hunter2', 'whsec_', 'whsec_c2hvcnQ=', `${first},${second},${first}`]) {
      assert.deepEqual(
        Object.keys(violations({ NOTIFY_WEBHOOK_SECRET: text })),
        ['NOTIFY_WEBHOOK_SECRET'],
        text,
      );
    }
  });
});

describe('authentication', () => {
  const production = { NOTIFY_AUTH_JWT_SECRET: strong, NOTIFY_INTERNAL_TOKEN: 'producer' };

  it('production requires a secret and an internal token', () => {
    const { violations: list } = refusal({}, nothing);
    assert.deepEqual(
      list.map((v) => v.variable),
      ['NOTIFY_AUTH_JWT_SECRET', 'NOTIFY_INTERNAL_TOKEN'],
    );
    for (const { message } of list)
      assert.match(message, /is required unless NOTIFY_AUTH_DEV_MODE.*openssl rand -hex 32/);
    const { auth } = parseConfig(production, nothing);
    assert.deepEqual([auth.devMode, auth.jwtSecret, auth.internalToken], [false, strong, 'producer']);
  });

  it('a key set stands in for the secret where it is built', () => {
    const env = { NOTIFY_INTERNAL_TOKEN: 'producer', NOTIFY_AUTH_JWKS_URL: 'https://id.example/jwks.json' };
    assert.equal(parseConfig(env, everything).auth.jwksUrl, 'https://id.example/jwks.json');
    assert.deepEqual(
      refusal(env, nothing).violations.map((v) => v.variable),
      ['NOTIFY_AUTH_JWKS_URL', 'NOTIFY_AUTH_JWT_SECRET'],
    );
  });

  it('NODE_ENV does not make it production', () => {
    assert.equal(parse({ NODE_ENV: 'production' }).auth.devMode, true);
  });

  it('a secret under 32 bytes is refused unless allowed, in dev mode too', () => {
    const weak = 'hunter2hunter2hunter2hunter2hun';
    assert.equal(weak.length, 31);
    const env = { ...production, NOTIFY_AUTH_JWT_SECRET: weak };
    onlyViolation(
      { ...env, NOTIFY_AUTH_DEV_MODE: 'false' },
      'NOTIFY_AUTH_JWT_SECRET',
      /32 bytes.*openssl rand -hex 32/,
    );
    onlyViolation(env, 'NOTIFY_AUTH_JWT_SECRET', /NOTIFY_AUTH_ALLOW_WEAK_SECRET=true/);
    onlyViolation(
      { ...production, NOTIFY_AUTH_JWT_SECRET_PREVIOUS: weak },
      'NOTIFY_AUTH_JWT_SECRET_PREVIOUS',
      /32 bytes/,
    );
    assert.equal(parse({ ...env, NOTIFY_AUTH_ALLOW_WEAK_SECRET: 'true' }).auth.jwtSecret, weak);
  });

  it('a secret is measured in UTF-8 bytes and kept byte for byte', () => {
    assert.equal(parse({ NOTIFY_AUTH_JWT_SECRET: 'ß'.repeat(16) }).auth.jwtSecret, 'ß'.repeat(16));
    assert.equal(parse({ NOTIFY_AUTH_JWT_SECRET: ` ${strong} \n` }).auth.jwtSecret, ` ${strong} \n`);
  });

  it('a token that no header can carry is refused', () => {
    for (const token of ['producer\n', ' producer', 'pro\nducer']) {
      onlyViolation({ NOTIFY_INTERNAL_TOKEN: token }, 'NOTIFY_INTERNAL_TOKEN', /no HTTP header carries/);
    }
  });

  it('a previous secret stands beside the current one', () => {
    const env = {
      ...production,
      NOTIFY_AUTH_JWT_SECRET_PREVIOUS: 'y'.repeat(32),
      NOTIFY_INTERNAL_TOKEN_PREVIOUS: 'old',
    };
    const { auth } = parse(env);
    assert.deepEqual([auth.jwtSecretPrevious, auth.internalTokenPrevious], ['y'.repeat(32), 'old']);
    const alone = violations({ ...env, NOTIFY_AUTH_JWT_SECRET: '', NOTIFY_INTERNAL_TOKEN: '' });
    assert.deepEqual(Object.keys(alone), [
      'NOTIFY_AUTH_JWT_SECRET_PREVIOUS',
      'NOTIFY_INTERNAL_TOKEN_PREVIOUS',
    ]);
  });

  it('a dev mode that is no boolean is all that is said about it', () => {
    onlyViolation({ NOTIFY_AUTH_DEV_MODE: 'yes' }, 'NOTIFY_AUTH_DEV_MODE', /"yes" is neither true nor false/);
  });
});

describe('stores', () => {
  const dsn = 'postgres://notify:hunter2@db.internal:5432/notify';

  it('postgres needs its DSN, which serves direct connections too', () => {
    onlyViolation(
      { NOTIFY_STORE_DRIVER: 'postgres' },
      'NOTIFY_POSTGRES_DSN',
      /is required for NOTIFY_STORE_DRIVER=postgres/,
    );
    const { store } = parse({ NOTIFY_STORE_DRIVER: 'POSTGRES', NOTIFY_POSTGRES_DSN: dsn });
    assert.deepEqual(store, {
      driver: 'postgres',
      postgres: { dsn, directDsn: dsn, prepare: true, automigrate: true },
      entdb: undefined,
    });
    const direct = 'postgresql://db.internal/notify';
    const env = {
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn,
      NOTIFY_POSTGRES_DIRECT_DSN: direct,
    };
    assert.equal(parse(env).store.postgres?.directDsn, direct);
    onlyViolation(
      { ...env, NOTIFY_POSTGRES_DSN: 'mysql://x' },
      'NOTIFY_POSTGRES_DSN',
      /postgres:\/\/user:password@host/,
    );
  });

  it('entdb needs an address and a tenant', () => {
    assert.deepEqual(Object.keys(violations({ NOTIFY_STORE_DRIVER: 'entdb' })), [
      'NOTIFY_ENTDB_ADDRESS',
      'NOTIFY_ENTDB_TENANT_ID',
    ]);
    const env = {
      NOTIFY_STORE_DRIVER: 'EntDB',
      NOTIFY_ENTDB_ADDRESS: '[::1]:50051',
      NOTIFY_ENTDB_TENANT_ID: 'notify',
    };
    assert.deepEqual(parse({ ...env, NOTIFY_ENTDB_TLS: '1', NOTIFY_ENTDB_API_KEY: 'k' }).store.entdb, {
      address: '[::1]:50051',
      tenantId: 'notify',
      tls: true,
      apiKey: 'k',
    });
    for (const address of ['entdb', 'entdb:0', 'entdb:70000', 'http://entdb:50051', ':50051', '[x]:1']) {
      onlyViolation({ ...env, NOTIFY_ENTDB_ADDRESS: address }, 'NOTIFY_ENTDB_ADDRESS', /is not host:port/);
    }
  });

  it('what belongs to another driver is not looked at', () => {
    const { store } = parse({
      NOTIFY_POSTGRES_DSN: 'mysql://x',
      NOTIFY_POSTGRES_PREPARE: 'yes',
      NOTIFY_ENTDB_TLS: 'yes',
    });
    assert.deepEqual(store, { driver: 'memory', postgres: undefined, entdb: undefined });
  });

  it('a driver that is not built, or not known, is refused by name and its settings are left alone', () => {
    onlyViolation(
      { NOTIFY_STORE_DRIVER: 'Postgres' },
      'NOTIFY_STORE_DRIVER',
      /^"postgres" is not built into this version; use memory$/,
      nothing,
    );
    onlyViolation(
      { NOTIFY_STORE_DRIVER: 'redis' },
      'NOTIFY_STORE_DRIVER',
      /"redis" is not known.*memory, postgres, entdb/,
    );
  });
});

describe('providers', () => {
  const from = { NOTIFY_EMAIL_FROM: 'Notify <notify@shop.example>' };

  it('say who may tell of their deliveries', () => {
    const ses = { ...from, NOTIFY_EMAIL_PROVIDER: 'ses', NOTIFY_EMAIL_REGION: 'eu-west-1' };
    const arns = [
      'arn:aws:sns:eu-west-1:123456789012:ses-events',
      'arn:aws-us-gov:sns:us-gov-west-1:123456789012:b_1',
    ];
    assert.deepEqual(parse({ ...ses, NOTIFY_SES_TOPIC_ARN: arns.join(', ') }).email?.ses?.topicArns, arns);
    for (const wrong of [
      'ses-events',
      'arn:aws:sqs:eu-west-1:123456789012:x',
      'arn:aws:sns:x.evil.test/:123456789012:x',
    ])
      onlyViolation(
        { ...ses, NOTIFY_SES_TOPIC_ARN: wrong },
        'NOTIFY_SES_TOPIC_ARN',
        /is no topic; write for example arn:/,
      );
    const sendgrid = { ...from, NOTIFY_EMAIL_PROVIDER: 'sendgrid', NOTIFY_EMAIL_API_KEY: 'k' };
    const key = (namedCurve: string) =>
      generateKeyPairSync('ec', { namedCurve })
        .publicKey.export({ format: 'der', type: 'spki' })
        .toString('base64');
    const keys = [key('P-256'), key('P-256')];
    const { email } = parse({ ...sendgrid, NOTIFY_SENDGRID_WEBHOOK_KEY: keys.join(',') });
    assert.deepEqual(email?.sendgrid?.webhookKeys, keys);
    for (const wrong of ['key', key('P-384')])
      onlyViolation(
        { ...sendgrid, NOTIFY_SENDGRID_WEBHOOK_KEY: wrong },
        'NOTIFY_SENDGRID_WEBHOOK_KEY',
        /verification key that SendGrid shows/,
      );
  });

  it('are lists of names in lower case, and none is no name', () => {
    const env = {
      ...from,
      NOTIFY_EMAIL_PROVIDER: 'SES, SendGrid',
      NOTIFY_EMAIL_REGION: 'eu-west-1',
      NOTIFY_EMAIL_SES_API_KEY: 'id:k',
      NOTIFY_EMAIL_API_KEY: 'SG.k',
      NOTIFY_EMAIL_SENDGRID_ENDPOINT: 'https://api.eu.sendgrid.com',
    };
    const config = parse({ ...env, NOTIFY_CHAT_PROVIDER: 'None' });
    assert.deepEqual([config.providers.email, config.providers.chat], [['ses', 'sendgrid'], []]);
    assert.deepEqual(config.email, {
      from: 'Notify <notify@shop.example>',
      emailservice: undefined,
      smtp: undefined,
      ses: { region: 'eu-west-1', apiKey: 'id:k', endpoint: undefined, topicArns: undefined },
      sendgrid: { apiKey: 'SG.k', endpoint: 'https://api.eu.sendgrid.com', webhookKeys: undefined },
      acs: undefined,
    });
    onlyViolation({ NOTIFY_CHAT_PROVIDER: 'slack,slack' }, 'NOTIFY_CHAT_PROVIDER', /"slack" is named twice/);
    onlyViolation({ NOTIFY_CHAT_PROVIDER: 'none,slack' }, 'NOTIFY_CHAT_PROVIDER', /none cannot stand beside/);
  });

  it('that read one variable need one of their own, but for one of them', () => {
    const env = { ...from, NOTIFY_EMAIL_PROVIDER: 'ses,sendgrid', NOTIFY_EMAIL_REGION: 'eu-west-1' };
    const both = /^would be read by 2 .*NOTIFY_EMAIL_SES_API_KEY or NOTIFY_EMAIL_SENDGRID_API_KEY/;
    onlyViolation({ ...env, NOTIFY_EMAIL_API_KEY: 'id:k' }, 'NOTIFY_EMAIL_API_KEY', both);
    onlyViolation(
      {
        ...env,
        NOTIFY_EMAIL_SENDGRID_API_KEY: 'SG.k',
        NOTIFY_EMAIL_ENDPOINT: 'https://proxy.shop.example',
      },
      'NOTIFY_EMAIL_ENDPOINT',
      /NOTIFY_EMAIL_SES_ENDPOINT or NOTIFY_EMAIL_SENDGRID_ENDPOINT/,
    );
    onlyViolation(env, 'NOTIFY_EMAIL_API_KEY', /^is required for NOTIFY_EMAIL_PROVIDER=sendgrid$/);
    const { email } = parse({ ...env, NOTIFY_EMAIL_SENDGRID_API_KEY: 'SG.k' });
    assert.deepEqual([email?.ses?.apiKey, email?.sendgrid?.apiKey], [undefined, 'SG.k']);
    onlyViolation(
      { ...env, NOTIFY_EMAIL_SENDGRID_API_KEY: 'SG.k', NOTIFY_EMAIL_SES_API_KEY: 'no-pair' },
      'NOTIFY_EMAIL_SES_API_KEY',
      /must be <access key id>:<secret access key>/,
    );
    const alone = { ...env, NOTIFY_EMAIL_PROVIDER: 'sendgrid', NOTIFY_EMAIL_API_KEY: 'SG.k' };
    assert.equal(parse(alone).email?.sendgrid?.apiKey, 'SG.k');
  });

  it('that are not built are refused by name, with what there is instead', () => {
    onlyViolation(
      { NOTIFY_EMAIL_PROVIDER: 'SMTP' },
      'NOTIFY_EMAIL_PROVIDER',
      /^"smtp" is not built into this version; use none$/,
      nothing,
    );
    const some = { ...nothing, providers: { email: ['ses', 'acs'] } };
    onlyViolation({ NOTIFY_EMAIL_PROVIDER: 'smtp' }, 'NOTIFY_EMAIL_PROVIDER', /use none, ses or acs$/, some);
  });

  it('that are not known are refused with the known ones, unless a module or a file may bring them', () => {
    onlyViolation(
      { NOTIFY_EMAIL_PROVIDER: 'smpt' },
      'NOTIFY_EMAIL_PROVIDER',
      /"smpt" is not known.*none, emailservice, smtp/,
    );
    const modules = { NOTIFY_PLUGINS: './own.ts, @shop/notify' };
    const config = parse({
      ...modules,
      ...from,
      NOTIFY_EMAIL_PROVIDER: 'Pigeon',
      NOTIFY_STORE_DRIVER: 'Sqlite',
    });
    assert.deepEqual(config.plugins, ['./own.ts', '@shop/notify']);
    assert.deepEqual([config.providers.email, config.store.driver], [['pigeon'], 'sqlite']);
    onlyViolation(
      { ...modules, NOTIFY_EMAIL_PROVIDER: 'pigeon' },
      'NOTIFY_EMAIL_FROM',
      /NOTIFY_EMAIL_PROVIDER=pigeon/,
    );

    const file = { NOTIFY_HTTP_PROVIDERS: '/etc/notify/http.json' };
    assert.deepEqual(parse({ ...file, NOTIFY_CHAT_PROVIDER: 'zulip' }).providers.chat, ['zulip']);
    assert.deepEqual(parse({ ...file, NOTIFY_SMS_PROVIDER: 'Acme' }).providers.sms, ['acme']);
    onlyViolation({ ...file, NOTIFY_WEBPUSH_PROVIDER: 'zulip' }, 'NOTIFY_WEBPUSH_PROVIDER', /not known/);
  });

  it('of a file read the variables that begin with NOTIFY_HTTP_, and no other', () => {
    const own = { NOTIFY_HTTP_ACME_TOKEN: ' t ', NOTIFY_HTTP_EMPTY: '', NOTIFY_HTTPX: 'x', ACME: 'x' };
    const config = parse({ ...own, NOTIFY_HTTP_PROVIDERS: '/etc/notify/http.json', NOTIFY_CHAT_TOKEN: 'x' });
    assert.deepEqual(config.httpVariables, { NOTIFY_HTTP_ACME_TOKEN: ' t ' });
    assert.deepEqual(config.unknownVariables, ['NOTIFY_HTTPX']);
    assert.deepEqual(parse(own).unknownVariables, ['NOTIFY_HTTPX', 'NOTIFY_HTTP_ACME_TOKEN']);
    assert.deepEqual(parse(own).httpVariables, {});
  });

  it('chat: a token or a server where one is needed', () => {
    const missing = (provider: string) => Object.keys(violations({ NOTIFY_CHAT_PROVIDER: provider }));
    assert.deepEqual(missing('telegram'), ['NOTIFY_CHAT_TOKEN']);
    for (const provider of ['gotify', 'apprise'])
      assert.deepEqual(missing(provider), ['NOTIFY_CHAT_ENDPOINT']);
    for (const provider of ['slack', 'discord', 'teams', 'ntfy']) parse({ NOTIFY_CHAT_PROVIDER: provider });
    const env = { NOTIFY_CHAT_TOKEN: 'xoxb-1', NOTIFY_CHAT_ENDPOINT: 'https://slack.example/api/' };
    assert.deepEqual(parse({ NOTIFY_CHAT_PROVIDER: 'slack', ...env }).chat.slack, {
      token: 'xoxb-1',
      endpoint: 'https://slack.example/api',
    });
  });

  it('that are not chosen are not looked at', () => {
    const env = Object.fromEntries(
      [...variableNames]
        .filter(
          (name) => /_(EMAIL|SMS|WHATSAPP|CHAT|WEBPUSH|FCM|APNS)_/.test(name) && !name.endsWith('_PROVIDER'),
        )
        .map((name) => [name, '!']),
    );
    assert.ok(Object.keys(env).length > 30);
    assert.deepEqual(parse(env), parse());
  });

  it('email: the sender and each provider’s own', () => {
    const missing = (provider: string) => Object.keys(violations({ NOTIFY_EMAIL_PROVIDER: provider }));
    assert.deepEqual(missing('emailservice'), ['NOTIFY_EMAIL_FROM', 'NOTIFY_EMAIL_SERVICE_ADDRESS']);
    assert.deepEqual(missing('smtp'), ['NOTIFY_EMAIL_FROM', 'NOTIFY_EMAIL_SMTP_HOST']);
    assert.deepEqual(missing('ses'), ['NOTIFY_EMAIL_FROM', 'NOTIFY_EMAIL_REGION']);
    assert.deepEqual(missing('sendgrid'), ['NOTIFY_EMAIL_FROM', 'NOTIFY_EMAIL_API_KEY']);
    assert.deepEqual(missing('acs'), ['NOTIFY_EMAIL_FROM', 'NOTIFY_EMAIL_API_KEY', 'NOTIFY_EMAIL_ENDPOINT']);

    const service = {
      ...from,
      NOTIFY_EMAIL_PROVIDER: 'emailservice',
      NOTIFY_EMAIL_SERVICE_ADDRESS: 'mail:50051',
    };
    assert.deepEqual(parse(service).email?.emailservice, { address: 'mail:50051' });
    for (const sender of ['notify', 'a@b, c@d', 'Notify <>', 'a@b\r\nBcc: c@d']) {
      onlyViolation({ ...service, NOTIFY_EMAIL_FROM: sender }, 'NOTIFY_EMAIL_FROM', /is no sender/);
    }
  });

  it('smtp: port 587 unless set, user and password together', () => {
    const smtp = { ...from, NOTIFY_EMAIL_PROVIDER: 'smtp', NOTIFY_EMAIL_SMTP_HOST: 'mail.internal' };
    const bare = { host: 'mail.internal', port: 587, username: undefined, password: undefined };
    assert.deepEqual(parse(smtp).email?.smtp, bare);
    const login = { ...smtp, NOTIFY_EMAIL_SMTP_USERNAME: 'u', NOTIFY_EMAIL_SMTP_PASSWORD: 'p ' };
    assert.deepEqual(parse(login).email?.smtp, { ...bare, username: 'u', password: 'p ' });
    onlyViolation(
      { ...login, NOTIFY_EMAIL_SMTP_PASSWORD: '' },
      'NOTIFY_EMAIL_SMTP_PASSWORD',
      /beside NOTIFY_EMAIL_SMTP_USERNAME/,
    );
    onlyViolation(
      { ...login, NOTIFY_EMAIL_SMTP_USERNAME: '' },
      'NOTIFY_EMAIL_SMTP_USERNAME',
      /beside NOTIFY_EMAIL_SMTP_PASSWORD/,
    );
    onlyViolation({ ...smtp, NOTIFY_EMAIL_SMTP_PORT: '0' }, 'NOTIFY_EMAIL_SMTP_PORT', /from 1 to 65535/);
  });

  it('twilio: account, token, and a number or a messaging service', () => {
    for (const prefix of ['NOTIFY_SMS', 'NOTIFY_WHATSAPP']) {
      const chosen = { [`${prefix}_PROVIDER`]: 'twilio' };
      assert.deepEqual(Object.keys(violations(chosen)).sort(), [
        `${prefix}_ACCOUNT_SID`,
        `${prefix}_AUTH_TOKEN`,
        `${prefix}_FROM`,
      ]);
      const account = { ...chosen, [`${prefix}_ACCOUNT_SID`]: 'AC1', [`${prefix}_AUTH_TOKEN`]: 't' };
      const { sms, whatsapp } = parse({ ...account, [`${prefix}_MESSAGING_SERVICE_SID`]: 'MG1' });
      assert.deepEqual(sms.twilio ?? whatsapp.twilio, {
        accountSid: 'AC1',
        authToken: 't',
        from: undefined,
        messagingServiceSid: 'MG1',
        endpoint: undefined,
      });
      parse({ ...account, [`${prefix}_FROM`]: '+15550100' });
    }
  });

  it('vapid: a pair of keys, and a contact that becomes a URL', () => {
    const chosen = { NOTIFY_WEBPUSH_PROVIDER: 'vapid' };
    assert.deepEqual(Object.keys(violations(chosen)), [
      'NOTIFY_WEBPUSH_VAPID_PUBLIC',
      'NOTIFY_WEBPUSH_VAPID_PRIVATE',
    ]);
    const env = {
      ...chosen,
      NOTIFY_WEBPUSH_VAPID_PUBLIC: vapidPublic,
      NOTIFY_WEBPUSH_VAPID_PRIVATE: vapidPrivate,
    };
    const read = (contact: string) => parse({ ...env, NOTIFY_WEBPUSH_CONTACT_EMAIL: contact }).webPush.vapid;
    assert.deepEqual(read(''), { publicKey: vapidPublic, privateKey: vapidPrivate, contact: undefined });
    assert.equal(read('ops@shop.example')?.contact, 'mailto:ops@shop.example');
    assert.equal(read('mailto:ops@shop.example')?.contact, 'mailto:ops@shop.example');
    assert.equal(read('https://shop.example/ops')?.contact, 'https://shop.example/ops');
    onlyViolation({ ...env, NOTIFY_WEBPUSH_CONTACT_EMAIL: 'ops' }, 'NOTIFY_WEBPUSH_CONTACT_EMAIL', /mailto:/);

    const other = createECDH('prime256v1').generateKeys('base64url');
    onlyViolation(
      { ...env, NOTIFY_WEBPUSH_VAPID_PUBLIC: other },
      'NOTIFY_WEBPUSH_VAPID_PUBLIC',
      /both of one pair/,
    );
    onlyViolation(
      { ...env, NOTIFY_WEBPUSH_VAPID_PRIVATE: 'A'.repeat(43) },
      'NOTIFY_WEBPUSH_VAPID_PUBLIC',
      /one pair/,
    );
    onlyViolation(
      { ...env, NOTIFY_WEBPUSH_VAPID_PRIVATE: 'abc' },
      'NOTIFY_WEBPUSH_VAPID_PRIVATE',
      /32 bytes as base64url/,
    );
  });

  it('fcm: a service account and its project', () => {
    const chosen = { NOTIFY_MOBILEPUSH_PROVIDER: 'fcm' };
    onlyViolation(chosen, 'NOTIFY_FCM_CREDENTIALS_JSON', /is required for NOTIFY_MOBILEPUSH_PROVIDER=fcm/);
    const read = (account: unknown) => ({ ...chosen, NOTIFY_FCM_CREDENTIALS_JSON: JSON.stringify(account) });
    assert.deepEqual(parse(read(serviceAccount)).mobilePush.fcm, {
      credentials: {
        clientEmail: serviceAccount.client_email,
        privateKey: rsaKey,
        projectId: 'shop-1',
        tokenUri: serviceAccount.token_uri,
      },
      projectId: 'shop-1',
      endpoint: undefined,
    });
    assert.equal(
      parse({ ...read(serviceAccount), NOTIFY_FCM_PROJECT_ID: 'shop-2' }).mobilePush.fcm?.projectId,
      'shop-2',
    );
    onlyViolation(
      read({ ...serviceAccount, project_id: undefined }),
      'NOTIFY_FCM_PROJECT_ID',
      /NOTIFY_FCM_CREDENTIALS_JSON does not tell it/,
    );
    onlyViolation(
      read({ ...serviceAccount, client_email: '', private_key: undefined }),
      'NOTIFY_FCM_CREDENTIALS_JSON',
      /client_email and private_key/,
    );
    onlyViolation(
      read({ ...serviceAccount, private_key: ecKey }),
      'NOTIFY_FCM_CREDENTIALS_JSON',
      /no readable RSA/,
    );
    onlyViolation(
      read({ ...serviceAccount, private_key: rsaKey.replaceAll('\n', ' ') }),
      'NOTIFY_FCM_CREDENTIALS_JSON',
      /line breaks/,
    );
    for (const text of ['{', '[]', '"x"', 'null', '/etc/fcm.json']) {
      onlyViolation(
        { ...chosen, NOTIFY_FCM_CREDENTIALS_JSON: text },
        'NOTIFY_FCM_CREDENTIALS_JSON',
        /no JSON object/,
      );
    }
  });

  it('apns: key, key id, team and topic', () => {
    const chosen = { NOTIFY_MOBILEPUSH_PROVIDER: 'apns' };
    const names = ['NOTIFY_APNS_KEY_P8', 'NOTIFY_APNS_KEY_ID', 'NOTIFY_APNS_TEAM_ID', 'NOTIFY_APNS_TOPIC'];
    assert.deepEqual(Object.keys(violations(chosen)), names);
    const env = {
      ...chosen,
      NOTIFY_APNS_KEY_P8: ecKey.replaceAll('\n', '\\n'),
      NOTIFY_APNS_KEY_ID: 'K1',
      NOTIFY_APNS_TEAM_ID: 'T1',
      NOTIFY_APNS_TOPIC: 'example.shop',
    };
    assert.deepEqual(parse({ ...env, NOTIFY_APNS_ENDPOINT: 'https://127.0.0.1:2197/' }).mobilePush.apns, {
      keyP8: ecKey,
      keyId: 'K1',
      teamId: 'T1',
      topic: 'example.shop',
      sandbox: false,
      endpoint: 'https://127.0.0.1:2197',
    });
    onlyViolation({ ...env, NOTIFY_APNS_KEY_P8: rsaKey }, 'NOTIFY_APNS_KEY_P8', /no readable EC private key/);
  });
});

describe('what is not built', () => {
  const switches: Env = {
    NOTIFY_PLUGINS: './own.ts',
    NOTIFY_AUTH_JWKS_URL: 'https://id.example/jwks.json',
    NOTIFY_HTTP_PROVIDERS: '/etc/notify/http.json',
    NOTIFY_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
    NOTIFY_RETRY_BASE: '1s',
    NOTIFY_RETRY_MAX: '2h',
    NOTIFY_RETRY_FOR: 'sms=1h',
    NOTIFY_RATE_LIMITS: 'email=10/1h',
    NOTIFY_WEBHOOK_RATE: '5',
    NOTIFY_RETENTION_READ: '0',
    NOTIFY_RETENTION_UNREAD: '1d',
    NOTIFY_RETENTION_DELIVERIES: '1d',
    NOTIFY_SANDBOX: 'capture',
    NOTIFY_SANDBOX_ALLOW: 'a@b.example',
    NOTIFY_WORKERS: '2',
    NOTIFY_CONSOLE: 'true',
    NOTIFY_TEMPLATES_DIR: '/etc/notify/templates',
    NOTIFY_REDIS_URL: 'redis://cache:6379',
  };

  it('is refused by name, every variable of it', () => {
    const found = violations(switches, nothing);
    assert.deepEqual(Object.keys(found), Object.keys(switches));
    for (const message of Object.values(found))
      assert.match(message, /^\w+ is not built into this version; unset it/);
    assert.match(found.NOTIFY_RETENTION_READ ?? '', /^retention .* or keep 90d$/);
    parse(switches, everything);
  });

  it('each feature opens its own variables only', () => {
    for (const feature of features) {
      const left = violations(switches, { ...nothing, features: [feature] });
      const opened = Object.keys(switches).filter((variable) => !(variable in left));
      assert.ok(opened.length > 0, feature);
      const env = Object.fromEntries(opened.map((variable) => [variable, switches[variable]]));
      for (const message of Object.values(violations(env, nothing)))
        assert.match(message, new RegExp(`^${feature} `));
    }
  });

  it('may be set to what happens anyway', () => {
    const env = {
      NOTIFY_CONSOLE: 'F',
      NOTIFY_WORKERS: '1',
      NOTIFY_RETENTION_READ: '2160h',
      NOTIFY_RETRY_BASE: '10000ms',
      NOTIFY_RETRY_FOR: 'email=1d',
    };
    assert.deepEqual(parse(env, nothing), parse({}, nothing));
  });

  it('does not touch settings that hold for what is built', () => {
    parse(
      {
        NOTIFY_PUBLIC_URL: 'https://n.example',
        NOTIFY_EGRESS_ALLOW: '10.0.0.0/8',
        NOTIFY_EGRESS_ALLOW_HTTP: 'true',
        NOTIFY_SYNC_ATTEMPT_TIMEOUT: '1s',
        NOTIFY_LIVE_CONFIRM_TIMEOUT: '1s',
        NOTIFY_LIVE_MAX_AGE: '1m',
        NOTIFY_LIVE_END_AT_TOKEN_EXPIRY: 'false',
      },
      nothing,
    );
  });
});

describe('ConfigError', () => {
  it('names every violation of every kind at once, a line each', () => {
    const error = refusal({
      NOTIFY_CLIENT_PORT: '8081',
      NOTIFY_METRICS_PORT: 'x',
      NOTIFY_SHUTDOWN_TIMEOUT: '30',
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_EMAIL_PROVIDER: 'ses,sendgrid,acs',
      NOTIFY_SMS_PROVIDER: 'carrier',
      NOTIFY_AUTH_JWT_SECRET: 'short',
    });
    const variables = error.violations.map((v) => v.variable).sort();
    assert.deepEqual(variables, [
      'NOTIFY_AUTH_JWT_SECRET',
      'NOTIFY_EMAIL_API_KEY',
      'NOTIFY_EMAIL_ENDPOINT',
      'NOTIFY_EMAIL_FROM',
      'NOTIFY_EMAIL_REGION',
      'NOTIFY_INTERNAL_PORT',
      'NOTIFY_INTERNAL_TOKEN',
      'NOTIFY_METRICS_PORT',
      'NOTIFY_POSTGRES_DSN',
      'NOTIFY_SHUTDOWN_TIMEOUT',
      'NOTIFY_SMS_PROVIDER',
    ]);
    const [heading, ...lines] = error.message.split('\n');
    assert.equal(heading, '11 settings are wrong:');
    assert.deepEqual(
      lines,
      error.violations.map((v) => `  ${v.variable}: ${v.message}`),
    );
    assert.equal(refusal({ ...dev, NOTIFY_HOST: '[::]' }).message.split('\n')[0], 'one setting is wrong:');
  });

  it('quotes a wrong value, cut short', () => {
    const { NOTIFY_LOG_LEVEL = '' } = violations({ NOTIFY_LOG_LEVEL: 'x'.repeat(5_000) });
    assert.match(NOTIFY_LOG_LEVEL, /"x{40}…"/);
    assert.ok(NOTIFY_LOG_LEVEL.length < 200);
  });

  it('never quotes a secret', () => {
    const chosen = {
      NOTIFY_AUTH_DEV_MODE: 'false',
      NOTIFY_PLUGINS: './own.ts',
      NOTIFY_EMAIL_PROVIDER: 'emailservice,smtp,ses,sendgrid,acs',
      NOTIFY_SMS_PROVIDER: 'twilio',
      NOTIFY_WHATSAPP_PROVIDER: 'twilio',
      NOTIFY_WEBPUSH_PROVIDER: 'vapid',
      NOTIFY_MOBILEPUSH_PROVIDER: 'fcm,apns',
    };
    const secretName =
      /(?<!WEAK_)SECRET(_PREVIOUS)?$|TOKEN(_PREVIOUS)?$|PASSWORD|DSN|KEY(_P8)?$|VAPID|CREDENTIALS|_URL$|ENDPOINT/;
    const secrets = [...variableNames].filter((name) => secretName.test(name));
    assert.ok(secrets.length >= 24, secrets.join(' '));
    const marker = 'hunter2';
    for (const text of [
      marker,
      ` ${marker}\n`,
      `whsec_${marker}`,
      `mysql://user:${marker}@db/notify`,
      `https://user:${marker}@host/?token=${marker}`,
      `{"private_key":"${marker}","client_email":"${marker}","project_id":"${marker}"}`,
      `{"private_key":"${marker}`,
      `-----BEGIN PRIVATE KEY-----\n${marker}\n-----END PRIVATE KEY-----\n`,
    ]) {
      const values = Object.fromEntries(secrets.map((name) => [name, text]));
      for (const driver of ['postgres', 'entdb']) {
        for (const built of [everything, nothing]) {
          const {
            message,
            stack = '',
            violations: list,
          } = refusal({ ...chosen, ...values, NOTIFY_STORE_DRIVER: driver }, built);
          assert.ok(list.length > 5);
          assert.ok(!message.includes(marker) && !stack.includes(marker), message);
        }
      }
    }
  });
});
