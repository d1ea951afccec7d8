/** `npm run providers:check`, and what the service says of its providers at its start: as processes. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { eventually } from './support/eventually.ts';
import { EveryChannel } from './support/every-channel.ts';
import { NotifyProcess, TestProcess } from './support/process.ts';
import { ScriptedServer } from './support/scripted-server.ts';

/** Runs the command. @returns the rows of its report by channel and provider, without the head */
async function run(t: TestContext, env: Readonly<Record<string, string>>) {
  const command = new TestProcess(t, process.execPath, ['src/main.ts', '--check-providers'], env);
  const { code } = await command.exited;
  assert.equal(command.stderr, '');
  const [head = '', ...lines] = command.stdout.trimEnd().split('\n');
  assert.match(head, /^CHANNEL +PROVIDER +STATE +WHAT TO DO/);
  const rows = lines.filter((line) => / {2}/.test(line)).map((line) => line.split(/ {2,}/));
  return { code, text: command.stdout, rows };
}

const sendGrid = (url: string) => ({
  NOTIFY_EMAIL_PROVIDER: 'sendgrid',
  NOTIFY_EMAIL_FROM: 'notify@example.com',
  NOTIFY_EMAIL_API_KEY: 'SG.the-secret-key',
  NOTIFY_EMAIL_ENDPOINT: url,
});

const twilio = (url: string) => ({
  NOTIFY_SMS_PROVIDER: 'twilio',
  NOTIFY_SMS_ACCOUNT_SID: `AC${'0'.repeat(31)}1`,
  NOTIFY_SMS_AUTH_TOKEN: 'the-secret-token',
  NOTIFY_SMS_FROM: '+15550199',
  NOTIFY_SMS_ENDPOINT: url,
});

describe('npm run providers:check', () => {
  it('reports every channel, and is content where all that is switched on is well', async (t) => {
    const servers = await EveryChannel.listen(t);
    servers.twilio.answer = () => ({ status: 200, body: '{"status":"active","type":"Full"}' });
    const { NOTIFY_PLUGINS: _, NOTIFY_CHAT_PROVIDER: __, ...env } = servers.env;
    const { code, rows } = await run(t, env);
    assert.deepEqual(
      rows.map(([channel, provider, state]) => [channel, provider, state]),
      [
        ['email', 'smtp', 'ready'],
        ['sms', 'twilio', 'ready'],
        ['whatsapp', 'twilio', 'ready'],
        ['web_push', 'vapid', 'ready'],
        ['mobile_push', 'fcm', 'ready'],
        ['mobile_push', 'apns', 'ready'],
        ['chat', '-', 'not configured'],
        ['webhook', 'webhook', 'ready'],
      ],
    );
    assert.equal(code, 0);
    assert.deepEqual([servers.mail.received, servers.hooks.received, servers.push.received], [[], [], []]);
  });

  it('is content where nothing is switched on, and says what would do it', async (t) => {
    const { code, rows } = await run(t, {});
    assert.equal(code, 0);
    assert.deepEqual(rows[0], [
      ...['email', '-', 'not configured'],
      'set NOTIFY_EMAIL_PROVIDER to acs, emailservice, sendgrid, ses or smtp',
    ]);
    assert.deepEqual(rows.at(-1), ['webhook', '-', 'not configured', 'set NOTIFY_WEBHOOK_SECRET']);
  });

  it('names the variables of credentials that are rejected, without their values, and of providers that are away', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => ({ status: 401, body: '{}' });
    const { code, rows, text } = await run(t, { ...sendGrid(server.url), ...twilio('http://127.0.0.1:9') });
    assert.equal(code, 1);
    const [email, sms] = rows;
    assert.deepEqual(email?.slice(0, 3), ['email', 'sendgrid', 'rejected']);
    assert.match(email?.[3] ?? '', /answered 401: .*; look at .*NOTIFY_EMAIL_API_KEY/);
    assert.deepEqual(sms?.slice(0, 3), ['sms', 'twilio', 'unreachable']);
    assert.match(sms?.[3] ?? '', /look at .*NOTIFY_SMS_ENDPOINT/);
    assert.doesNotMatch(text, /the-secret|notify@example|15550199/);
  });

  it('names what is missing or wrong, and checks the others all the same', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => ({ status: 200, body: '{"scopes":["mail.send"]}' });
    const { code, rows, text } = await run(t, {
      ...sendGrid(server.url),
      NOTIFY_SMS_PROVIDER: 'twilio',
      NOTIFY_SMS_AUTH_TOKEN: 'the-secret-token',
      NOTIFY_WEBHOOK_SECRET: 'the-secret-master',
      NOTIFY_LOG_LEVEL: 'loud',
      NOTIFY_STORE_DRIVER: 'postgres',
    });
    assert.equal(code, 1);
    assert.deepEqual(
      rows
        .filter(([, , state]) => state !== 'not configured')
        .map(([channel, provider, state, todo = '']) => [channel, provider, state, todo.split(' ')[0]]),
      [
        ['email', 'sendgrid', 'ready', 'SendGrid'],
        ['sms', 'twilio', 'incomplete', 'NOTIFY_SMS_ACCOUNT_SID'],
        ['sms', 'twilio', 'incomplete', 'NOTIFY_SMS_FROM'],
        ['webhook', 'webhook', 'incomplete', 'NOTIFY_WEBHOOK_SECRET'],
      ],
    );
    assert.doesNotMatch(text, /the-secret/);
  });

  it('says that a sandbox is on', async (t) => {
    const { text } = await run(t, { NOTIFY_SANDBOX: 'capture' });
    assert.match(text, /\nNOTIFY_SANDBOX is on: /);
  });
});

describe('the start of the service', () => {
  it('tells which channels send, what would switch on the rest, and whether the credentials are taken', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = ({ path }) =>
      path === '/v3/scopes' ? { status: 200, body: '{"scopes":["mail.send"]}' } : { status: 401, body: '{}' };
    const notify = new NotifyProcess(t, { ...sendGrid(server.url), ...twilio(server.url) });
    const { active, off } = await notify.logged('channels');
    assert.deepEqual(active, { email: 'sendgrid', sms: 'twilio' });
    assert.deepEqual(off, {
      whatsapp: 'NOTIFY_WHATSAPP_PROVIDER',
      web_push: 'NOTIFY_WEBPUSH_PROVIDER',
      mobile_push: 'NOTIFY_MOBILEPUSH_PROVIDER',
      chat: 'NOTIFY_CHAT_PROVIDER',
      webhook: 'NOTIFY_WEBHOOK_SECRET',
    });
    const lines = await eventually('both checks', () => {
      const found = notify.lines('provider_check');
      return found.length === 2 ? found : undefined;
    });
    assert.deepEqual(
      lines.map(({ level, channel, provider, state }) => [level, channel, provider, state]).sort(),
      [
        ['INFO', 'email', 'sendgrid', 'ready'],
        ['WARN', 'sms', 'twilio', 'rejected'],
      ],
    );
    assert.doesNotMatch(notify.stdout, /the-secret/);
  });

  it('waits for no check: it is ready at once, and stops at once', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => 'hang';
    const notify = new NotifyProcess(t, sendGrid(server.url));
    const { ops } = await notify.listening();
    await eventually('the question', () => server.received.length === 1);
    assert.equal((await fetch(`${ops}/healthz`)).status, 200);
    const since = performance.now();
    notify.kill('SIGTERM');
    assert.deepEqual(await notify.exited, { code: 0, signal: null });
    assert.ok(performance.now() - since < 5_000);
    assert.deepEqual(notify.lines('provider_check'), []);
  });

  it('warns of a sandbox', async (t) => {
    const notify = new NotifyProcess(t, {
      NOTIFY_SANDBOX: 'redirect:email=qa@example.com',
      NOTIFY_SANDBOX_ALLOW: 'ada@example.com, @b.example',
    });
    await notify.listening();
    const [line] = notify.lines().filter(({ msg }) => String(msg).startsWith('sandbox:'));
    assert.deepEqual(
      [line?.level, line?.mode, line?.redirected, line?.allowed],
      ['WARN', 'redirect', ['email'], 2],
    );
    assert.doesNotMatch(notify.stdout, /qa@example|ada@example/);
  });
});
