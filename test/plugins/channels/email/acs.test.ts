import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { AcsProvider } from '../../../../plugins/channels/email/acs/acs-provider.ts';
import { codes } from '../../../../src/core/channel.ts';
import { channelConformance } from '../../../conformance/channel.ts';
import { fakeClock } from '../../../support/ambient.ts';
import { emailCase, sender } from '../../../support/email-conformance.ts';
import { deliveryId, emailMessage, sendOptions } from '../../../support/email-message.ts';
import { type Received, ScriptedServer } from '../../../support/scripted-server.ts';

const apiKey = Buffer.from('a secret key of the resource').toString('base64');

interface Request {
  readonly recipients: { readonly to: readonly { readonly address: string }[] };
  readonly content: { readonly subject: string; readonly plainText: string };
}

/**
 * A request as Azure reads it, its signature checked:
 * https://learn.microsoft.com/azure/communication-services/tutorials/hmac-header-tutorial
 */
function read({ method, path, headers, body }: Received): Request {
  assert.equal(method, 'POST');
  assert.match(path, /^\/emails:send\?api-version=\d{4}-\d{2}-\d{2}$/);
  const hash = createHash('sha256').update(body).digest('base64');
  assert.equal(headers['x-ms-content-sha256'], hash);
  const signed = `${method}\n${path}\n${headers['x-ms-date']};${headers.host};${hash}`;
  const signature = createHmac('sha256', Buffer.from(apiKey, 'base64')).update(signed).digest('base64');
  assert.ok(headers.authorization?.endsWith(`&Signature=${signature}`), 'signed');
  return JSON.parse(body) as Request;
}

const refusal = (status: number, code = `http_${status}`, name = 'SomeError') => ({
  when: `${status} ${name}`,
  reply: { status, body: JSON.stringify({ error: { code: name, message: 'the private text of 47114711' } }) },
  code,
});

const id = '8540c0de-899f-5cce-acb5-3ec493af3800';
const accepted = (base = 'http://127.0.0.1:9') => ({
  status: 202,
  // asking there would be a second request, which the suite would notice
  headers: { 'operation-location': `${base}/emails/operations/${id}?api-version=2025-09-01` },
  body: JSON.stringify({ id, status: 'Running' }),
});

channelConformance('acs', {
  ...emailCase,
  open: (_t, endpoint, clock) => new AcsProvider(sender, { apiKey, endpoint }, clock),
  accepted: () => ({ reply: accepted(), id }),
  understand(request) {
    const { recipients, content } = read(request);
    return { destination: recipients.to[0]?.address ?? '', text: `${content.subject}\n${content.plainText}` };
  },
  repeatKey: ({ headers }) => headers['operation-id'],
  throttled: (headers) => ({ status: 429, headers, body: '{"error":{"code":"TooManyRequests"}}' }),
  permanent: [400, 405, 413, 415, 422].map((status) => refusal(status)),
  transient: [408, 409, 425, 429, 500, 502, 503, 504].map((status) => refusal(status)),
  credentials: [
    refusal(401, codes.credentialsRejected, 'Denied'),
    refusal(403, codes.misconfigured, 'Forbidden'),
    refusal(404, codes.misconfigured, 'DomainNotLinked'),
    refusal(308, codes.misconfigured),
  ],
  secrets: [apiKey, 'alice@example.org', 'HMAC-SHA256'],
});

describe('a mail by Azure', () => {
  it('has what a mail has, under the id of its delivery', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => accepted(server.url);
    const provider = new AcsProvider(sender, { apiKey, endpoint: server.url }, fakeClock());
    t.after(() => provider.close());
    const rendered = { html: '<p>Soon</p>', body: 'Soon', replyTo: 'Help <help@example.com>' };
    assert.equal((await provider.send(emailMessage({ rendered }), sendOptions())).providerMessageId, id);
    assert.deepEqual(read(server.only), {
      senderAddress: 'notify@example.com',
      recipients: { to: [{ address: 'alice@example.org' }] },
      content: { subject: 'Your order is on its way', plainText: 'Soon', html: '<p>Soon</p>' },
      replyTo: [{ address: 'help@example.com', displayName: 'Help' }],
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    assert.equal(server.only.headers['operation-id'], deliveryId);
  });
});
