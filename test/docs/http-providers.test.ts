/** Keeps docs/channels/http.md and the pages of the chats true: the examples are files that work, the tables what the code takes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { z } from 'zod';
import { definitionSchema, kinds } from '../../plugins/channels/http-api/definition.ts';
import { HttpProvidersError, httpProvidersOf } from '../../plugins/channels/http-api/file.ts';
import { HttpApiProvider } from '../../plugins/channels/http-api/provider.ts';
import { variableNames } from '../../plugins/channels/http-api/values.ts';
import { knownProviders } from '../../src/config/schema.ts';
import { chatParts, sendBy } from '../support/chat.ts';
import { ScriptedServer } from '../support/scripted-server.ts';

const page = (name: string) =>
  readFileSync(new URL(`../../docs/channels/${name}.md`, import.meta.url), 'utf8');
const http = page('http');
const files = [...http.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => text);
const env = Object.fromEntries(
  [...http.matchAll(/NOTIFY_HTTP_[A-Z]+_[A-Z]+/g)].map(([name]) => [
    name,
    name.endsWith('URL') ? 'https://x.example' : 'x',
  ]),
);
const rules = { env, isTaken: () => false };

/** The first cells of the rows of a section, where they are code. */
const firsts = (heading: string): string[] => {
  const section = http.split(`\n${heading}\n`)[1]?.split(/^##/m)[0] ?? assert.fail(heading);
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name);
};

describe('docs/channels/http.md', () => {
  it('has examples that are taken', () => {
    assert.equal(files.length, 3);
    for (const file of files) httpProvidersOf(file, rules);
  });

  it('has the request of its whole example as it is sent', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => ({ status: 202, body: '{"messages":[{"id":"m-1"}]}' });
    const file = (files[0] ?? '').replace('https://api.acme.example', server.url);
    const compiled = httpProvidersOf(file, rules).get('acme') ?? assert.fail();
    const { egress, ambient } = chatParts(t);
    const provider = new HttpApiProvider('sms', 'acme', compiled, { egress, clock: ambient.clock });
    t.after(() => provider.close());
    const sent = await sendBy(provider, '+15550100', { title: 'Your order', body: 'is on its way' });
    assert.equal(sent.providerMessageId, 'm-1');
    const { path, body } = server.only;
    assert.ok(http.includes(`POST ${path} HTTP/1.1`) && http.includes(`\n${body}\n`), body);
  });

  it('has every key, every variable and every kind of error', () => {
    const body = (definitionSchema.shape.body as z.ZodOptional<z.ZodObject>).unwrap().shape;
    const keys = [...Object.keys(definitionSchema.shape), ...Object.keys(body).map((key) => `body.${key}`)];
    assert.deepEqual(firsts('## The file').sort(), keys.sort());
    assert.deepEqual(firsts('### What they may read'), [...variableNames, 'env']);
    for (const kind of kinds) assert.match(http, new RegExp(`^\\| \`${kind}\` \\|`, 'm'));
  });

  it('quotes messages as they come', () => {
    const example = JSON.parse(files[0] ?? '') as { providers: { acme: Record<string, unknown> } };
    const said = (over: object, env_ = {}) => {
      const file = JSON.stringify({ providers: { acme: { ...example.providers.acme, ...over } } });
      try {
        httpProvidersOf(file, { ...rules, env: env_ });
      } catch (error) {
        if (error instanceof HttpProvidersError)
          return error.violations.map(({ path, message }) => `${path}: ${message}`);
      }
      return [];
    };
    const told = [
      ...said({ body: { json: { text: '{{ titel }}' } } }),
      ...said({
        errors: [
          { status: 404, is: 'dead' },
          { status: '4xx', is: 'dead' },
        ],
      }),
    ];
    const quoted = http.split('wrong in the file:\n')[1]?.split('\n```')[0]?.split('\n') ?? [];
    assert.deepEqual(
      quoted.map((line) => line.trim().replace('…', '')),
      told.map((line) => line.replace(/(title, body, ).*/, '$1')),
    );
  });
});

describe('the pages of the chats', () => {
  it('are there for every provider, with a call that the API takes', () => {
    const table = page('chat');
    for (const name of knownProviders.chat) {
      assert.match(table, new RegExp(`\\| \\[\`${name}\`\\]\\(${name}\\.md\\) \\|`));
      const [, body = ''] = /-d '(\{[\s\S]*?\})'/.exec(page(name)) ?? [];
      const { addresses, channels } = JSON.parse(body) as {
        addresses: { alice: { byChannel: object } };
        channels: string[];
      };
      assert.deepEqual(
        [Object.keys(addresses.alice.byChannel), channels],
        [['chat'], ['DELIVERY_CHANNEL_CHAT']],
      );
    }
  });
});
