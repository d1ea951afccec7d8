import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TwilioProvider, type TwilioSettings } from '../../../plugins/channels/twilio/twilio.ts';
import { codes } from '../../../src/core/channel.ts';
import { channelConformance } from '../../conformance/channel.ts';
import { build, call } from '../../support/build.ts';
import { logFile } from '../../support/log.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';
import { account, created, messageSid, readForm, twilioError } from '../../support/twilio-wire.ts';

const number = '+15550100123';
const sender = '+15550100999';
const settings = (endpoint: string, over: Partial<TwilioSettings> = {}): TwilioSettings => ({
  accountSid: account.sid,
  authToken: account.token,
  from: sender,
  messagingServiceSid: undefined,
  endpoint,
  publicUrl: undefined,
  ...over,
});

const refusals = (status: number, code: string, numbers: readonly number[]) =>
  numbers.map((error) => ({ when: `error ${error}`, reply: twilioError(status, error), code }));
const http = (status: number, code = `http_${status}`) => ({
  when: `${status} without an error of Twilio's`,
  reply: { status, body: '<html>no</html>' },
  code,
});

for (const channel of ['sms', 'whatsapp'] as const) {
  const prefix = channel === 'whatsapp' ? 'whatsapp:' : '';
  channelConformance(`twilio for ${channel}`, {
    open: (_t, base, clock) => new TwilioProvider(channel, settings(base), clock),
    destination: () => number,
    wrongDestinations: [
      '15550100123',
      '+1555',
      '+12345',
      '+1234567890123456',
      '+0555010012',
      '++15550100123',
      '+1 555 0100123',
      '+1555O100123',
      'whatsapp:+15550100123',
      '+15550100123,+15550100124',
      '+١٢٣٤٥٦٧',
    ],
    accepted: () => ({ reply: created(), id: messageSid }),
    understand(request) {
      const form = readForm(request);
      assert.deepEqual([...form.keys()].sort(), ['Body', 'From', 'To']);
      assert.deepEqual([form.get('From'), form.get('To')], [`${prefix}${sender}`, `${prefix}${number}`]);
      return { destination: number, text: form.get('Body') ?? '' };
    },
    throttled: (headers) => twilioError(429, 20429, headers),
    permanent: [
      ...refusals(400, codes.messageRefused, [21612, 21617, 30007, 63013, 63015, 63016, 63032, 21602, 99999]),
      http(400),
      http(413),
    ],
    transient: [
      ...refusals(429, 'provider_busy', [20429]),
      ...refusals(400, 'provider_busy', [30001, 30003, 30008, 63018]),
      ...refusals(403, codes.misconfigured, [21408]),
      ...refusals(400, codes.misconfigured, [21606, 30034, 63001, 63007]),
      ...refusals(500, 'http_500', [20500]),
      http(408),
      http(429),
      http(500),
      http(502),
      http(503),
      http(504),
      http(302, codes.misconfigured),
      http(403, codes.misconfigured),
      http(404, codes.misconfigured),
    ],
    credentials: [
      ...refusals(401, codes.credentialsRejected, [20003, 70051]),
      ...refusals(403, codes.credentialsRejected, [30002]),
      http(401, codes.credentialsRejected),
    ],
    dead: refusals(400, codes.destinationGone, [21211, 21610, 21614, 30004, 30005, 30006, 63003, 63024]),
    longest: { title: '', body: 'é'.repeat(1_600) },
    impossible: [
      { title: 'x', body: 'y'.repeat(1_599) },
      { title: '', body: '' },
      { title: ' ', body: '\n' },
    ],
    connections: 20,
    secrets: [
      account.token,
      Buffer.from(`${account.sid}:${account.token}`).toString('base64'),
      number,
      encodeURIComponent(number),
    ],
  });
}

describe('twilio', () => {
  /** What is asked of Twilio with these settings. */
  async function formOf(
    t: Parameters<typeof ScriptedServer.listen>[0],
    env: Record<string, string>,
    host = '127.0.0.1',
  ) {
    const server = await ScriptedServer.listen(t);
    server.answer = created;
    const log = logFile(t);
    const block = (name: 'SMS' | 'WHATSAPP') => ({
      [`NOTIFY_${name}_PROVIDER`]: 'twilio',
      [`NOTIFY_${name}_ACCOUNT_SID`]: account.sid,
      [`NOTIFY_${name}_AUTH_TOKEN`]: account.token,
      [`NOTIFY_${name}_ENDPOINT`]: `http://${host}:${server.port}`,
    });
    const service = await build(
      t as never,
      { ...block('SMS'), ...block('WHATSAPP'), ...env },
      { logger: log.logger },
    );
    const { body } = await call(
      service.url.internal,
      'elloloop.notify.v1.NotificationInternalService/Notify',
      {
        tenantId: 'demo',
        notificationId: 'n',
        userIds: ['ada'],
        title: 'Your order',
        body: 'is on its way',
        addresses: { ada: { byChannel: { sms: number, whatsapp: number } } },
        channels: ['DELIVERY_CHANNEL_SMS', 'DELIVERY_CHANNEL_WHATSAPP'],
      },
    );
    const forms = server.received.map((request) => Object.fromEntries(readForm(request)));
    return { counts: body, forms: forms.sort((a, b) => (a.To ?? '').localeCompare(b.To ?? '')), log };
  }

  it('sends from the number that is configured, and on WhatsApp with its prefix on both sides', async (t) => {
    const { counts, forms, log } = await formOf(t, {
      NOTIFY_SMS_FROM: 'Acme',
      NOTIFY_WHATSAPP_FROM: 'whatsapp:+15550100777',
    });
    assert.equal(counts.delivered, 2);
    const body = 'Your order\nis on its way';
    assert.deepEqual(forms, [
      { To: number, Body: body, From: 'Acme' },
      { To: `whatsapp:${number}`, Body: body, From: 'whatsapp:+15550100777' },
    ]);
    for (const secret of [account.token, number, 'on its way']) assert.ok(!log.text().includes(secret));
  });

  it('sends by the messaging service in place of a number', async (t) => {
    const { forms } = await formOf(t, {
      NOTIFY_SMS_MESSAGING_SERVICE_SID: 'MG1',
      NOTIFY_SMS_FROM: '+15550100777',
      NOTIFY_WHATSAPP_MESSAGING_SERVICE_SID: 'MG2',
    });
    assert.deepEqual(
      forms.map(({ From, MessagingServiceSid }) => [From, MessagingServiceSid]),
      [
        [undefined, 'MG1'],
        [undefined, 'MG2'],
      ],
    );
  });

  it('takes nothing from the environment of its SDK', async (t) => {
    const ours = {
      TWILIO_REGION: 'ie1',
      TWILIO_EDGE: 'dublin',
      HTTPS_PROXY: 'x:',
      HTTP_PROXY: 'http://x.invalid',
    };
    const before = { ...process.env };
    Object.assign(process.env, ours);
    t.after(() => {
      process.env = before;
    });
    const { counts } = await formOf(
      t,
      { NOTIFY_SMS_FROM: 'Acme', NOTIFY_WHATSAPP_FROM: sender },
      'localhost',
    );
    assert.equal(counts.delivered, 2);
  });

  it('refuses an account that cannot be one, without quoting it', () => {
    assert.throws(
      () =>
        new TwilioProvider(
          'sms',
          settings('http://127.0.0.1:1', { accountSid: 'SK-secret' }),
          undefined as never,
        ),
      (error: Error) => /must start with AC/.test(error.message) && !error.message.includes('SK-secret'),
    );
  });
});
