import { type ChildProcess, fork } from 'node:child_process';
import { createECDH, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Channel } from '../src/core/glossary.ts';
import { loadAverage } from './cpu.ts';
import { type Figure, median } from './figures.ts';
import type { Addresses, Order, Report } from './providers/messages.ts';

/** As many as take some seconds, after one round to warm up. */
const rounds = 3;
/** All of them within the 30 s that an attempt may take: then the provider that hangs counts as down, and costs nothing more. */
const hangingPairs = 8;

/** Every provider with a fast local server, each in a process of its own, and what the others lose while one hangs. */
export async function benchProviders(): Promise<Figure[]> {
  const servers = startChild('providers/servers.ts', {});
  try {
    const [addresses] = (await once(servers, 'message')) as [Addresses];
    const figures: Figure[] = [];
    for (const subject of subjects(addresses)) figures.push(await measure(subject));
    figures.push(await besideOneThatHangs(addresses));
    return figures;
  } finally {
    await stop(servers);
  }
}

/** A provider, and what it is given. */
interface Subject {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly order: Order;
  /** Deliveries a second; undefined: none was set. */
  readonly target: number | undefined;
}

function subjects(at: Addresses): Subject[] {
  return [
    {
      name: 'webhook',
      env: webhook,
      order: order('webhook', 10_000, hooks(at)),
      target: 2_000,
    },
    { name: 'SMTP', env: smtp(at), order: order('email', 3_000, ['ada@example.org']), target: 500 },
    { name: 'FCM', env: fcm(at), order: order('mobile_push', 10_000, ['cReg:APA91b-token']), target: 2_000 },
    {
      name: 'APNs',
      env: apns(at),
      order: order('mobile_push', 10_000, ['ab'.repeat(32)]),
      target: undefined,
    },
    { name: 'web push', env: webPush, order: order('web_push', 4_000, subscriptions(at)), target: 800 },
  ];
}

async function measure({ name, env, order, target }: Subject): Promise<Figure> {
  const sender = await startSender(env);
  try {
    await sender.run([order]);
    const reports: Report[] = [];
    for (let round = 0; round < rounds; round += 1) reports.push(await sender.run([order]));
    const perSecond = median(reports.map(({ sent }) => sent[0]?.perSecond ?? 0));
    const p99Ms = median(reports.map(({ sent }) => sent[0]?.p99Ms ?? 0));
    const rssMib = Math.max(...reports.map((report) => report.rssMib));
    return {
      name: `${name}, deliveries a second`,
      value: `${perSecond.toFixed(0)}/s (p99 ${p99Ms.toFixed(0)} ms, RSS ${rssMib.toFixed(0)} MiB; load average ${loadAverage()})`,
      target: target === undefined ? '—' : `at least ${target}/s`,
      met: target === undefined || perSecond >= target,
    };
  } finally {
    await sender.stop();
  }
}

/** Webhooks and FCM side by side, by two processes in turn: in one SMS go to a provider that takes every request and answers none. */
async function besideOneThatHangs(at: Addresses): Promise<Figure> {
  const env = { ...webhook, ...fcm(at), ...hangingSms(at) };
  const [well, ill] = [await startSender(env), await startSender(env)];
  try {
    const others = [order('webhook', 3_000, hooks(at)), order('mobile_push', 3_000, ['cReg:APA91b-token'])];
    await well.run(others);
    await ill.run(others);
    await ill.run([{ ...order('sms', 2_000, ['+15550100123']), isMeasured: false }]);
    const rateOf = ({ sent }: Report) => sent.reduce((sum, { perSecond }) => sum + perSecond, 0);
    const pairs: { readonly alone: number; readonly beside: number }[] = [];
    for (let pair = 0; pair < hangingPairs; pair += 1) {
      // whoever comes second finds the machine as warm as it will be
      const isFirst = pair % 2 === 0;
      const early = rateOf(await (isFirst ? well : ill).run(others));
      const late = rateOf(await (isFirst ? ill : well).run(others));
      pairs.push(isFirst ? { alone: early, beside: late } : { alone: late, beside: early });
    }
    const share = median(pairs.map(({ alone, beside }) => beside / alone));
    const [alone, beside] = (['alone', 'beside'] as const).map((which) =>
      median(pairs.map((pair) => pair[which])).toFixed(0),
    );
    return {
      name: 'webhook and FCM while the SMS provider hangs, against without it',
      value: `${(share * 100).toFixed(0)} % (${beside}/s against ${alone}/s; load average ${loadAverage()})`,
      target: 'at least 90 %',
      met: share >= 0.9,
    };
  } finally {
    await Promise.all([well.stop(), ill.stop()]);
  }
}

interface Sender {
  run(orders: readonly Order[]): Promise<Report>;
  stop(): Promise<void>;
}

async function startSender(env: Readonly<Record<string, string>>): Promise<Sender> {
  const child = startChild('providers/sender.ts', { NOTIFY_AUTH_DEV_MODE: 'true', ...env });
  await once(child, 'message');
  return {
    async run(orders) {
      child.send(orders as Order[]);
      const [report] = (await once(child, 'message')) as [Report];
      return report;
    },
    stop: () => stop(child),
  };
}

/** With the flags of `npm start`, and without variables of the shell's that mean something to the service. */
function startChild(script: string, env: Readonly<Record<string, string>>): ChildProcess {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('NOTIFY_'));
  return fork(new URL(script, import.meta.url), {
    execArgv: ['--max-semi-space-size=8'],
    env: { ...Object.fromEntries(own), ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.disconnect();
  await ended;
}

const order = (channel: Channel, count: number, destinations: readonly string[]): Order => ({
  channel,
  count,
  destinations,
  isMeasured: true,
});

const hooks = ({ http }: Addresses) => Array.from({ length: 16 }, (_, i) => `${http}/hook/${i}`);

const loopback = { NOTIFY_EGRESS_ALLOW: '127.0.0.0/8', NOTIFY_EGRESS_ALLOW_HTTP: 'true' };

const webhook = { ...loopback, NOTIFY_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}` };

const smtp = ({ smtp: port }: Addresses) => ({
  NOTIFY_EMAIL_PROVIDER: 'smtp',
  NOTIFY_EMAIL_FROM: 'Notify <notify@example.com>',
  NOTIFY_EMAIL_SMTP_HOST: '127.0.0.1',
  NOTIFY_EMAIL_SMTP_PORT: String(port),
});

const fcm = ({ http }: Addresses) => ({
  NOTIFY_MOBILEPUSH_PROVIDER: 'fcm',
  NOTIFY_FCM_CREDENTIALS_JSON: JSON.stringify({
    client_email: 'push@bench.iam.gserviceaccount.com',
    private_key: pem('rsa'),
    project_id: 'bench',
    token_uri: `${http}/token`,
  }),
  NOTIFY_FCM_ENDPOINT: http,
});

const apns = ({ http2 }: Addresses) => ({
  NOTIFY_MOBILEPUSH_PROVIDER: 'apns',
  NOTIFY_APNS_KEY_P8: pem('ec'),
  NOTIFY_APNS_KEY_ID: 'KEY1234567',
  NOTIFY_APNS_TEAM_ID: 'TEAM123456',
  NOTIFY_APNS_TOPIC: 'org.example.bench',
  NOTIFY_APNS_ENDPOINT: http2,
});

const keys = createECDH('prime256v1');
keys.generateKeys();
const webPush = {
  ...loopback,
  NOTIFY_WEBPUSH_PROVIDER: 'vapid',
  NOTIFY_WEBPUSH_VAPID_PUBLIC: keys.getPublicKey('base64url'),
  NOTIFY_WEBPUSH_VAPID_PRIVATE: Buffer.from(keys.getPrivateKey('hex').padStart(64, '0'), 'hex').toString(
    'base64url',
  ),
  NOTIFY_WEBPUSH_CONTACT_EMAIL: 'ops@example.org',
};

/** Browsers, each with keys of its own. */
const subscriptions = ({ http }: Addresses) =>
  Array.from({ length: 100 }, (_, i) => {
    const browser = createECDH('prime256v1');
    browser.generateKeys();
    const own = { p256dh: browser.getPublicKey('base64url'), auth: randomBytes(16).toString('base64url') };
    return JSON.stringify({ endpoint: `${http}/push/${i}`, keys: own });
  });

const hangingSms = ({ hanging }: Addresses) => ({
  NOTIFY_SMS_PROVIDER: 'twilio',
  NOTIFY_SMS_ACCOUNT_SID: `AC${'0'.repeat(31)}1`,
  NOTIFY_SMS_AUTH_TOKEN: 'the-auth-token-of-a-bench',
  NOTIFY_SMS_FROM: '+15550100999',
  NOTIFY_SMS_ENDPOINT: hanging,
});

function pem(type: 'rsa' | 'ec'): string {
  const { privateKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
