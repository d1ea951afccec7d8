/** The chat channel of the whole service. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { buildProviders, built } from '../../../../src/app.ts';
import { parseConfig } from '../../../../src/config.ts';
import { thoseFor } from '../../../../src/core/channel.ts';
import { checkProvider } from '../../../../src/core/provider-check.ts';
import { build, call, procedures } from '../../../support/build.ts';
import { logFile } from '../../../support/log.ts';
import { type Reply, ScriptedServer } from '../../../support/scripted-server.ts';

const token = '47110815:AAtoken-of-the-bot';
const json = (body: unknown): Reply => ({ status: 200, body: JSON.stringify(body) });

/** What becomes of one notification to one chat address. */
async function notify(
  t: TestContext,
  env: Record<string, string>,
  destination: (base: string) => string,
  reply: Reply,
) {
  const server = await ScriptedServer.listen(t);
  server.answer = () => reply;
  const log = logFile(t);
  const { logger } = log;
  const endpoint = env.NOTIFY_CHAT_ENDPOINT === undefined ? {} : { NOTIFY_CHAT_ENDPOINT: `${server.url}/` };
  const service = await build(t, { ...env, ...endpoint }, { logger });
  const { body } = await call(service.url.internal, procedures.notify, {
    tenantId: 'demo',
    notificationId: 'n',
    userIds: ['ada'],
    title: 'a private title',
    // no channels: chat is one that has a provider and a destination
    addresses: { ada: { byChannel: { chat: destination(server.url) } } },
    returnResults: true,
  });
  const results = body.results as { channel: string; status: string; reason: string; id: string }[];
  const chat = results.find(({ channel }) => channel === 'DELIVERY_CHANNEL_CHAT') ?? assert.fail('no chat');
  const list = await call(service.url.internal, 'notify.v1.DeliveryService/ListDeliveries', {
    tenantId: 'demo',
    channel: 'DELIVERY_CHANNEL_CHAT',
  });
  const [delivery] = list.body.deliveries as { id: string; provider: string; providerMessageId?: string }[];
  const detail = await call(service.url.internal, 'notify.v1.DeliveryService/GetDelivery', {
    tenantId: 'demo',
    id: delivery?.id,
  });
  const { attempts } = detail.body.delivery as { attempts: unknown[] };
  return { chat, delivery, attempts: JSON.stringify(attempts), server, log };
}

const guard = { NOTIFY_EGRESS_ALLOW: '127.0.0.0/8', NOTIFY_EGRESS_ALLOW_HTTP: 'true' };
const delivered = 'DELIVERY_STATUS_DELIVERED';
const endpoint = { NOTIFY_CHAT_ENDPOINT: 'of the server' };

/** What a check of the configuration's chat provider comes to, and what was asked. */
async function check(t: TestContext, env: Record<string, string>, reply: Reply) {
  const server = await ScriptedServer.listen(t);
  server.answer = () => reply;
  const all = { NOTIFY_AUTH_DEV_MODE: 'true', ...env, NOTIFY_CHAT_ENDPOINT: server.url };
  const app = await buildProviders(parseConfig(all, built));
  t.after(() => app.close());
  const [provider] = app.providers.get('chat') ?? [];
  assert.ok(provider);
  const { state, detail } = await checkProvider(provider, app.ambient.clock, new AbortController().signal);
  const asked = server.received.map(({ method, path, body }) => `${method} ${path}${body}`);
  assert.ok(!detail.includes(token));
  return { state, detail, asked, headers: server.received[0]?.headers };
}

describe('the check of a chat', () => {
  const cases: [string, string[], Reply, Reply][] = [
    ['slack', ['POST /auth.test'], json({ ok: true }), json({ ok: false, error: 'invalid_auth' })],
    ['telegram', [`GET /bot${token}/getMe`], json({ ok: true }), { status: 401, body: '{"ok":false}' }],
    ['ntfy', ['GET /v1/health'], json({ healthy: true }), { status: 401 }],
    ['gotify', ['GET /health'], json({ health: 'green' }), { status: 404 }],
    ['apprise', ['GET /status'], { status: 200, body: 'OK' }, { status: 404 }],
  ];
  for (const [name, asked, good, bad] of cases)
    it(`of ${name} sends nothing, and tells whether it is set up right`, async (t) => {
      const env = { NOTIFY_CHAT_PROVIDER: name, NOTIFY_CHAT_TOKEN: token };
      const ready = await check(t, env, good);
      assert.deepEqual([ready.state, ready.asked], ['ready', asked]);
      if (name === 'slack' || name === 'ntfy') assert.equal(ready.headers?.authorization, `Bearer ${token}`);
      assert.equal((await check(t, env, bad)).state, 'rejected');
      assert.equal((await check(t, env, { status: 503 })).state, 'unreachable');
    });

  it('of webhooks asks nobody', async (t) => {
    for (const NOTIFY_CHAT_PROVIDER of ['discord', 'teams', 'slack']) {
      const { state, asked } = await check(t, { NOTIFY_CHAT_PROVIDER }, { status: 500 });
      assert.deepEqual([state, asked], ['ready', []]);
    }
  });
});

describe('chat', () => {
  const cases: [string, Record<string, string>, (base: string) => string, Reply, string, string][] = [
    [
      'slack',
      guard,
      (base) => `${base}/services/a-secret`,
      { status: 200, body: 'ok' },
      '',
      '/services/a-secret',
    ],
    [
      'slack',
      { ...endpoint, ...guard, NOTIFY_CHAT_TOKEN: token },
      () => 'C123',
      json({ ok: true, ts: '1.2' }),
      '1.2',
      '/chat.postMessage',
    ],
    [
      'slack',
      { ...endpoint, ...guard, NOTIFY_CHAT_TOKEN: token },
      (base) => `${base}/a-secret`,
      { status: 200, body: 'ok' },
      '',
      '/a-secret',
    ],
    ['discord', guard, (base) => `${base}/a-secret`, json({ id: '77' }), '77', '/a-secret?wait=true'],
    ['teams', guard, (base) => `${base}/a-secret?sig=x`, { status: 202 }, '', '/a-secret?sig=x'],
    [
      'telegram',
      { ...endpoint, NOTIFY_CHAT_TOKEN: token },
      () => '-4711',
      json({ ok: true, result: { message_id: 9 } }),
      '9',
      `/bot${token}/sendMessage`,
    ],
    ['ntfy', endpoint, () => 'topic-a', json({ id: 'n1' }), 'n1', '/'],
    ['gotify', endpoint, () => 'a-secret', json({ id: 3 }), '3', '/message'],
    ['apprise', endpoint, () => 'a-secret', json({}), '', '/notify/a-secret'],
  ];
  for (const [name, env, destination, reply, id, path] of cases)
    it(`by ${name} to ${destination('<url>')}`, async (t) => {
      const { chat, delivery, server, log } = await notify(
        t,
        { NOTIFY_CHAT_PROVIDER: name, ...env },
        destination,
        reply,
      );
      assert.deepEqual([chat.status, chat.reason], [delivered, '']);
      assert.deepEqual([delivery?.provider, delivery?.providerMessageId ?? ''], [name, id]);
      assert.equal(server.only.path, path);
      assert.ok(server.only.body.includes('a private title'));
      for (const secret of ['a-secret', token, 'a private title', server.url])
        assert.ok(!log.text().includes(secret), secret);
    });

  it('of several goes to the one whose form an address has', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => json({ ok: true });
    const service = await build(t, {
      ...guard,
      NOTIFY_CHAT_PROVIDER: 'telegram,slack',
      NOTIFY_CHAT_TELEGRAM_TOKEN: token,
      NOTIFY_CHAT_TELEGRAM_ENDPOINT: server.url,
      NOTIFY_CHAT_SLACK_TOKEN: 'xoxb-1',
      NOTIFY_CHAT_SLACK_ENDPOINT: server.url,
    });
    for (const [i, chat] of ['-4711', '@shop', 'C123', `${server.url}/hook`].entries())
      await call(service.url.internal, procedures.notify, {
        ...{ tenantId: 'demo', notificationId: `n${i}`, userIds: ['ada'], title: 'title' },
        addresses: { ada: { byChannel: { chat } } },
      });
    const bot = `/bot${token}/sendMessage`;
    const paths = server.received.map(({ path }) => path);
    assert.deepEqual(paths, [bot, bot, '/chat.postMessage', '/hook']);
    // and to no other where that one is away
    const providers = service.core.providers.get('chat') ?? [];
    const takers = (chat: string) => thoseFor(providers, chat).map(({ name }) => name);
    assert.deepEqual(
      [takers('-4711'), takers('C123'), takers('https://x')],
      [['telegram'], ['slack'], ['slack']],
    );
  });

  it('goes to no private address that nobody made an exception for', async (t) => {
    const url = (base: string) => `${base.replace('http:', 'https:')}/services/a-secret`;
    const { chat, server, attempts, log } = await notify(t, { NOTIFY_CHAT_PROVIDER: 'slack' }, url, {
      status: 200,
    });
    assert.deepEqual([chat.status, chat.reason], ['DELIVERY_STATUS_FAILED', 'destination_refused']);
    assert.equal(server.received.length, 0);
    for (const text of [attempts, log.text()]) assert.ok(!text.includes('a-secret'));
  });

  it('slack without a token takes webhooks alone', async (t) => {
    const { chat, attempts } = await notify(t, { NOTIFY_CHAT_PROVIDER: 'slack' }, () => 'C123', {
      status: 200,
    });
    assert.deepEqual([chat.status, chat.reason], ['DELIVERY_STATUS_FAILED', 'invalid_destination']);
    assert.match(attempts, /is no absolute URL/);
  });

  it('tells of an answer what it was judged by, and no secret', async (t) => {
    const { chat, attempts, log } = await notify(
      t,
      { NOTIFY_CHAT_PROVIDER: 'telegram', NOTIFY_CHAT_TOKEN: token, ...endpoint },
      () => '4711',
      { status: 400, body: '{"ok":false,"description":"Bad Request: chat not found 4711"}' },
    );
    assert.deepEqual([chat.status, chat.reason], ['DELIVERY_STATUS_FAILED', 'destination_gone']);
    assert.match(attempts, /telegram answered 400: chat not found"/);
    for (const text of [attempts, log.text()]) assert.ok(!text.includes(token));
  });
});
