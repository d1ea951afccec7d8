import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { Webhook } from 'standardwebhooks';
import { WebhookProvider } from '../../../plugins/channels/webhook/standard.ts';
import { guardedAgent } from '../../../plugins/egress/guarded-agent.ts';
import { WebhookKeys } from '../../../plugins/webhook-keys/webhook-keys.ts';
import { AddressRules } from '../../../src/core/egress/address.ts';
import { egressTarget } from '../../../src/core/egress/target.ts';
import { channelConformance } from '../../conformance/channel.ts';

const master = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const keys = new WebhookKeys([master]);
const rules = { addresses: new AddressRules(['127.0.0.0/8']), allowHttp: true };
const path = '/hook?token=a-secret-of-the-receiver';

const status = (code: number, when: string) => ({
  when,
  reply: { status: code, body: 'no' },
  code: `http_${code}`,
});

channelConformance('webhook', {
  open(t, _base, clock) {
    const agent = guardedAgent(rules, { resolve: (hostname) => lookup(hostname, { all: true }) });
    t.after(() => agent.destroy());
    return new WebhookProvider({
      egress: { agent, target: (url) => egressTarget(url, rules) },
      keys,
      clock,
    });
  },
  destination: (base) => `${base}${path}`,
  wrongDestinations: [
    'nowhere',
    'ftp://example.com/',
    'javascript:alert(1)',
    'https://u:p@example.com/',
    '//x/',
  ],
  accepted: () => ({ reply: { status: 200, body: '{"ok":true}' }, id: '' }),
  understand({ method, path: asked, headers, body }, base) {
    assert.deepEqual([method, asked, headers['content-type']], ['POST', path, 'application/json']);
    const id = String(headers['webhook-id']);
    const sentAt = new Date(Number(headers['webhook-timestamp']) * 1000);
    const [key = ''] = keys.of('demo', `${base}${path}`);
    assert.equal(headers['webhook-signature'], new Webhook(key).sign(id, sentAt, body));
    const { data } = JSON.parse(body) as { data: { title: string; body: string } };
    return { destination: `${base}${asked}`, text: `${data.title}\n${data.body}` };
  },
  repeatKey: ({ headers }) => headers['webhook-id'],
  throttled: (headers) => ({ status: 429, headers }),
  permanent: [
    ...[400, 401, 403, 404, 405, 413, 415, 422, 451].map((code) => status(code, `${code}`)),
    ...[301, 302, 303, 307, 308].map((code) => ({
      when: `the redirect ${code}`,
      reply: { status: code, headers: { location: '/elsewhere' } },
      code: `http_${code}`,
    })),
  ],
  transient: [408, 409, 425, 429, 500, 502, 503, 504, 507].map((code) => status(code, `${code}`)),
  dead: [{ when: '410 Gone', reply: { status: 410 }, code: 'destination_gone' }],
  longest: { title: 'x'.repeat(1_000), body: '€'.repeat(20_000) },
  connections: 8,
  secrets: ['a-secret-of-the-receiver', master.slice(6), ...keys.of('demo', 'x')],
  timeoutMs: 10_000,
});
