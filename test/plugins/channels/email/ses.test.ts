import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SesProvider } from '../../../../plugins/channels/email/ses/ses-provider.ts';
import { sesRefusal } from '../../../../plugins/channels/email/ses/ses-refusal.ts';
import { built } from '../../../../src/app.ts';
import { parseConfig } from '../../../../src/config.ts';
import type { Clock } from '../../../../src/core/ambient.ts';
import { codes, DeliveryError } from '../../../../src/core/channel.ts';
import { channelConformance } from '../../../conformance/channel.ts';
import { fakeClock } from '../../../support/ambient.ts';
import { emailCase, sender } from '../../../support/email-conformance.ts';
import { deliveryId, emailMessage, itemId, sendOptions } from '../../../support/email-message.ts';
import { type Received, ScriptedServer } from '../../../support/scripted-server.ts';

const secretKey = 'a-secret+key/47';
const settings = (endpoint: string) => ({
  region: 'eu-central-1',
  apiKey: `AKIDEXAMPLE:${secretKey}`,
  endpoint,
  topicArns: undefined,
});
const parts = (clock: Clock = fakeClock()) => ({ clock, subscribed() {} });

interface Request {
  readonly Destination: { readonly ToAddresses: readonly string[] };
  readonly Content: {
    readonly Simple: {
      readonly Subject: { readonly Data: string };
      readonly Body: { readonly Text: { readonly Data: string } };
    };
  };
}

function read({ method, path, headers, body }: Received): Request {
  assert.deepEqual([method, path], ['POST', '/v2/email/outbound-emails']);
  assert.match(
    headers.authorization ?? '',
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/ses\/aws4_request, SignedHeaders=\S*host\S*, Signature=[0-9a-f]{64}$/,
  );
  return JSON.parse(body) as Request;
}

/** An error as SES tells it. The name comes in the header, or in the body. */
const refusal = (status: number, name: string, code: string, message = 'the private text of 47114711') => ({
  when: `${status} ${name || 'without a name'}`,
  reply: {
    status,
    headers: name === '' ? {} : { 'x-amzn-errortype': `${name}:http://internal.amazon.com/coral/` },
    body: name === '' ? '<html>no</html>' : JSON.stringify({ message }),
  },
  code,
});

channelConformance('ses', {
  ...emailCase,
  open: (_t, base, clock) => new SesProvider(sender, settings(base), parts(clock)),
  accepted: () => ({ reply: { status: 200, body: '{"MessageId":"0100018e-1"}' }, id: '0100018e-1' }),
  understand(request) {
    const { Destination, Content } = read(request);
    const { Subject, Body } = Content.Simple;
    return { destination: Destination.ToAddresses.join(), text: `${Subject.Data}\n${Body.Text.Data}` };
  },
  throttled: (headers) => ({ status: 429, headers, body: '{"__type":"TooManyRequestsException"}' }),
  permanent: [
    refusal(400, 'MessageRejected', codes.messageRefused, 'Email contains a virus'),
    refusal(400, 'BadRequestException', 'http_400'),
    refusal(400, 'ValidationException', 'http_400'),
    refusal(413, '', 'http_413'),
  ],
  transient: [
    refusal(429, 'TooManyRequestsException', 'http_429'),
    refusal(400, 'ThrottlingException', 'http_400'),
    refusal(400, 'Throttling', 'http_400'),
    refusal(400, 'LimitExceededException', 'http_400'),
    refusal(500, 'InternalFailure', 'http_500'),
    refusal(503, 'ServiceUnavailable', 'http_503'),
    ...[408, 500, 502, 503, 504].map((status) => refusal(status, '', `http_${status}`)),
  ],
  credentials: [
    refusal(403, 'AccessDeniedException', codes.credentialsRejected),
    refusal(403, 'SignatureDoesNotMatch', codes.credentialsRejected),
    refusal(400, 'ExpiredTokenException', codes.credentialsRejected),
    refusal(400, 'UnrecognizedClientException', codes.credentialsRejected),
    refusal(401, '', codes.credentialsRejected),
    refusal(403, '', codes.credentialsRejected),
    refusal(400, 'MessageRejected', codes.misconfigured, 'Email address is not verified. alice@example.org'),
    refusal(400, 'MailFromDomainNotVerifiedException', codes.misconfigured),
    refusal(400, 'AccountSuspendedException', codes.misconfigured),
    refusal(400, 'SendingPausedException', codes.misconfigured),
    refusal(404, 'NotFoundException', codes.misconfigured),
    refusal(404, '', codes.misconfigured),
  ],
  secrets: [secretKey, 'alice@example.org', 'AWS4-HMAC-SHA256'],
});

describe('a mail by SES', () => {
  it('has what a mail has, its head in ASCII', async (t) => {
    const server = await ScriptedServer.listen(t);
    server.answer = () => ({ status: 200, body: '{}' });
    const provider = new SesProvider(sender, settings(server.url), parts());
    t.after(() => provider.close());
    const rendered = { html: '<p>Soon</p>', body: 'Soon', replyTo: 'Help <help@example.com>' };
    assert.equal((await provider.send(emailMessage({ rendered }), sendOptions())).providerMessageId, '');
    assert.deepEqual(read(server.only), {
      FromEmailAddress: '=?UTF-8?B?R3LDtsOfZSwgIk5vdGlmeSI=?= <notify@example.com>',
      Destination: { ToAddresses: ['alice@example.org'] },
      ReplyToAddresses: ['"Help" <help@example.com>'],
      Content: {
        Simple: {
          Subject: { Data: 'Your order is on its way', Charset: 'UTF-8' },
          Body: { Text: { Data: 'Soon', Charset: 'UTF-8' }, Html: { Data: '<p>Soon</p>', Charset: 'UTF-8' } },
          Headers: [{ Name: 'Auto-Submitted', Value: 'auto-generated' }],
        },
      },
      EmailTags: [
        { Name: 'notify_delivery_id', Value: deliveryId },
        { Name: 'notify_item_id', Value: itemId },
        { Name: 'notify_tenant', Value: 'ZGVtbw' },
      ],
    });
  });

  it('waits ten minutes where the quota of the day is used up', () => {
    const after = (name: string, message: string) =>
      sesRefusal(
        { status: 400, headers: {}, isWhole: true, body: JSON.stringify({ __type: `aws#${name}`, message }) },
        0,
      )?.retryAfterMs;
    assert.equal(after('ThrottlingException', 'Daily message quota exceeded.'), 600_000);
    assert.equal(after('LimitExceededException', ''), 600_000);
    assert.equal(after('ThrottlingException', 'Maximum sending rate exceeded.'), undefined);
  });

  it('waits for credentials where the machine has none', async (t) => {
    const before = { ...process.env };
    t.after(() => {
      process.env = before;
    });
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
    Object.assign(process.env, {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/nowhere',
      AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
    });
    const server = await ScriptedServer.listen(t);
    const provider = new SesProvider(sender, { ...settings(server.url), apiKey: undefined }, parts());
    t.after(() => provider.close());
    await assert.rejects(
      provider.send(emailMessage(), sendOptions()),
      (error) =>
        error instanceof DeliveryError && error.code === codes.credentialsRejected && error.retryable,
    );
    assert.equal(server.received.length, 0);
  });

  it('needs a whole key, which no message quotes', () => {
    for (const apiKey of ['AKIDEXAMPLE', 'AKIDEXAMPLE:', ':a-secret', 'AKID EXAMPLE:a-secret'])
      assert.throws(
        () =>
          parseConfig(
            {
              NOTIFY_AUTH_DEV_MODE: 'true',
              NOTIFY_EMAIL_PROVIDER: 'ses',
              NOTIFY_EMAIL_FROM: 'notify@example.com',
              NOTIFY_EMAIL_REGION: 'eu-central-1',
              NOTIFY_EMAIL_API_KEY: apiKey,
            },
            built,
          ),
        ({ message }: Error) =>
          /NOTIFY_EMAIL_API_KEY: must be <access key id>/.test(message) && !message.includes(apiKey),
      );
  });
});
