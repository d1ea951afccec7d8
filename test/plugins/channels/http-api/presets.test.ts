/** Each preset of the chat channel against a server that speaks its provider's documented answers. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { WrittenDefinition } from '../../../../plugins/channels/http-api/definition.ts';
import { apprise } from '../../../../plugins/channels/http-api/presets/apprise.ts';
import { discord } from '../../../../plugins/channels/http-api/presets/discord.ts';
import { gotify } from '../../../../plugins/channels/http-api/presets/gotify.ts';
import { ntfy } from '../../../../plugins/channels/http-api/presets/ntfy.ts';
import { slackApi, slackWebhook } from '../../../../plugins/channels/http-api/presets/slack.ts';
import { teams } from '../../../../plugins/channels/http-api/presets/teams.ts';
import { telegram } from '../../../../plugins/channels/http-api/presets/telegram.ts';
import { codes, DeliveryError } from '../../../../src/core/channel.ts';
import type { Content } from '../../../../src/core/glossary.ts';
import { type ChannelCase, channelConformance, type Refusal } from '../../../conformance/channel.ts';
import { chatParts, presetProvider, sendBy } from '../../../support/chat.ts';
import { type Received, type Reply, ScriptedServer } from '../../../support/scripted-server.ts';

const token = '47110815:AAtoken-of-the-bot';
const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});
const text = (status: number, body: string): Reply => ({ status, body });

/** A refusal, named by its status and what it says. */
const refusal = (reply: Reply, code: string): Refusal => ({
  when: `${reply.status} ${reply.body ?? ''}`,
  reply,
  code,
});
const http = (...statuses: readonly number[]) =>
  statuses.map((status) => refusal({ status, body: '<html>' }, `http_${status}`));

const bodyOf = (request: Received) => JSON.parse(request.body) as Record<string, unknown>;

/** What every preset has in common here. */
function preset(name: string, definition: WrittenDefinition): Pick<ChannelCase, 'open'> {
  return {
    open: (t, base, clock) =>
      presetProvider(name, definition, chatParts(t, clock), { endpoint: `${base}/base`, token }),
  };
}

/** Of those whose destination is a URL. */
const path = '/services/T000/B000/a-secret-of-the-webhook';
const byUrl = {
  destination: (base: string) => `${base}${path}`,
  wrongDestinations: [
    'nowhere',
    'ftp://example.com/',
    'javascript:alert(1)',
    'https://u:p@example.com/',
    '//x/',
  ],
  connections: 8,
  secrets: ['a-secret-of-the-webhook', token],
  timeoutMs: 10_000,
};
const byName = { connections: 10, secrets: [token] };

/** What a server behind a URL that somebody else chose may say beside its own words. */
const strangers = {
  permanent: [
    ...http(400, 401, 403, 405, 413),
    ...[301, 302, 307, 308].map((status) => ({
      when: `the redirect ${status}`,
      reply: { status, headers: { location: '/elsewhere' } },
      code: `http_${status}`,
    })),
  ],
  transient: http(408, 425, 429, 500, 502, 503, 504),
};
/** What a fixed one may say: an operator can mend it. */
const ours = {
  permanent: http(400, 413, 422),
  transient: [
    ...http(408, 425, 429, 500, 502, 503, 504),
    ...[302, 405].map((status) => refusal({ status }, codes.misconfigured)),
  ],
};

channelConformance('slack by an incoming webhook', {
  ...preset('slack', slackWebhook),
  ...byUrl,
  accepted: () => ({ reply: text(200, 'ok'), id: '' }),
  understand(request) {
    assert.deepEqual([request.method, request.path], ['POST', path]);
    assert.equal(request.headers['content-type'], 'application/json');
    assert.deepEqual(Object.keys(bodyOf(request)), ['text']);
    return { destination: path, text: fromMrkdwn(String(bodyOf(request).text)) };
  },
  throttled: (headers) => ({ status: 429, headers, body: 'rate_limited' }),
  permanent: [...strangers.permanent, ...http(404), refusal(text(400, 'invalid_payload'), 'http_400')],
  transient: [...strangers.transient, refusal(text(500, 'rollup_error'), 'http_500')],
  credentials: ['action_prohibited', 'invalid_token'].map((word) =>
    refusal(text(403, word), codes.credentialsRejected),
  ),
  dead: [
    ...['channel_not_found', 'no_service', 'no_active_hooks', 'no_team'].map((word) =>
      refusal(text(404, word), codes.destinationGone),
    ),
    refusal(text(410, 'channel_is_archived'), codes.destinationGone),
    refusal(text(410, ''), codes.destinationGone),
  ],
  longest: { title: '', body: `${'é'.repeat(39_000)}&<>` },
});

const slackSays = (error: string) => json(200, { ok: false, error });
channelConformance('slack by chat.postMessage', {
  ...preset('slack', slackApi),
  ...byName,
  destination: () => 'C0123456789',
  wrongDestinations: ['general', 'c0123', '#', '#a#b', 'C0123,C0124', '../C0123'],
  accepted: () => ({
    reply: json(200, { ok: true, channel: 'C0123456789', ts: '1767225600.000200' }),
    id: '1767225600.000200',
  }),
  understand(request) {
    assert.deepEqual([request.method, request.path], ['POST', '/base/chat.postMessage']);
    assert.equal(request.headers.authorization, `Bearer ${token}`);
    assert.equal(request.headers['content-type'], 'application/json; charset=utf-8');
    const { channel, text: said, ...others } = bodyOf(request);
    assert.deepEqual(others, {});
    return { destination: String(channel), text: fromMrkdwn(String(said)) };
  },
  throttled: (headers) => json(429, { ok: false, error: 'ratelimited' }, headers),
  permanent: [
    ...ours.permanent,
    ...['msg_too_long', 'invalid_blocks', 'no_text', 'a_word_of_tomorrow'].map((word) =>
      refusal(slackSays(word), codes.messageRefused),
    ),
  ],
  transient: [
    ...ours.transient,
    ...['internal_error', 'service_unavailable', 'ratelimited'].map((word) =>
      refusal(slackSays(word), 'provider_busy'),
    ),
    refusal(text(200, '<html>a login page</html>'), codes.misconfigured),
    refusal({ status: 404 }, codes.misconfigured),
  ],
  credentials: [
    ...['invalid_auth', 'not_authed', 'token_revoked', 'account_inactive', 'missing_scope'].map((word) =>
      refusal(slackSays(word), codes.credentialsRejected),
    ),
    refusal({ status: 401 }, codes.credentialsRejected),
  ],
  dead: ['channel_not_found', 'is_archived', 'not_in_channel'].map((word) =>
    refusal(slackSays(word), codes.destinationGone),
  ),
  longest: { title: '', body: `${'é'.repeat(39_000)}&<>` },
});

const discordSays = (status: number, code: number, more: object = {}) =>
  json(status, { code, message: 'words that quote the message', ...more });
channelConformance('discord', {
  ...preset('discord', discord),
  ...byUrl,
  accepted: () => ({
    reply: json(200, { id: '1290000000000000001', channel_id: '7' }),
    id: '1290000000000000001',
  }),
  understand(request) {
    assert.deepEqual([request.method, request.path], ['POST', `${path}?wait=true`]);
    const { content, embeds, allowed_mentions, ...others } = bodyOf(request);
    assert.deepEqual([others, allowed_mentions], [{}, { parse: [] }]);
    const [embed] = (embeds ?? []) as { title: string; description: string }[];
    return { destination: path, text: embed ? `${embed.title}\n${embed.description}` : String(content) };
  },
  throttled: (headers) => json(429, { message: 'You are being rate limited.', global: false }, headers),
  permanent: [
    ...strangers.permanent,
    ...[50006, 50035, 220001].map((code) => refusal(discordSays(400, code), 'http_400')),
  ],
  transient: strangers.transient,
  dead: [
    refusal(discordSays(404, 10015), codes.destinationGone),
    refusal(discordSays(404, 10003), codes.destinationGone),
    refusal(discordSays(401, 50027), codes.destinationGone),
    refusal({ status: 404 }, codes.destinationGone),
    refusal({ status: 410 }, codes.destinationGone),
  ],
  longest: { title: 'x'.repeat(256), body: '€'.repeat(4_096) },
});

const teamsSays = (status: number, code: string) => json(status, { error: { code, message: 'words' } });
channelConformance('teams', {
  ...preset('teams', teams),
  ...byUrl,
  accepted: () => ({ reply: { status: 202 }, id: '' }),
  understand(request) {
    assert.deepEqual([request.method, request.path], ['POST', path]);
    const { type, attachments } = bodyOf(request) as {
      type: string;
      attachments: {
        contentType: string;
        content: { type: string; version: string; body: { type: string; text: string }[] };
      }[];
    };
    const [{ contentType, content } = assert.fail('no card'), second] = attachments;
    assert.deepEqual(
      [type, second, content.type, content.version],
      ['message', undefined, 'AdaptiveCard', '1.4'],
    );
    assert.equal(contentType, 'application/vnd.microsoft.card.adaptive');
    return { destination: path, text: content.body.map((block) => block.text).join('\n') };
  },
  throttled: (headers) => ({ status: 429, headers }),
  permanent: [...strangers.permanent, ...http(404), refusal(teamsSays(400, 'InvalidRequest'), 'http_400')],
  transient: strangers.transient,
  credentials: [refusal(teamsSays(401, 'DirectApiAuthorizationRequired'), codes.credentialsRejected)],
  dead: [
    refusal(teamsSays(400, 'WorkflowTriggerIsNotEnabled'), codes.destinationGone),
    refusal(teamsSays(404, 'WorkflowNotFound'), codes.destinationGone),
    refusal({ status: 410 }, codes.destinationGone),
  ],
  longest: { title: 'x'.repeat(1_000), body: '€'.repeat(6_100) },
});

const telegramSays = (status: number, description: string, parameters?: object) =>
  json(status, { ok: false, error_code: status, description, ...(parameters && { parameters }) });
channelConformance('telegram', {
  ...preset('telegram', telegram),
  ...byName,
  destination: () => '-1001234567890',
  wrongDestinations: ['alice', '0', '-', '+15550100', '@', '@1abc', '12 34', '1/../2', '1?chat_id=2'],
  accepted: () => ({ reply: json(200, { ok: true, result: { message_id: 4711 } }), id: '4711' }),
  understand(request) {
    assert.deepEqual([request.method, request.path], ['POST', `/base/bot${token}/sendMessage`]);
    const { chat_id, text: said, ...others } = bodyOf(request);
    assert.deepEqual(others, {});
    return { destination: String(chat_id), text: String(said) };
  },
  throttled: (headers) => ({ ...telegramSays(429, 'Too Many Requests'), headers }),
  permanent: [
    ...ours.permanent,
    refusal(telegramSays(400, 'Bad Request: message text is empty'), 'http_400'),
  ],
  transient: ours.transient,
  credentials: [
    refusal(telegramSays(401, 'Unauthorized'), codes.credentialsRejected),
    refusal(telegramSays(404, 'Not Found'), codes.credentialsRejected),
  ],
  dead: [
    refusal(telegramSays(403, 'Forbidden: bot was blocked by the user'), codes.destinationGone),
    refusal(telegramSays(403, 'Forbidden: bot was kicked from the supergroup chat'), codes.destinationGone),
    refusal(telegramSays(403, 'Forbidden: user is deactivated'), codes.destinationGone),
    refusal(telegramSays(400, 'Bad Request: chat not found'), codes.destinationGone),
  ],
  longest: { title: '', body: '€'.repeat(4_096) },
});

const ntfySays = (status: number, code: number) => json(status, { code, http: status, error: 'words' });
channelConformance('ntfy', {
  ...preset('ntfy', ntfy),
  ...byName,
  destination: () => 'orders_of-Ada',
  wrongDestinations: ['a/b', 'a,b', 'ä', 'x'.repeat(65), '?x'],
  accepted: () => ({ reply: json(200, { id: 'hwQ2YpKdmg', event: 'message' }), id: 'hwQ2YpKdmg' }),
  understand(request) {
    assert.deepEqual([request.method, request.path], ['POST', '/base/']);
    assert.equal(request.headers.authorization, `Bearer ${token}`);
    const { topic, title, message } = bodyOf(request);
    return { destination: String(topic), text: [title, message].filter(Boolean).join('\n') };
  },
  throttled: (headers) => ({ ...ntfySays(429, 42901), headers }),
  permanent: [
    ...ours.permanent,
    refusal(ntfySays(400, 40009), 'http_400'),
    refusal(ntfySays(413, 41301), 'http_413'),
  ],
  transient: [
    ...ours.transient,
    refusal(ntfySays(403, 40301), codes.misconfigured),
    refusal(ntfySays(404, 40401), codes.misconfigured),
  ],
  credentials: [refusal(ntfySays(401, 40101), codes.credentialsRejected)],
  longest: { title: 'x'.repeat(1_000), body: '€'.repeat(1_365) },
});

channelConformance('gotify', {
  ...preset('gotify', gotify),
  ...byName,
  destination: () => 'AbCdE.f-g_h1234',
  wrongDestinations: ['a/b', 'a,b', 'ä', 'x'.repeat(181)],
  secrets: ['AbCdE.f-g_h1234'],
  accepted: () => ({ reply: json(200, { id: 25, appid: 5, message: 'm', date: 'd' }), id: '25' }),
  understand(request) {
    assert.deepEqual([request.method, request.path], ['POST', '/base/message']);
    const { title, message } = bodyOf(request);
    return {
      destination: String(request.headers['x-gotify-key']),
      text: [title, message].filter(Boolean).join('\n'),
    };
  },
  throttled: (headers) => ({ status: 429, headers }),
  permanent: [
    ...ours.permanent,
    refusal(json(400, { error: 'Bad Request', errorCode: 400, errorDescription: 'words' }), 'http_400'),
  ],
  transient: [...ours.transient, refusal({ status: 404 }, codes.misconfigured)],
  dead: [401, 403].map((status) =>
    refusal(json(status, { error: 'Unauthorized', errorCode: status }), codes.destinationGone),
  ),
  longest: { title: 'x'.repeat(1_000), body: '€'.repeat(300_000) },
});

channelConformance('apprise', {
  ...preset('apprise', apprise),
  ...byName,
  destination: () => 'family-of_ada',
  wrongDestinations: ['a/b', '..', '.', 'a b', 'ä', 'x'.repeat(129), '?x=1', '%2e%2e'],
  accepted: () => ({ reply: json(200, { error: null }), id: '' }),
  understand(request) {
    const [, key = ''] = /^\/base\/notify\/([^/]+)$/.exec(request.path) ?? assert.fail(request.path);
    assert.deepEqual([request.method, request.headers.accept], ['POST', 'application/json']);
    const { title, body } = bodyOf(request);
    return { destination: key, text: [title, body].filter(Boolean).join('\n') };
  },
  throttled: (headers) => ({ status: 429, headers }),
  permanent: [
    ...ours.permanent,
    ...http(406, 431),
    refusal(json(424, { error: 'words' }), codes.messageRefused),
  ],
  transient: [...ours.transient, refusal({ status: 404 }, codes.misconfigured)],
  credentials: [refusal({ status: 401 }, codes.credentialsRejected)],
  dead: [refusal({ status: 204 }, codes.destinationGone)],
  longest: { title: 'x'.repeat(1_000), body: '€'.repeat(300_000) },
});

/** As Slack's clients show a text. */
function fromMrkdwn(said: string): string {
  assert.doesNotMatch(said, /[<>]|&(?!(amp|lt|gt);)/);
  return said.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

/** A preset that sends to a server; what that server got. */
async function ground(
  t: Pick<TestContext, 'after'>,
  definition: WrittenDefinition,
  settings: { token?: string } = { token },
) {
  const server = await ScriptedServer.listen(t);
  server.answer = () => json(200, { ok: true });
  const provider = presetProvider('preset', definition, chatParts(t), { endpoint: server.url, ...settings });
  t.after(() => provider.close?.());
  const isUrl = definition.url === '{{ destination }}';
  const send = (content: Partial<Content>, destination = isUrl ? `${server.url}${path}?x=1` : '123') =>
    sendBy(provider, destination, content);
  const last = () => bodyOf(server.received.at(-1) ?? assert.fail('nothing was sent'));
  return { server, send, last };
}

const actionUrl = 'https://shop.example/orders/42?a=1&b=2';

describe('what a chat message looks like', () => {
  it('slack: title, body and link, with nothing but & < > escaped', async (t) => {
    const { send, last } = await ground(t, slackApi);
    await send({ title: 'A & B', body: '<!channel> *bold* "x"', actionUrl }, 'C123');
    assert.deepEqual(last(), {
      channel: 'C123',
      text: 'A &amp; B\n&lt;!channel&gt; *bold* "x"\nhttps://shop.example/orders/42?a=1&amp;b=2',
    });
  });

  it('discord: a plain message while it fits, else an embed; nobody is mentioned', async (t) => {
    const { server, send, last } = await ground(t, discord);
    await send({ title: 'T', body: '@everyone', actionUrl });
    assert.deepEqual(last(), { content: `T\n@everyone\n${actionUrl}`, allowed_mentions: { parse: [] } });
    assert.equal(server.received.at(-1)?.path, `${path}?x=1&wait=true`);
    await send({ title: 'T', body: 'b'.repeat(5_000), actionUrl });
    assert.deepEqual(last(), {
      embeds: [{ title: 'T', description: `${'b'.repeat(4_095)}…`, url: actionUrl }],
      allowed_mentions: { parse: [] },
    });
  });

  it('teams: a card with a button', async (t) => {
    const { send, last } = await ground(t, teams);
    await send({ title: 'T', body: 'b', actionUrl });
    const [{ content }] = last().attachments as [{ content: { body: object[]; actions: object[] } }];
    assert.deepEqual(content.body, [
      { type: 'TextBlock', size: 'Medium', weight: 'Bolder', wrap: true, text: 'T' },
      { type: 'TextBlock', wrap: true, text: 'b' },
    ]);
    assert.deepEqual(content.actions, [{ type: 'Action.OpenUrl', title: 'Open', url: actionUrl }]);
  });

  it('ntfy: priority by urgency, click, and no token where none is set', async (t) => {
    const { server, send, last } = await ground(t, ntfy, {});
    const priorities = [];
    for (const urgency of ['low', undefined, 'normal', 'high', 'critical'] as const) {
      await send({ urgency, actionUrl });
      priorities.push(last().priority);
    }
    assert.deepEqual(priorities, [2, 3, 3, 4, 5]);
    assert.deepEqual(last(), {
      topic: '123',
      message: 'body',
      title: 'title',
      click: actionUrl,
      priority: 5,
    });
    assert.equal(server.received[0]?.headers.authorization, undefined);
    await send({ body: '' });
    assert.deepEqual(last(), { topic: '123', message: 'title', priority: 3 });
  });

  it('gotify: priority and click', async (t) => {
    const { send, last } = await ground(t, gotify);
    await send({ urgency: 'high', actionUrl });
    const extras = { 'client::notification': { click: { url: actionUrl } } };
    assert.deepEqual(last(), { message: 'body', title: 'title', priority: 8, extras });
  });

  it('apprise: type by urgency, the link under the body', async (t) => {
    const { send, last } = await ground(t, apprise);
    await send({ urgency: 'critical', actionUrl });
    assert.deepEqual(last(), { body: `body\n${actionUrl}`, title: 'title', type: 'failure', format: 'text' });
  });

  it('leaves a link out that leads nowhere from a chat', async (t) => {
    const { send, last } = await ground(t, telegram);
    for (const wrong of ['/orders/42', 'myapp:orders/42', '#x']) await send({ actionUrl: wrong });
    assert.equal(last().text, 'title\nbody');
  });
});

describe('what is too long for a chat', () => {
  const emoji = '👩‍🚀'.repeat(20_000);
  const isWhole = (said: unknown) => typeof said === 'string' && said.isWellFormed() && said.endsWith('…');

  it('is cut between characters, with an ellipsis, at the limit of the provider', async (t) => {
    const cases: [WrittenDefinition, number, (body: Record<string, unknown>) => unknown, string?][] = [
      [telegram, 4_096, (body) => body.text],
      [slackApi, 40_000, (body) => body.text, 'C123'],
      [ntfy, 4_096, (body) => body.message],
    ];
    for (const [definition, limit, textOf, destination] of cases) {
      const { send, last } = await ground(t, definition);
      for (const body of [emoji, 'x'.repeat(100_000), '&"\n\u0001'.repeat(50_000), '€'.repeat(limit)]) {
        await send({ title: '', body }, destination);
        const said = textOf(last());
        assert.ok(isWhole(said) || said === body, JSON.stringify(said).slice(-40));
        const size = definition === ntfy ? Buffer.byteLength(String(said)) : String(said).length;
        assert.ok(size <= limit, `${size}`);
        if (definition !== ntfy) assert.ok(size >= limit - 8, `${size}`);
      }
    }
  });

  it('teams: the whole request stays below 28 KB', async (t) => {
    const { server, send } = await ground(t, teams);
    for (const body of [emoji, '"\n'.repeat(50_000), '\u0001'.repeat(50_000), '€'.repeat(50_000)])
      await send({ title: body, body, actionUrl: `https://x.example/${'é'.repeat(1_900)}` });
    for (const { bytes } of server.received) {
      assert.ok(bytes.length < 28 * 1024, `${bytes.length}`);
      JSON.parse(bytes.toString());
    }
  });

  it('ntfy: the whole request stays below twice 4,096 bytes', async (t) => {
    const { server, send } = await ground(t, ntfy);
    for (const body of [emoji, '"\n'.repeat(50_000), '\u0001'.repeat(50_000)])
      await send({ title: body, body, actionUrl: `https://x.example/${'x'.repeat(1_900)}` });
    for (const { bytes } of server.received) assert.ok(bytes.length <= 8_192, `${bytes.length}`);
  });
});

describe('what a provider says of time and place', () => {
  const failure = async (sending: Promise<unknown>): Promise<DeliveryError> => {
    const error: unknown = await sending.catch((thrown: unknown) => thrown);
    assert.ok(error instanceof DeliveryError, String(error));
    return error;
  };

  it('discord: a part of a second; telegram: seconds', async (t) => {
    const chat = await ground(t, discord);
    chat.server.answer = () => json(429, { retry_after: 0.6451, global: false }, { 'retry-after': '1' });
    assert.equal((await failure(chat.send({}))).retryAfterMs, 646);
    const bot = await ground(t, telegram);
    bot.server.answer = () => telegramSays(429, 'Too Many Requests: retry after 35', { retry_after: 35 });
    assert.equal((await failure(bot.send({}))).retryAfterMs, 35_000);
  });

  it('telegram: a group that became a supergroup gets the message there, once', async (t) => {
    const { server, send, last } = await ground(t, telegram);
    const moved = telegramSays(400, 'Bad Request: group chat was upgraded to a supergroup chat', {
      migrate_to_chat_id: -100987,
    });
    server.answer = ({ body }) =>
      body.includes('"-100987"') ? json(200, { ok: true, result: { message_id: 5 } }) : moved;
    assert.equal((await send({}, '-987')).providerMessageId, '5');
    assert.deepEqual([server.received.length, last().chat_id], [2, '-100987']);
    server.answer = () => moved;
    assert.equal((await failure(send({}, '-987'))).code, codes.destinationGone);
    assert.equal(server.received.length, 4);
  });

  it('an error tells the word that it was judged by, and nothing else of an answer', async (t) => {
    const { server, send } = await ground(t, slackApi);
    server.answer = () => json(200, { ok: false, error: 'is_archived', detail: 'private words' });
    assert.equal((await failure(send({}, 'C1'))).message, 'preset answered 200: is_archived');
  });
});

describe('any text', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 200 }),
    fc
      .array(
        fc.constantFrom(
          '"',
          '\\',
          '\n',
          '\r\n',
          '\t',
          '\u2028',
          '{{ title }}',
          '{% if x %}',
          '{{',
          '%}',
          '\u0001',
          '</',
          "'",
          '👩‍🚀',
          '\u202b',
          'مرحبا',
          '&amp;',
          '<b>',
          ',',
          ':',
        ),
      )
      .map((parts) => parts.join('')),
  );

  it('arrives as it was, in JSON that can be read', async (t) => {
    const grounds = [
      [
        await ground(t, slackApi),
        'C123',
        ({ text: said }: Record<string, unknown>) => fromMrkdwn(String(said)),
      ],
      [await ground(t, telegram), undefined, ({ text: said }: Record<string, unknown>) => said],
      [await ground(t, discord), undefined, ({ content }: Record<string, unknown>) => content],
    ] as const;
    await fc.assert(
      fc.asyncProperty(anyText, anyText, fc.jsonValue(), async (title, body, data) => {
        const expected = [title, body].filter((part) => part !== '').join('\n');
        for (const [{ send, last }, destination, textOf] of grounds) {
          await send({ title, body, data: JSON.stringify({ data }), type: body }, destination);
          assert.equal(textOf(last()), expected);
        }
      }),
      { numRuns: 150 },
    );
  });
});
