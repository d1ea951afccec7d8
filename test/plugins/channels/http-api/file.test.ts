/** Providers that an operator's file describes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { WrittenDefinition } from '../../../../plugins/channels/http-api/definition.ts';
import {
  type FileRules,
  HttpProvidersError,
  httpProvidersOf,
} from '../../../../plugins/channels/http-api/file.ts';
import { HttpApiProvider } from '../../../../plugins/channels/http-api/provider.ts';
import { codes, type DeliveryError } from '../../../../src/core/channel.ts';
import { channelConformance, type Refusal } from '../../../conformance/channel.ts';
import type { FakeClock } from '../../../support/ambient.ts';
import { build, call, procedures } from '../../../support/build.ts';
import { chatParts, sendBy } from '../../../support/chat.ts';
import { emailCase, sender } from '../../../support/email-conformance.ts';
import { logFile } from '../../../support/log.ts';
import { type Reply, ScriptedServer } from '../../../support/scripted-server.ts';

const secret = 'a-token-of-47110815';
const env = { NOTIFY_HTTP_ACME_TOKEN: secret, NOTIFY_HTTP_ACME_URL: '' };
const nobody = { env, isTaken: () => false };

/** A provider of a file that has only this one. */
function open(
  t: Pick<TestContext, 'after'>,
  definition: WrittenDefinition,
  { base = '', clock }: { base?: string; clock?: FakeClock } = {},
): HttpApiProvider {
  const text = JSON.stringify({ providers: { acme: definition } });
  const found = httpProvidersOf(text, { ...nobody, env: { ...env, NOTIFY_HTTP_ACME_URL: base } });
  const compiled = found.get('acme') ?? assert.fail();
  const { egress, ambient } = chatParts(t, clock);
  const [channel = 'chat'] = definition.channels;
  const from = channel === 'email' ? sender : undefined;
  const provider = new HttpApiProvider(channel, 'acme', compiled, { egress, clock: ambient.clock, from });
  t.after(() => provider.close());
  return provider;
}

/** What is wrong with a file, by path. */
function violations(file: unknown, rules: FileRules = nobody): Record<string, string> {
  try {
    httpProvidersOf(typeof file === 'string' ? file : JSON.stringify(file), rules);
  } catch (error) {
    assert.ok(error instanceof HttpProvidersError, String(error));
    for (const { path, message } of error.violations)
      assert.ok(error.message.includes(path === '' ? message : `${path}: ${message}`));
    return Object.fromEntries(error.violations.map(({ path, message }) => [path, message]));
  }
  return {};
}

/** What is wrong with a definition that would be right otherwise, without the beginning of the paths. */
function wrong(over: Record<string, unknown>): Record<string, string> {
  const definition = { channels: ['chat'], url: 'https://acme.example/send', ...over };
  return Object.fromEntries(
    Object.entries(violations({ providers: { acme: definition } })).map(([path, message]) => [
      path.replace('providers.acme.', ''),
      message,
    ]),
  );
}

const sms: WrittenDefinition = {
  channels: ['sms'],
  url: '{{ env.NOTIFY_HTTP_ACME_URL }}/v2/messages',
  headers: {
    authorization: 'Bearer {{ env.NOTIFY_HTTP_ACME_TOKEN }}',
    'idempotency-key': '{{ delivery_id }}',
  },
  body: {
    json: {
      to: '{{ destination }}',
      text: '{{ title }}\n{{ body }}',
      tags: ['notify', '{{ tenant_id }}'],
      flash: false,
    },
  },
  success: { where: { status: ['queued', 'sent'] } },
  id: { path: 'messages.0.id' },
  errors: [
    { where: { 'error.code': [1004, 1007] }, is: 'dead', because: 'no such number' },
    { where: { 'error.code': 1101 }, is: 'permanent' },
    { where: { 'error.message': { contains: 'credit' } }, is: 'credentials' },
    { status: ['420-429', 503], is: 'transient' },
    { text: 'maintenance', is: 'transient' },
  ],
};
const json = (status: number, body: unknown): Reply => ({ status, body: JSON.stringify(body) });
const refusal = (reply: Reply, code: string): Refusal => ({
  when: `${reply.status} ${reply.body}`,
  reply,
  code,
});
const acmeSays = (status: number, code: number, message = 'words') =>
  json(status, { error: { code, message } });

channelConformance('of a file for sms', {
  open: (t, base, clock) => open(t, sms, { base, clock }),
  destination: () => '+15550100123',
  wrongDestinations: ['15550100123', '+1555', 'alice', '+15550100123,+15550100124'],
  accepted: () => ({ reply: json(200, { status: 'queued', messages: [{ id: 'm-1' }] }), id: 'm-1' }),
  understand({ method, path, headers, body }) {
    assert.deepEqual([method, path, headers.authorization], ['POST', '/v2/messages', `Bearer ${secret}`]);
    assert.match(String(headers['idempotency-key']), /^01a20154-/);
    const { to, text, ...others } = JSON.parse(body) as Record<string, unknown>;
    assert.deepEqual(others, { tags: ['notify', 'demo'], flash: false });
    return { destination: String(to), text: String(text) };
  },
  throttled: (headers) => ({ status: 429, headers }),
  permanent: [
    refusal(acmeSays(400, 1101), codes.messageRefused),
    refusal(json(200, { status: 'rejected' }), codes.messageRefused),
    refusal({ status: 400 }, 'http_400'),
  ],
  transient: [
    refusal(acmeSays(422, 1), 'http_422'),
    refusal({ status: 503 }, 'http_503'),
    refusal({ status: 200, body: ' maintenance\n' }, 'provider_busy'),
    refusal({ status: 200, body: '<html>' }, codes.misconfigured),
    refusal({ status: 404 }, codes.misconfigured),
  ],
  credentials: [
    refusal(acmeSays(402, 9, 'no credit is left'), codes.credentialsRejected),
    refusal({ status: 401 }, codes.credentialsRejected),
  ],
  dead: [
    refusal(acmeSays(400, 1004), codes.destinationGone),
    refusal(acmeSays(200, 1007), codes.destinationGone),
  ],
  longest: { title: 'x'.repeat(1_000), body: '€'.repeat(300_000) },
  connections: 10,
  secrets: [secret, '15550100123'],
});

const email: WrittenDefinition = {
  channels: ['email'],
  url: '{{ env.NOTIFY_HTTP_ACME_URL }}/{{ tenant_id }}/mail',
  headers: { 'x-api-key': '{{ env.NOTIFY_HTTP_ACME_TOKEN }}' },
  body: {
    form: {
      from: '{{ from }}',
      to: '{{ destination }}',
      subject: '{{ title }}',
      text: '{{ body }}',
      html: '{{ html }}',
      'h:Message-Id': '{{ message_id }}',
    },
  },
  id: { header: 'X-Message-Id' },
};

channelConformance('of a file for email', {
  open: (t, base, clock) => open(t, email, { base, clock }),
  ...emailCase,
  accepted: () => ({ reply: { status: 202, headers: { 'x-message-id': 'mail-1' } }, id: 'mail-1' }),
  idInHead: true,
  understand({ path, headers, body }) {
    assert.deepEqual([path, headers['content-type']], ['/demo/mail', 'application/x-www-form-urlencoded']);
    const form = new URLSearchParams(body);
    assert.equal(form.get('from'), '"Größe, \\"Notify\\"" <notify@example.com>');
    assert.match(form.get('h:Message-Id') ?? '', /^<01a20154-.*@example\.com>$/);
    return { destination: form.get('to') ?? '', text: `${form.get('subject')}\n${form.get('text')}` };
  },
  throttled: (headers) => ({ status: 429, headers }),
  permanent: [refusal({ status: 422 }, 'http_422')],
  transient: [refusal({ status: 500 }, 'http_500')],
  secrets: [secret, 'alice@example.org'],
});

describe('what a file may say of a request', () => {
  /** What a server gets from a definition. */
  async function sent(
    t: TestContext,
    definition: Omit<WrittenDefinition, 'channels'>,
    content: Parameters<typeof sendBy>[2] = {},
    destination = 'room 7'.replace(' ', '-'),
  ) {
    const server = await ScriptedServer.listen(t);
    await sendBy(open(t, { channels: ['chat'], ...definition }, { base: server.url }), destination, content);
    return server.only;
  }
  const url = '{{ env.NOTIFY_HTTP_ACME_URL }}/send';
  const nasty = 'a&b=c "d" <e> \' \\ +%20\n{{ title }}{% if x %} 👩‍🚀 \u202bمرحبا';

  it('GET with a query', async (t) => {
    const { method, path, body } = await sent(
      t,
      { method: 'GET', url, query: { to: '{{ destination }}', text: '{{ body }}' } },
      { body: nasty },
    );
    assert.deepEqual([method, body], ['GET', '']);
    const { pathname, searchParams } = new URL(path, 'http://x');
    assert.deepEqual([pathname, Object.fromEntries(searchParams)], ['/send', { to: 'room-7', text: nasty }]);
  });

  it('a GET is not repeated either', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => 'reset';
    const provider = open(t, { channels: ['chat'], method: 'GET', url }, { base: server.url });
    for (let i = 1; i < 4; i++) {
      await assert.rejects(
        sendBy(provider, 'room'),
        (error: DeliveryError) => error.code === codes.connectionFailed,
      );
      assert.equal(server.received.length, i);
    }
  });

  it('values in the path, which cannot leave their place', async (t) => {
    const to = (title: string) =>
      sent(
        t,
        { method: 'PUT', url: '{{ env.NOTIFY_HTTP_ACME_URL }}/a/{{ title }}/b?c={{ title }}' },
        { title },
      );
    assert.equal(
      (await to('x/../?#&=%2e"é')).path,
      '/a/x%2F..%2F%3F%23%26%3D%252e%22%C3%A9/b?c=x%2F..%2F%3F%23%26%3D%252e%22%C3%A9',
    );
    assert.equal((await to('1:2@3')).path, '/a/1:2@3/b?c=1:2@3');
    for (const dots of ['.', '..'])
      await assert.rejects(to(dots), (error: DeliveryError) => error.code === codes.invalidDestination);
  });

  it('a form, whose values stay values', async (t) => {
    const { headers, body } = await sent(
      t,
      { url, body: { form: { a: '{{ body }}', b: '{{ data.x }}' } } },
      { body: nasty, data: '{"x":[1,"é&"]}' },
    );
    assert.equal(headers['content-type'], 'application/x-www-form-urlencoded');
    assert.deepEqual(Object.fromEntries(new URLSearchParams(body)), { a: nasty, b: '[1,"é&"]' });
  });

  it('XML, whose values stay values', async (t) => {
    const template = ['<m to="{{ destination }}">', '{{ body }}</m>'];
    const { headers, body } = await sent(
      t,
      { url, body: { template, format: 'xml' } },
      { body: `${nasty}\u0001` },
    );
    assert.equal(headers['content-type'], 'application/xml; charset=utf-8');
    const escaped = nasty.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
    assert.equal(body, `<m to="room-7">\n${escaped}</m>`);
  });

  it('plain text as it is, under a content type of its own', async (t) => {
    const headers = {
      'content-type': 'text/markdown',
      'x-title': 'T: {{ title }}',
      'x-none': '{{ icon_url }}',
    };
    const got = await sent(
      t,
      { url, headers, body: { template: '{{ body }}', format: 'text' } },
      { body: nasty, title: 'é\r\nX-Injected: 1' },
    );
    assert.deepEqual([got.headers['content-type'], got.body], ['text/markdown', nasty]);
    assert.equal(Buffer.from(String(got.headers['x-title']), 'latin1').toString(), 'T: é X-Injected: 1');
    assert.deepEqual([got.headers['x-injected'], got.headers['x-none']], [undefined, undefined]);
  });

  it('JSON by a template: lists, conditions, numbers; raw where it is asked for', async (t) => {
    const template = [
      '{"text":"{{ body | upcase }}","links":[',
      '{% for action in actions %}{"label":"{{ action.label }}"}{% unless forloop.last %},{% endunless %}{% endfor %}],',
      '"data":{{ data | json | raw }},"quoted":"{{ data }}","count":{{ data.count | default: 0 }},"at":{{ created_at_ms }}}',
    ];
    const data = '{"count":3,"say":"\\"hi\\""}';
    const actions = [
      { label: '"1"', url: '/' },
      { label: '2', url: '/' },
    ];
    const { body } = await sent(t, { url, body: { template } }, { body: '"q"\n', data, actions });
    assert.deepEqual(JSON.parse(body), {
      text: '"Q"\n',
      links: [{ label: '"1"' }, { label: '2' }],
      data: JSON.parse(data),
      quoted: JSON.stringify(JSON.parse(data)),
      count: 3,
      at: 1_767_225_600_000,
    });
  });

  it('a template that would let a text out of its place makes no message', async (t) => {
    const server = await ScriptedServer.listen(t);
    const template = '{"count":{{ data.count | default: 0 }},"to":"{{ destination }}"}';
    const provider = open(t, { channels: ['chat'], url, body: { template } }, { base: server.url });
    for (const count of ['1,"to":"eve"', '{', '"']) {
      const failed = sendBy(provider, 'room', { data: JSON.stringify({ count }) });
      await assert.rejects(failed, (error: DeliveryError) => error.code === codes.messageRefused);
    }
    assert.equal(server.received.length, 0);
  });

  it('the words of the channel win over title and body', async (t) => {
    const server = await ScriptedServer.listen(t);
    const body = { json: { subject: '{{ title }}', text: '{{ body }}', html: '{{ html }}' } };
    const provider = open(t, { channels: ['chat'], url, body }, { base: server.url });
    const rendered = { subject: 'S', body: 'B', html: '<b>', replyTo: '' };
    await sendBy(provider, 'room', {}, { rendered });
    assert.deepEqual(JSON.parse(server.only.body), { subject: 'S', text: 'B', html: '<b>' });
  });

  it('everything that it may read', async (t) => {
    const names =
      'title,body,type,subject_ref,subject_type,action_url,link,icon_url,data.a.b,urgency,destination,delivery_id,notification_id,tenant_id,user_id,created_at_ms,expires_at_ms';
    const fields = Object.fromEntries(names.split(',').map((name) => [name, `{{ ${name} }}`]));
    const { body } = await sent(
      t,
      { url, body: { json: fields } },
      {
        actionUrl: 'https://shop.example/42',
        iconUrl: 'https://shop.example/i.png',
        data: '{"a":{"b":"deep"}}',
        urgency: 'high',
        expiresAtMs: 5n,
      },
    );
    assert.deepEqual(Object.values(JSON.parse(body) as object), [
      ...[
        'title',
        'body',
        'order.shipped',
        '42',
        'order',
        'https://shop.example/42',
        'https://shop.example/42',
      ],
      ...[
        'https://shop.example/i.png',
        'deep',
        'high',
        'room-7',
        '01a20154-4c24-73da-a2b6-000000000001',
        'note-1',
      ],
      ...['demo', 'ada', '1767225600000', '5'],
    ]);
  });

  it('any text and any data arrive as they were', async (t) => {
    const server = await ScriptedServer.listen(t);
    const body = {
      template:
        '{"title":"{{ title }}","body":"{{ body }}","data":{{ data | json | raw }},"x":"{{ data.x }}"}',
    };
    const provider = open(t, { channels: ['chat'], url, body }, { base: server.url });
    const anyText = fc.string({ unit: 'binary', maxLength: 100 }).filter((text) => text.isWellFormed());
    await fc.assert(
      fc.asyncProperty(anyText, anyText, anyText, fc.jsonValue(), async (title, text, x, value) => {
        const data = JSON.stringify({ value, x });
        await sendBy(provider, 'room', { title, body: text, data });
        const got: unknown = JSON.parse(server.received.at(-1)?.body ?? '');
        assert.deepEqual(got, { title, body: text, data: JSON.parse(data), x });
      }),
      { numRuns: 200 },
    );
  });

  it('a URL that is the destination is reached by the guard alone, and checked for what it is', async (t) => {
    const server = await ScriptedServer.listen(t);
    const provider = open(t, { channels: ['chat'], url: '{{ destination }}', body: { json: {} } });
    assert.equal(provider.servers?.of('https://Example.org:443/a'), 'example.org');
    await sendBy(provider, `${server.url}/hook`);
    for (const [destination, code] of [
      ['http://10.0.0.1/', codes.destinationRefused],
      ['https://169.254.169.254/latest', codes.destinationRefused],
      ['file:///etc/passwd', codes.invalidDestination],
    ] as const)
      await assert.rejects(sendBy(provider, destination), (error: DeliveryError) => error.code === code);
    assert.equal(server.received.length, 1);
  });

  it('only a destination that its pattern takes whole', async (t) => {
    const server = await ScriptedServer.listen(t);
    const provider = open(t, { channels: ['chat'], url, destination: '\\d+|@\\w+' }, { base: server.url });
    await sendBy(provider, '@ada');
    for (const not of ['12x', 'x@ada', '@', '@ada,@bob'])
      await assert.rejects(
        sendBy(provider, not),
        (error: DeliveryError) => error.code === codes.invalidDestination,
      );
    assert.equal(server.received.length, 1);
  });

  it('an id that nobody else chose to be long or broken', async (t) => {
    const server = await ScriptedServer.listen(t);
    const provider = open(t, { channels: ['chat'], url, id: { path: 'id' } }, { base: server.url });
    for (const [id, kept] of [
      [7, '7'],
      ['x'.repeat(255), 'x'.repeat(255)],
      ['x'.repeat(256), ''],
      ['a\nb', ''],
      [{ a: 1 }, ''],
      [null, ''],
    ]) {
      server.answer = () => json(200, { id });
      assert.equal((await sendBy(provider, 'room')).providerMessageId, kept);
    }
  });
});

describe('what is wrong with a file', () => {
  it('is told all at once, by path', () => {
    const file = {
      providers: {
        Acme: { channels: ['chat'], url: 'https://a.example' },
        beta: {
          channels: ['chat', 'fax'],
          url: 'https://b.example/',
          method: 'DELETE',
          methods: 'POST',
          headers: { 'content-length': '1', 'a b': 'x' },
          body: { json: {}, form: {} },
          errors: [{ is: 'dead' }, { status: '4xx', is: 'dead' }, { status: 404, is: 'gone' }],
          retryAfter: { path: 'a b' },
        },
        gamma: { channels: [], body: 'x' },
        delta: { channels: ['chat'], url: '{{ titel }}' },
        epsilon: [],
      },
      provider: {},
    };
    const found = violations(file);
    assert.deepEqual(Object.keys(found).sort(), [
      'provider',
      'providers.Acme',
      'providers.beta.body',
      'providers.beta.channels[1]',
      'providers.beta.errors[0]',
      'providers.beta.errors[1].status',
      'providers.beta.errors[2].is',
      'providers.beta.headers.a b',
      'providers.beta.headers.content-length',
      'providers.beta.method',
      'providers.beta.methods',
      'providers.beta.retryAfter.path',
      'providers.delta.url',
      'providers.epsilon',
      'providers.gamma.body',
      'providers.gamma.channels',
      'providers.gamma.url',
    ]);
    assert.match(found['providers.beta.methods'] ?? '', /not known/);
    assert.match(found['providers.beta.body'] ?? '', /exactly one of/);
    assert.match(found['providers.beta.errors[1].status'] ?? '', /such as "200-299"/);
  });

  it('is told for templates too, of every provider', () => {
    const broken = {
      channels: ['chat'],
      url: 'https://a.example/{{ titel }}',
      headers: { a: '{{ body | shout }}' },
    };
    assert.deepEqual(
      Object.keys(violations({ providers: { a: broken, b: { ...broken, destination: '(' } } })),
      [
        'providers.a.url',
        'providers.a.headers.a',
        'providers.b.url',
        'providers.b.headers.a',
        'providers.b.destination',
      ],
    );
  });

  it('no JSON: where, without quoting it', () => {
    for (const text of ['{"providers":\n {"a": secret }}', '', '{} x', '{"providers":{},}', '// x\n{}']) {
      const found = violations(text);
      assert.match(found[''] ?? '', /^it is no JSON: \w+ at line \d+, column \d+$/, text);
    }
    assert.match(violations('{"providers":\n {"a": secret }}')[''] ?? '', /line 2, column 8/);
  });

  it('a name that something else has', () => {
    const rules = { env, isTaken: (channel: string, name: string) => channel === 'sms' && name === 'twilio' };
    const definition = { channels: ['sms'], url: 'https://a.example' };
    assert.match(
      violations({ providers: { twilio: definition } }, rules)['providers.twilio'] ?? '',
      /already/,
    );
    assert.match(violations({ providers: { none: definition } })['providers.none'] ?? '', /already/);
    assert.deepEqual(violations({ providers: { 'acme-2_eu': definition } }, rules), {});
  });

  it('a URL whose host is not written out, or not plain', () => {
    for (const url of [
      'https://{{ destination }}/x',
      'https://{{ destination }}.acme.example/x',
      'https://acme.example{{ destination }}',
      '{{ destination }}/x',
      '{{ title }}',
      'ftp://acme.example/',
      'acme.example/x',
      'https://user:pass@acme.example/',
      'https://acme.example/#x',
      'https://acme.example:99999/',
      '{{ env.NOTIFY_HTTP_ACME_TOKEN }}/x',
      '{{ env.NOTIFY_HTTP_MISSING }}/x',
    ])
      assert.deepEqual(Object.keys(wrong({ url })), ['url'], url);
    for (const url of [
      'http://acme.internal:8080/x?y={{ title }}',
      'https://acme.example',
      '{{destination}}',
      'https://acme.example?to={{ destination }}',
    ])
      assert.deepEqual(wrong({ url }), {}, url);
  });

  it('a read of the environment beyond NOTIFY_HTTP_', () => {
    for (const read of [
      'env.PATH',
      'env.NOTIFY_INTERNAL_TOKEN',
      'env',
      'env[title]',
      'env.NOTIFY_HTTP_ACME_TOKEN.x',
      'env["NOTIFY_HTTP_NONE"]',
      'process.env',
    ])
      assert.deepEqual(Object.keys(wrong({ headers: { a: `{{ ${read} }}` } })), ['headers.a'], read);
    assert.match(
      wrong({ headers: { a: '{% assign e = env %}{{ e.PATH }}' } })['headers.a'] ?? '',
      /without naming/,
    );
    assert.match(
      wrong({ headers: { a: '{{ env.NOTIFY_HTTP_NONE }}' } })['headers.a'] ?? '',
      /env\.NOTIFY_HTTP_NONE, which is not set/,
    );
  });

  it('a tag that reads files, prints past the escaping or twice through it', () => {
    for (const tag of [
      'include "x"',
      'render "x"',
      'layout "x"',
      'block x',
      'echo title',
      'cycle title',
      'capture x',
      'increment title',
      'tablerow i in actions',
    ])
      assert.match(wrong({ headers: { a: `{% ${tag} %}` } })['headers.a'] ?? '', /tag ".*" not found/, tag);
  });

  it('a template that cannot be read, without quoting much of it', () => {
    const found = wrong({ headers: { a: `{{ title ${'secret '.repeat(20)}` } });
    assert.match(found['headers.a'] ?? '', /is no Liquid template: .*line:1, col:1/);
    assert.ok(!(found['headers.a'] ?? '').includes('secret'));
  });

  it('a template that never ends, or takes all memory', () => {
    for (const template of [
      '{% for i in (1..1000000000) %}x{% endfor %}',
      '{% assign a = "x" %}{% for i in (1..40) %}{% assign a = a | append: a %}{% endfor %}',
    ])
      assert.match(
        wrong({ body: { template, format: 'text' } })['body.template'] ?? '',
        /needs more time or memory/,
      );
  });

  it('a body that would be no JSON for some message', () => {
    const body = (template: string) => wrong({ body: { template } })['body.template'] ?? '';
    assert.match(body('{"text":{{ body }}}'), /makes no JSON of a message with quotes/);
    assert.match(body('{"text":"{{ body | raw }}"}'), /with quotes/);
    assert.match(
      body('{"a":"{{ body }}",{% if link != "" %}"b":"{{ link }}"{% endif %}}'),
      /without action_url/,
    );
    assert.match(body('{"n":{{ data.count }}}'), /makes no JSON/);
    assert.equal(body('{"n":{{ data.count | default: 0 }}}'), '');
    assert.match(wrong({ method: 'GET', body: { json: {} } }).body ?? '', /a GET has none/);
    assert.match(wrong({ body: { json: {}, format: 'xml' } })['body.format'] ?? '', /beside template only/);
  });

  it('a check that would need a destination', () => {
    assert.match(
      wrong({ check: { url: '{{ destination }}' } })['check.url'] ?? '',
      /must not be the destination/,
    );
    assert.deepEqual(Object.keys(wrong({ check: { url: 'x' } })), ['check.url']);
    assert.deepEqual(wrong({ check: { url: 'https://acme.example/me' } }), {});
  });

  it('a limit that is none', () => {
    for (const limit of ['0', '-1', '"x"', '1.5'])
      assert.match(
        wrong({ headers: { a: `{{ title | cut: ${limit} }}` } })['headers.a'] ??
          wrong({ headers: { a: `{{ title | cut: ${limit} }}` } }).body ??
          '',
        /whole number above 0/,
        limit,
      );
  });
});

describe('the service with a file', () => {
  const file = (t: TestContext, providers: Record<string, unknown>): string => {
    const folder = mkdtempSync(join(tmpdir(), 'notify-http-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'providers.json');
    writeFileSync(path, JSON.stringify({ providers }));
    return path;
  };

  it('sends SMS and email by it, and tells no secret', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = ({ path }) =>
      path.includes('mail') ? { status: 403 } : json(200, { status: 'sent', messages: [{ id: 'm-7' }] });
    const log = logFile(t);
    const service = await build(
      t,
      {
        NOTIFY_HTTP_PROVIDERS: file(t, { acme: sms, 'acme-mail': email }),
        NOTIFY_HTTP_ACME_TOKEN: secret,
        NOTIFY_HTTP_ACME_URL: server.url,
        NOTIFY_HTTP_ACME_TOCKEN: secret,
        NOTIFY_SMS_PROVIDER: 'acme',
        NOTIFY_EMAIL_PROVIDER: 'Acme-Mail',
        NOTIFY_EMAIL_FROM: 'Notify <notify@example.com>',
      },
      { logger: log.logger },
    );
    const { body } = await call(service.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: 'n',
      userIds: ['ada'],
      title: 'Your order',
      body: 'is on its way',
      addresses: { ada: { byChannel: { sms: '+15550100', email: 'ada@example.org' } } },
      channels: ['DELIVERY_CHANNEL_SMS', 'DELIVERY_CHANNEL_EMAIL'],
      returnResults: true,
    });
    const results = body.results as { status: string; reason: string }[];
    assert.deepEqual(
      results.map(({ status, reason }) => [status, reason]),
      [
        ['DELIVERY_STATUS_DELIVERED', ''],
        ['DELIVERY_STATUS_PENDING', 'provider_misconfigured'],
      ],
    );
    assert.equal(service.core.providers.get('sms')?.[0]?.name, 'acme');
    const warned = log.lines('unknown_variable: no HTTP provider reads it').map(({ variable }) => variable);
    assert.deepEqual(warned, ['NOTIFY_HTTP_ACME_TOCKEN']);
    for (const word of [secret, '15550100', 'ada@example.org', 'on its way', server.url])
      assert.ok(!log.text().includes(word), word);
  });

  it('does not start with one that is wrong, missing, or without the name that is chosen', async (t) => {
    const fails = async (env: Record<string, string>, message: RegExp) =>
      assert.rejects(
        build(t, env),
        (error: Error) => message.test(error.message) || assert.fail(error.message),
      );
    await fails(
      { NOTIFY_HTTP_PROVIDERS: '/nowhere.json' },
      /NOTIFY_HTTP_PROVIDERS: .*\n.*cannot be read \(ENOENT\)/,
    );
    await fails(
      { NOTIFY_HTTP_PROVIDERS: file(t, { twilio: { ...sms, url: 'x' } }) },
      /: 3 things are wrong.*\n {2}providers\.twilio: .*\n {2}providers\.twilio\.url: /,
    );
    const chat = { channels: ['chat'], url: 'https://acme.example' };
    await fails(
      { NOTIFY_HTTP_PROVIDERS: file(t, { acme: chat }), NOTIFY_SMS_PROVIDER: 'acme' },
      /channel sms: no provider is named acme; there are: twilio, test/,
    );
  });
});
