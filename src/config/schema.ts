/**
 * Every variable with its type, default and place in the configuration: the one list that types, messages and
 * the names known are taken from. Where a default's 0 means something, it is said beside it.
 */
import * as credentials from './credentials.ts';
import { sandboxAllow, sandboxRule } from './sandbox.ts';
import * as t from './types.ts';
import {
  block,
  type Draft,
  derived,
  optional,
  required,
  setting,
  shared,
  type Values,
  variablesOf,
} from './variable.ts';

/** The names that a driver or a provider may have, whether this version has the code or not. */
export const knownStores = ['memory', 'postgres', 'entdb'] as const;
export const knownProviders = {
  email: ['emailservice', 'smtp', 'ses', 'sendgrid', 'acs'],
  sms: ['twilio', 'sns', 'acs'],
  whatsapp: ['twilio', 'meta'],
  web_push: ['vapid'],
  mobile_push: ['fcm', 'apns'],
  chat: ['slack', 'discord', 'teams', 'telegram', 'ntfy', 'gotify', 'apprise'],
} as const;

/** A provider of every channel that sends nothing. For dev mode only. */
export const testProvider = 'test';

const retryFor = 'email=24h,sms=4h,whatsapp=4h,web_push=24h,mobile_push=24h,webhook=72h,chat=24h';

export const schema = {
  host: setting('NOTIFY_HOST', t.host, '::'),
  /** 0: any free one. */
  ports: {
    client: setting('NOTIFY_CLIENT_PORT', t.listenPort, '8080'),
    internal: setting('NOTIFY_INTERNAL_PORT', t.listenPort, '8081'),
    metrics: setting('NOTIFY_METRICS_PORT', t.listenPort, '9090'),
  },
  log: { level: setting('NOTIFY_LOG_LEVEL', t.logLevel, 'info') },
  /** Hard deadline of a graceful stop. */
  shutdownTimeoutMs: setting('NOTIFY_SHUTDOWN_TIMEOUT', t.timer(), '30s'),
  /** Modules to load, by path or package name. */
  plugins: setting('NOTIFY_PLUGINS', t.list, '', { feature: 'plugins' }),

  store: {
    driver: setting('NOTIFY_STORE_DRIVER', t.name, 'memory'),
    postgres: block('store', 'postgres', {
      dsn: required('NOTIFY_POSTGRES_DSN', credentials.postgresDsn),
      /** Past PgBouncer, for LISTEN, locks and migrations. */
      directDsn: derived(
        'NOTIFY_POSTGRES_DIRECT_DSN',
        credentials.postgresDsn,
        'NOTIFY_POSTGRES_DSN',
        (dsn) => dsn,
      ),
      prepare: setting('NOTIFY_POSTGRES_PREPARE', t.boolean, 'true'),
      automigrate: setting('NOTIFY_POSTGRES_AUTOMIGRATE', t.boolean, 'true'),
    }),
    entdb: block('store', 'entdb', {
      /** host:port. */
      address: required('NOTIFY_ENTDB_ADDRESS', t.hostPort),
      tenantId: required('NOTIFY_ENTDB_TENANT_ID', t.text),
      tls: setting('NOTIFY_ENTDB_TLS', t.boolean, 'false'),
      apiKey: optional('NOTIFY_ENTDB_API_KEY', t.headerSecret),
    }),
  },

  auth: {
    devMode: setting('NOTIFY_AUTH_DEV_MODE', t.boolean, 'false'),
    /** The text's UTF-8 bytes are the HS256 key. */
    jwtSecret: optional('NOTIFY_AUTH_JWT_SECRET', t.secret),
    jwtSecretPrevious: optional('NOTIFY_AUTH_JWT_SECRET_PREVIOUS', t.secret),
    jwtIssuer: optional('NOTIFY_AUTH_JWT_ISSUER', t.text),
    jwtAudience: optional('NOTIFY_AUTH_JWT_AUDIENCE', t.text),
    jwtLeewayMs: setting('NOTIFY_AUTH_JWT_LEEWAY', t.duration, '30s'),
    jwtRequireExp: setting('NOTIFY_AUTH_JWT_REQUIRE_EXP', t.boolean, 'false'),
    allowWeakSecret: setting('NOTIFY_AUTH_ALLOW_WEAK_SECRET', t.boolean, 'false'),
    jwksUrl: optional('NOTIFY_AUTH_JWKS_URL', t.url('https', 'http'), { feature: 'jwks' }),
    internalToken: optional('NOTIFY_INTERNAL_TOKEN', t.headerSecret),
    internalTokenPrevious: optional('NOTIFY_INTERNAL_TOKEN_PREVIOUS', t.headerSecret),
  },
  /** scheme://host[:port] in lower case, or `*`. */
  allowedOrigins: setting('NOTIFY_ALLOWED_ORIGINS', t.origins, ''),

  live: {
    enabled: setting('NOTIFY_LIVE_CONNECTIONS_ENABLED', t.boolean, 'true'),
    heartbeatIntervalMs: setting('NOTIFY_LIVE_HEARTBEAT_INTERVAL', t.timer(1), '30s'),
    /** How often a data-change hint is repeated, and how long after the last time. 0: not at all. */
    retryMaxAttempts: setting('NOTIFY_LIVE_RETRY_MAX_ATTEMPTS', t.integer(0), '3'),
    retryIntervalMs: setting('NOTIFY_LIVE_RETRY_INTERVAL', t.timer(), '5s'),
    /** A stream's nominal life. 0: no end. */
    maxAgeMs: setting('NOTIFY_LIVE_MAX_AGE', t.timer(), '1h'),
    maxStreamsPerUser: setting('NOTIFY_LIVE_MAX_STREAMS_PER_USER', t.integer(1), '20'),
    /** Of this process. */
    maxStreams: setting('NOTIFY_LIVE_MAX_STREAMS', t.integer(1), '20000'),
    /** Of one tenant, in this process. 0: no limit but the process's. */
    maxStreamsPerTenant: setting('NOTIFY_LIVE_MAX_STREAMS_PER_TENANT', t.integer(0), '0'),
    /** How long Notify waits for another replica's stream. 0: not at all. */
    confirmTimeoutMs: setting('NOTIFY_LIVE_CONFIRM_TIMEOUT', t.timer(), '250ms'),
    endAtTokenExpiry: setting('NOTIFY_LIVE_END_AT_TOKEN_EXPIRY', t.boolean, 'true'),
  },
  /** How long a Notify call waits for first attempts. 0: not at all. */
  syncAttemptTimeoutMs: setting('NOTIFY_SYNC_ATTEMPT_TIMEOUT', t.timer(), '5s'),

  /** Names in lower case, in the order given; none where the channel sends nothing. */
  providers: {
    email: setting('NOTIFY_EMAIL_PROVIDER', t.names, 'none'),
    sms: setting('NOTIFY_SMS_PROVIDER', t.names, 'none'),
    whatsapp: setting('NOTIFY_WHATSAPP_PROVIDER', t.names, 'none'),
    web_push: setting('NOTIFY_WEBPUSH_PROVIDER', t.names, 'none'),
    mobile_push: setting('NOTIFY_MOBILEPUSH_PROVIDER', t.names, 'none'),
    chat: setting('NOTIFY_CHAT_PROVIDER', t.names, 'none'),
  },
  /** Path of the file with generic HTTP providers. */
  httpProvidersFile: optional('NOTIFY_HTTP_PROVIDERS', t.text, { feature: 'http_providers' }),

  email: block('email', undefined, {
    /** An address, or `Name <address>`. */
    from: required('NOTIFY_EMAIL_FROM', t.mailbox),
    emailservice: block('email', 'emailservice', {
      /** host:port. */
      address: required('NOTIFY_EMAIL_SERVICE_ADDRESS', t.hostPort),
    }),
    smtp: block('email', 'smtp', {
      host: required('NOTIFY_EMAIL_SMTP_HOST', t.host),
      /** 587 is the port of submission (RFC 6409). */
      port: setting('NOTIFY_EMAIL_SMTP_PORT', t.integer(1, 65_535), '587'),
      username: optional('NOTIFY_EMAIL_SMTP_USERNAME', t.text),
      password: optional('NOTIFY_EMAIL_SMTP_PASSWORD', t.secret),
    }),
    ses: block('email', 'ses', {
      region: required('NOTIFY_EMAIL_REGION', t.text),
      apiKey: shared('ses', optional('NOTIFY_EMAIL_API_KEY', t.secret)),
      endpoint: shared('ses', optional('NOTIFY_EMAIL_ENDPOINT', t.baseUrl)),
      /** The SNS topics that its events come by; undefined: none do. */
      topicArns: optional('NOTIFY_SES_TOPIC_ARN', t.topicArns),
    }),
    sendgrid: block('email', 'sendgrid', {
      apiKey: shared('sendgrid', required('NOTIFY_EMAIL_API_KEY', t.secret)),
      endpoint: shared('sendgrid', optional('NOTIFY_EMAIL_ENDPOINT', t.baseUrl)),
      /** The public keys that its events are signed by, base64; undefined: it posts none. */
      webhookKeys: optional('NOTIFY_SENDGRID_WEBHOOK_KEY', credentials.sendGridWebhookKeys),
    }),
    acs: block('email', 'acs', {
      apiKey: shared('acs', required('NOTIFY_EMAIL_API_KEY', t.secret)),
      endpoint: shared('acs', required('NOTIFY_EMAIL_ENDPOINT', t.baseUrl)),
    }),
  }),
  sms: {
    twilio: block('sms', 'twilio', twilioAccount('SMS')),
    sns: block('sms', 'sns', phoneAccount('SMS')),
    acs: block('sms', 'acs', phoneAccount('SMS')),
  },
  whatsapp: {
    twilio: block('whatsapp', 'twilio', twilioAccount('WHATSAPP')),
    meta: block('whatsapp', 'meta', phoneAccount('WHATSAPP')),
  },
  chat: {
    slack: block('chat', 'slack', {
      /** Of a bot, for the Web API; incoming webhooks need none. */
      token: shared('slack', optional('NOTIFY_CHAT_TOKEN', t.headerSecret)),
      endpoint: shared('slack', optional('NOTIFY_CHAT_ENDPOINT', t.baseUrl)),
    }),
    telegram: block('chat', 'telegram', {
      token: shared('telegram', required('NOTIFY_CHAT_TOKEN', t.headerSecret)),
      endpoint: shared('telegram', optional('NOTIFY_CHAT_ENDPOINT', t.baseUrl)),
    }),
    ntfy: block('chat', 'ntfy', {
      token: shared('ntfy', optional('NOTIFY_CHAT_TOKEN', t.headerSecret)),
      endpoint: shared('ntfy', optional('NOTIFY_CHAT_ENDPOINT', t.baseUrl)),
    }),
    gotify: block('chat', 'gotify', {
      endpoint: shared('gotify', required('NOTIFY_CHAT_ENDPOINT', t.baseUrl)),
    }),
    apprise: block('chat', 'apprise', {
      endpoint: shared('apprise', required('NOTIFY_CHAT_ENDPOINT', t.baseUrl)),
    }),
  },
  webPush: {
    vapid: block('web_push', 'vapid', {
      /** base64url, a pair. */
      publicKey: required('NOTIFY_WEBPUSH_VAPID_PUBLIC', credentials.vapidPublicKey),
      privateKey: required('NOTIFY_WEBPUSH_VAPID_PRIVATE', credentials.vapidPrivateKey),
      /** A mailto: or https: URL. */
      contact: optional('NOTIFY_WEBPUSH_CONTACT_EMAIL', credentials.vapidContact),
    }),
  },
  mobilePush: {
    fcm: block('mobile_push', 'fcm', {
      credentials: required('NOTIFY_FCM_CREDENTIALS_JSON', credentials.fcmCredentials),
      projectId: derived(
        'NOTIFY_FCM_PROJECT_ID',
        t.text,
        'NOTIFY_FCM_CREDENTIALS_JSON',
        credentials.projectIdOf,
      ),
      endpoint: optional('NOTIFY_FCM_ENDPOINT', t.baseUrl),
    }),
    apns: block('mobile_push', 'apns', {
      /** PEM. */
      keyP8: required('NOTIFY_APNS_KEY_P8', credentials.apnsKey),
      keyId: required('NOTIFY_APNS_KEY_ID', t.text),
      teamId: required('NOTIFY_APNS_TEAM_ID', t.text),
      topic: required('NOTIFY_APNS_TOPIC', t.text),
      sandbox: setting('NOTIFY_APNS_SANDBOX', t.boolean, 'false'),
      endpoint: optional('NOTIFY_APNS_ENDPOINT', t.baseUrl),
    }),
  },
  webhook: {
    /** whsec_… master keys, the first one first; undefined switches the channel off. */
    secrets: optional('NOTIFY_WEBHOOK_SECRET', credentials.webhookSecrets, { feature: 'webhook' }),
  },

  retry: {
    baseMs: setting('NOTIFY_RETRY_BASE', t.pause, '10s', { feature: 'retry' }),
    maxMs: setting('NOTIFY_RETRY_MAX', t.pause, '1h', { feature: 'retry' }),
    /** From the due time, by channel. 0: one attempt. */
    forMs: setting('NOTIFY_RETRY_FOR', t.durationsByChannel(retryFor), retryFor, { feature: 'retry' }),
  },
  /** By channel and user; a channel that is missing has no limit. */
  rateLimits: setting('NOTIFY_RATE_LIMITS', t.limitsByChannel, '', { feature: 'rate_limits' }),
  /** How each of a channel's providers is asked; undefined: as the dispatcher has it, and the provider. */
  sending: {
    email: sending('EMAIL', 'email'),
    sms: sending('SMS', 'sms'),
    whatsapp: sending('WHATSAPP', 'whatsapp'),
    web_push: sending('WEBPUSH', 'web_push'),
    mobile_push: sending('MOBILEPUSH', 'mobile_push'),
    webhook: sending('WEBHOOK'),
    chat: sending('CHAT', 'chat'),
  },
  /** 0: kept for ever. */
  retention: {
    readMs: setting('NOTIFY_RETENTION_READ', t.duration, '90d', { feature: 'retention' }),
    unreadMs: setting('NOTIFY_RETENTION_UNREAD', t.duration, '365d', { feature: 'retention' }),
    deliveriesMs: setting('NOTIFY_RETENTION_DELIVERIES', t.duration, '30d', { feature: 'retention' }),
  },
  sandbox: {
    /** undefined: messages go where they are addressed to. */
    rule: optional('NOTIFY_SANDBOX', sandboxRule, { feature: 'sandbox' }),
    /** Addresses that still get theirs; `@example.com` is a mail domain. */
    allow: setting('NOTIFY_SANDBOX_ALLOW', sandboxAllow, '', { feature: 'sandbox' }),
  },
  egress: {
    /** Private networks that webhooks and push endpoints may reach, as address/bits. */
    allow: setting('NOTIFY_EGRESS_ALLOW', t.cidrs, ''),
    /** Whether plain http will do for those. */
    allowHttp: setting('NOTIFY_EGRESS_ALLOW_HTTP', t.boolean, 'false'),
  },

  /** Where recipients and providers reach the client port, without a slash at the end. */
  publicUrl: optional('NOTIFY_PUBLIC_URL', t.baseUrl),
  workers: setting('NOTIFY_WORKERS', t.integer(1, 1024), '1', { feature: 'workers' }),
  console: setting('NOTIFY_CONSOLE', t.boolean, 'false', { feature: 'console' }),
  templatesDir: optional('NOTIFY_TEMPLATES_DIR', t.text, { feature: 'templates_dir' }),
  /** Carries live messages between replicas. */
  redisUrl: optional('NOTIFY_REDIS_URL', t.redisUrl, { feature: 'redis' }),
};

/** The service's settings. A block of a driver or provider is undefined unless that one is chosen. */
export type Config = Values<typeof schema> & {
  /** Names that begin with NOTIFY_ and mean nothing here: for a warning, they may be misspelt. */
  readonly unknownVariables: readonly string[];
  /** What the file of HTTP providers may read of the environment, by name: NOTIFY_HTTP_* and nothing else. */
  readonly httpVariables: Readonly<Record<string, string>>;
};

export type ConfigDraft = Draft<typeof schema>;

/** How the variables begin that an operator names himself, for the file of HTTP providers. */
export const httpVariablePrefix = 'NOTIFY_HTTP_';

export const variableNames: ReadonlySet<string> = new Set([...variablesOf(schema)].map(({ name }) => name));

/** Where a channel sends from: one of the two, or both; the service wins over the number. */
function phoneSender(prefix: 'SMS' | 'WHATSAPP') {
  return {
    from: optional(`NOTIFY_${prefix}_FROM`, t.text),
    messagingServiceSid: optional(`NOTIFY_${prefix}_MESSAGING_SERVICE_SID`, t.text),
    endpoint: optional(`NOTIFY_${prefix}_ENDPOINT`, t.baseUrl),
  };
}

function twilioAccount(prefix: 'SMS' | 'WHATSAPP') {
  return {
    accountSid: required(`NOTIFY_${prefix}_ACCOUNT_SID`, t.text),
    authToken: required(`NOTIFY_${prefix}_AUTH_TOKEN`, t.secret),
    ...phoneSender(prefix),
  };
}

/** The block of a provider of which the contract does not say what it requires. */
function phoneAccount(prefix: 'SMS' | 'WHATSAPP') {
  return {
    accountSid: optional(`NOTIFY_${prefix}_ACCOUNT_SID`, t.text),
    authToken: optional(`NOTIFY_${prefix}_AUTH_TOKEN`, t.secret),
    ...phoneSender(prefix),
  };
}

/** Numbers for each provider of a channel, or `ses=14,smtp=50` for those that are named. */
function sending(prefix: string, of?: keyof typeof knownProviders) {
  const limits = { feature: 'send_rates' as const, ...(of !== undefined && { choice: { of } }) };
  return {
    /** Sends a second. */
    rate: optional(`NOTIFY_${prefix}_RATE`, t.byProvider(t.positiveNumber), limits),
    /** Attempts under way at once. */
    concurrency: optional(`NOTIFY_${prefix}_CONCURRENCY`, t.byProvider(t.integer(1, 1_000)), limits),
    /** Of one attempt. */
    timeoutMs: optional(`NOTIFY_${prefix}_TIMEOUT`, t.byProvider(t.attemptTimeout), limits),
  };
}
