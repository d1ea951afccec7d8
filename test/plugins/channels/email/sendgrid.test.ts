import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SendGridProvider } from '../../../../plugins/channels/email/sendgrid/sendgrid-provider.ts';
import { sendGridRefusal } from '../../../../plugins/channels/email/sendgrid/sendgrid-refusal.ts';
import { codes } from '../../../../src/core/channel.ts';
import { channelConformance } from '../../../conformance/channel.ts';
import { fakeClock } from '../../../support/ambient.ts';
import { emailCase, sender } from '../../../support/email-conformance.ts';
import { deliveryId, emailMessage, itemId, sendOptions } from '../../../support/email-message.ts';
import { ScriptedServer } from '../../../support/scripted-server.ts';

const apiKey = 'SG.a-secret-key';

/** The part of a request that SendGrid's reference requires. */
interface Request {
  readonly personalizations: readonly { readonly to: readonly { readonly email: string }[] }[];
  readonly from: { readonly email: string; readonly name?: string };
  readonly subject: string;
  readonly content: readonly { readonly type: string; readonly value: string }[];
  readonly headers: Readonly<Record<string, string>>;
  readonly custom_args: Readonly<Record<string, string>>;
}

/** SendGrid's error body, which quotes what it was sent. */
const refusal = (status: number, code = `http_${status}`, headers = {}) => ({
  when: String(status),
  reply: {
    status,
    headers,
    body: '{"errors":[{"message":"the private text of 47114711","field":"content.0.value"}]}',
  },
  code,
});

channelConformance('sendgrid', {
  ...emailCase,
  open: (_t, endpoint, clock) =>
    new SendGridProvider(sender, { apiKey, endpoint, webhookKeys: undefined }, clock),
  accepted: () => ({ reply: { status: 202, headers: { 'x-message-id': 'sg-1' } }, id: 'sg-1' }),
  idInHead: true,
  understand({ method, path, headers, body }) {
    assert.deepEqual([method, path, headers['content-type']], ['POST', '/v3/mail/send', 'application/json']);
    assert.equal(headers.authorization, `Bearer ${apiKey}`);
    const { personalizations, subject, content } = JSON.parse(body) as Request;
    // what SendGrid answers 400 to
    assert.ok(subject !== '' && content.every(({ value }) => value !== ''));
    const [{ to } = assert.fail()] = personalizations;
    return { destination: to[0]?.email ?? '', text: `${subject}\n${content[0]?.value}` };
  },
  // mailboxes do, by its Message-ID
  repeatKey: ({ body }) => (JSON.parse(body) as Request).headers['Message-ID'],
  throttled: (headers) => ({ status: 429, headers }),
  permanent: [400, 405, 413, 415, 422].map((status) => refusal(status)),
  transient: [408, 409, 425, 429, 500, 502, 503, 504].map((status) => refusal(status)),
  credentials: [
    refusal(401, codes.credentialsRejected),
    ...[403, 404, 451].map((status) => refusal(status, codes.misconfigured)),
    refusal(307, codes.misconfigured, { location: 'https://example.net/' }),
  ],
  secrets: [apiKey, 'alice@example.org'],
});

describe('a mail by SendGrid', () => {
  it('has what a mail has', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => ({ status: 202, headers: { 'x-message-id': 'sg-1' } });
    const provider = new SendGridProvider(
      sender,
      { apiKey, endpoint: server.url, webhookKeys: undefined },
      fakeClock(),
    );
    t.after(() => provider.close());
    const rendered = { html: '<p>Soon</p>', body: 'Soon', replyTo: 'Help <help@example.com>' };
    await provider.send(emailMessage({ rendered }), sendOptions());
    assert.deepEqual(JSON.parse(server.only.body), {
      personalizations: [{ to: [{ email: 'alice@example.org' }] }],
      from: { email: 'notify@example.com', name: sender.name },
      reply_to: { email: 'help@example.com', name: 'Help' },
      subject: 'Your order is on its way',
      content: [
        { type: 'text/plain', value: 'Soon' },
        { type: 'text/html', value: '<p>Soon</p>' },
      ],
      headers: { 'Auto-Submitted': 'auto-generated', 'Message-ID': `<${deliveryId}@example.com>` },
      custom_args: { notify_tenant: 'ZGVtbw', notify_item_id: itemId, notify_delivery_id: deliveryId },
    });
  });

  it('waits until the rate limit is reset', () => {
    const nowMs = 1_767_225_600_000;
    const after = (headers: Record<string, string>) =>
      sendGridRefusal({ status: 429, headers, isWhole: true, body: '' }, nowMs)?.retryAfterMs;
    const reset = String(nowMs / 1000 + 42);
    assert.equal(after({ 'x-ratelimit-reset': reset }), 42_000);
    assert.equal(after({ 'x-ratelimit-reset': reset, 'x-ratelimit-remaining': '0' }), 42_000);
    assert.equal(after({ 'x-ratelimit-reset': reset, 'x-ratelimit-remaining': '7' }), undefined);
    assert.equal(after({ 'x-ratelimit-reset': reset, 'retry-after': '3' }), 3_000);
    assert.equal(after({ 'x-ratelimit-reset': '1' }), 0);
    assert.equal(after({ 'x-ratelimit-reset': '99999999999' }), undefined);
    assert.equal(after({ 'x-ratelimit-reset': 'soon' }), undefined);
  });
});
