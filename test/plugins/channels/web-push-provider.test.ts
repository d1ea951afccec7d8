import assert from 'node:assert/strict';
import { createECDH } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import webPush from 'web-push';
import { KeyWatch } from '../../../plugins/channels/web-push/key-watch.ts';
import { WebPushProvider } from '../../../plugins/channels/web-push/vapid.ts';
import { VapidKey } from '../../../plugins/channels/web-push/vapid-key.ts';
import { guardedAgent } from '../../../plugins/egress/guarded-agent.ts';
import { AddressRules } from '../../../src/core/egress/address.ts';
import { egressTarget } from '../../../src/core/egress/target.ts';
import { channelConformance } from '../../conformance/channel.ts';
import { type Subscriber, subscriber, vapidOf } from '../../support/web-push.ts';

const pair = createECDH('prime256v1');
pair.generateKeys();
const publicKey = pair.getPublicKey('base64url');
const privateKey = Buffer.from(pair.getPrivateKey('hex').padStart(64, '0'), 'hex').toString('base64url');
const rules = { addresses: new AddressRules(['127.0.0.0/8']), allowHttp: true };
const path = '/send/a-secret-of-the-subscription';

const browsers = new Map<string, Subscriber>();
const browserAt = (base: string): Subscriber => {
  const known = browsers.get(base) ?? subscriber(`${base}${path}`);
  browsers.set(base, known);
  return known;
};

const status = (code: number, when: string, body = '') => ({
  when,
  reply: { status: code, body },
  code: `http_${code}`,
});

channelConformance('vapid', {
  idInHead: true,
  open(t, _base, clock) {
    const agent = guardedAgent(rules, { resolve: (hostname) => lookup(hostname, { all: true }) });
    t.after(() => agent.destroy());
    return new WebPushProvider({
      egress: { agent, target: (url) => egressTarget(url, rules) },
      key: new VapidKey({ publicKey, privateKey, contact: 'mailto:ops@example.org' }, clock),
      watch: new KeyWatch(() => {}),
      clock,
      encrypt: webPush.generateRequestDetails,
    });
  },
  destination: (base) => browserAt(base).token,
  harmlessEnds: ['\n', ' '],
  wrongDestinations: [
    'null',
    '[]',
    '"https://push.example.org/"',
    subscriber('ftp://push.example.org/').token,
    subscriber('https://u:p@push.example.org/').token,
    JSON.stringify({ endpoint: 'https://push.example.org/' }),
  ],
  accepted: () => ({
    reply: { status: 201, headers: { location: 'https://push.example.org/m/1' } },
    id: 'https://push.example.org/m/1',
  }),
  understand({ method, path: asked, headers, bytes }, base) {
    assert.deepEqual([method, asked, headers['content-encoding']], ['POST', path, 'aes128gcm']);
    assert.equal(vapidOf(headers.authorization).claims.aud, base);
    const { token, decrypt } = browserAt(base);
    const { title, body } = JSON.parse(decrypt(bytes)) as { title: string; body: string };
    return { destination: token, text: `${title}\n${body}` };
  },
  throttled: (headers) => ({ status: 429, headers }),
  permanent: [
    ...[400, 405, 413, 415].map((code) => status(code, `${code}`)),
    status(400, "Apple's BadTtl", '{"reason":"BadTtl"}'),
    ...[301, 302, 307, 308].map((code) => ({
      when: `the redirect ${code}`,
      reply: { status: code, headers: { location: '/elsewhere' } },
      code: `http_${code}`,
    })),
  ],
  transient: [406, 408, 425, 429, 500, 502, 503, 504].map((code) => status(code, `${code}`)),
  credentials: [
    ...[401, 403].map((code) => ({ ...status(code, `${code}`), code: 'credentials_rejected' })),
    {
      ...status(400, "Apple's VapidPkHashMismatch", '{"reason":"VapidPkHashMismatch"}'),
      code: 'credentials_rejected',
    },
  ],
  dead: [404, 410].map((code) => ({ ...status(code, `${code}`), code: 'subscription_gone' })),
  longest: { title: 'title', body: 'x'.repeat(3_900) },
  connections: 8,
  secrets: [privateKey, 'a-secret-of-the-subscription', 'vapid t='],
});
