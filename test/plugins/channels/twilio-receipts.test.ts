import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { type ReceiptBench, receiptBench, type ShownDelivery, tenant } from '../../support/receipts.ts';
import { ScriptedServer } from '../../support/scripted-server.ts';
import { account, created, messageSid, readForm, twilioSignature } from '../../support/twilio-wire.ts';

const number = '+15550100123';
/** A proxy in front of the service takes the first part of the path away. */
const publicUrl = 'https://notify.example.com/gate';
const whatsAppToken = 'another-token-of-a-test';

type Form = Readonly<Record<string, string>>;

/** The service behind `publicUrl`, with a Twilio that tells nothing by itself. */
async function bench(t: TestContext, env: Record<string, string> = {}) {
  const twilio = await ScriptedServer.listen(t);
  twilio.answer = created;
  const block = (name: 'SMS' | 'WHATSAPP', token: string) => ({
    [`NOTIFY_${name}_PROVIDER`]: 'twilio',
    [`NOTIFY_${name}_ACCOUNT_SID`]: account.sid,
    [`NOTIFY_${name}_AUTH_TOKEN`]: token,
    [`NOTIFY_${name}_FROM`]: '+15550100999',
    [`NOTIFY_${name}_ENDPOINT`]: twilio.url,
  });
  const service = await receiptBench(t, {
    ...block('SMS', account.token),
    ...block('WHATSAPP', whatsAppToken),
    NOTIFY_PUBLIC_URL: publicUrl,
    ...env,
  });
  return Object.assign(service, { twilio });
}

/** Where Twilio was told to tell about the last message. */
const callbackOf = (twilio: ScriptedServer): string =>
  new URLSearchParams(twilio.received.at(-1)?.body).get('StatusCallback') ?? '';

/** Posts what Twilio posts, with what Twilio signs. */
const tell = (
  { post }: Pick<ReceiptBench, 'post'>,
  url: string,
  form: Form,
  { token = account.token, signedUrl = url, signedForm = form, signature = '' } = {},
) =>
  post(
    url.slice(publicUrl.length),
    {
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      'x-twilio-signature': signature || twilioSignature(token, signedUrl, signedForm),
    },
    new URLSearchParams(form).toString(),
  );

/** A callback as Twilio words it, shortened (docs: Outbound Message Status in Status Callbacks). */
const status = (word: string, over: Form = {}): Form => ({
  AccountSid: account.sid,
  ApiVersion: '2010-04-01',
  From: '+15550100999',
  MessageSid: messageSid,
  MessageStatus: word,
  SmsSid: messageSid,
  SmsStatus: word,
  To: number,
  ...over,
});

describe('receipts of Twilio', () => {
  it('are signed here as Twilio documents it', () => {
    const form = { MessageSid: 'SM1', MessageStatus: 'delivered' };
    assert.equal(twilioSignature('12345', 'https://n.test/h?t=1', form), 'ukl+LZOI8iqBwygPVEGA5mK3VvY=');
  });

  it('make a delivery acked that has reached the phone, whatever its other fields hold', async (t) => {
    const service = await bench(t);
    const sent = await service.send('sms', number);
    assert.equal(sent.status, 'DELIVERY_STATUS_DELIVERED');
    const url = callbackOf(service.twilio);
    assert.ok(url.startsWith(`${publicUrl}/v1/receipts/twilio?`), 'under the public URL');
    assert.doesNotMatch(url, /%/, 'nothing that a proxy could write another way');
    for (const word of ['queued', 'sending', 'sent']) await tell(service, url, status(word));
    assert.deepEqual(await service.delivery(sent.id), sent, 'steps on the way change nothing');
    const odd = { Unknown: '+ &= ü %2B', Empty: '', ä: 'b' };
    assert.equal((await tell(service, url, status('delivered', odd))).status, 204);
    const { status: reached, ackAtMs, receipts } = await service.delivery(sent.id);
    assert.equal(reached, 'DELIVERY_STATUS_ACKED');
    assert.deepEqual(receipts, [
      { atMs: ackAtMs, provider: 'twilio', kind: 'arrived', reason: '', detail: '' },
    ]);
    assert.equal(await service.counted('twilio', 'arrived'), 1);
  });

  it('say that a WhatsApp message was read, signed with the token of that block', async (t) => {
    const service = await bench(t);
    service.twilio.answer = created;
    const sent = await service.send('whatsapp', number);
    const url = callbackOf(service.twilio);
    const form = status('read', { ChannelPrefix: 'whatsapp', EventType: 'READ', To: `whatsapp:${number}` });
    assert.equal((await tell(service, url, form)).status, 403, "SMS's token says nothing of WhatsApp");
    assert.equal((await tell(service, url, form, { token: whatsAppToken })).status, 204);
    const { status: reached, openedAtMs, ackAtMs } = await service.delivery(sent.id);
    assert.equal(reached, 'DELIVERY_STATUS_ACKED');
    assert.ok(openedAtMs !== '0' && openedAtMs === ackAtMs);
  });

  for (const [code, reason, detail, dead] of [
    [30003, 'twilio_30003', /cannot be reached for the moment/, undefined],
    [30005, 'twilio_30005', /no such number any more/, 'bounced'],
    [30006, 'twilio_30006', /landline/, 'bounced'],
    [21610, 'twilio_21610', /opted out/, 'bounced'],
    [30007, 'twilio_30007', /spam/, undefined],
    [39999, 'twilio_39999', /^Twilio error 39999$/, undefined],
    [undefined, 'undelivered', /^$/, undefined],
  ] as const)
    it(`make a delivery failed with ${reason}, its number ${dead ? 'dead' : 'as it was'}`, async (t) => {
      const service = await bench(t);
      const sent = await service.send('sms', number);
      const over = { To: '+15550100666', ...(code !== undefined && { ErrorCode: String(code) }) };
      assert.equal(
        (await tell(service, callbackOf(service.twilio), status('undelivered', over))).status,
        204,
      );
      const failed = await service.delivery(sent.id);
      assert.deepEqual([failed.status, failed.reason], ['DELIVERY_STATUS_FAILED', reason]);
      assert.match(failed.receipts[0]?.detail ?? '', detail);
      assert.equal(await service.dead('sms', number), dead);
      assert.equal(
        await service.dead('sms', '+15550100666'),
        undefined,
        'the number is that of the delivery',
      );
    });

  it('that name an earlier message say nothing of the one that Twilio took in the end', async (t) => {
    const service = await bench(t);
    const sent = await service.send('sms', number);
    const url = callbackOf(service.twilio);
    const of = (sid: string) => status('undelivered', { MessageSid: sid, SmsSid: sid, ErrorCode: '30007' });
    assert.equal((await tell(service, url, of(`SM${'b'.repeat(32)}`))).status, 204);
    assert.deepEqual(await service.delivery(sent.id), sent);
    await tell(service, url, of(messageSid));
    assert.equal((await service.delivery(sent.id)).status, 'DELIVERY_STATUS_FAILED');
  });

  it('that are not signed, or wrongly, are refused and change nothing', async (t) => {
    const service = await bench(t);
    const sent = await service.send('sms', number);
    const url = callbackOf(service.twilio);
    const other = url.replace(sent.id, sent.itemId);
    const form = status('delivered');
    const unsigned = await service.post(
      url.slice(publicUrl.length),
      {},
      new URLSearchParams(form).toString(),
    );
    assert.deepEqual([unsigned.status, unsigned.code], [401, 'unauthenticated']);
    assert.match(String(unsigned.message), /X-Twilio-Signature/);
    for (const refused of [
      tell(service, url, form, { token: 'wrong' }),
      tell(service, url, form, { signature: '===' }),
      tell(service, url, form, { signature: 'ä'.normalize('NFD').slice(0, 1) }),
      tell(service, url, form, { signedForm: status('sent') }),
      tell(service, url, { ...form, Extra: 'x' }, { signedForm: form }),
      tell(service, url, form, { signedUrl: other }),
      tell(service, other, form, { signedUrl: url }),
      tell(service, `${url}&x=1`, form, { signedUrl: url }),
      tell(service, url.replace('channel=sms', 'channel=whatsapp'), form),
    ]) {
      const { status: answered, code } = await refused;
      assert.deepEqual([answered, code], [403, 'permission_denied']);
    }
    assert.deepEqual(await service.delivery(sent.id), sent);
    assert.equal(await service.counted('twilio', 'refused'), 10);
    // the file may still be opening
    const [warning, ...more] = await eventually('a line in the log', () => {
      const lines = service.log.lines('receipts_refused');
      return lines.length > 0 && lines;
    });
    assert.equal(warning?.provider, 'twilio');
    assert.deepEqual(more, [], 'said once');
    for (const secret of [account.token, number]) assert.ok(!service.log.text().includes(secret));
  });

  it('of another delivery than there is are taken and counted', async (t) => {
    const service = await bench(t);
    const sent = await service.send('sms', number);
    const url = callbackOf(service.twilio);
    const whose = Buffer.from('somebody else').toString('base64url');
    for (const unknown of [url.replace(sent.id, sent.itemId), url.replace(/tenant=[^&]+/, `tenant=${whose}`)])
      assert.equal((await tell(service, unknown, status('delivered'))).status, 204);
    assert.equal(await service.counted('twilio', 'unknown'), 2);
    for (const strange of [url.replace(/&tenant=.*/, ''), url.replace(sent.id, 'x'), `${url}&tenant=x`])
      assert.equal((await tell(service, strange, status('delivered'))).status, 204);
    assert.deepEqual(await service.delivery(sent.id), sent);
  });

  it('may come before the answer that they are about', async (t) => {
    const service = await bench(t);
    const answers: number[] = [];
    service.twilio.answer = async () => {
      answers.push((await tell(service, callbackOf(service.twilio), status('sent'))).status);
      answers.push((await tell(service, callbackOf(service.twilio), status('delivered'))).status);
      return created();
    };
    const sent = await service.send('sms', number);
    assert.deepEqual(answers, [204, 204]);
    assert.equal(sent.status, 'DELIVERY_STATUS_ACKED');
    assert.deepEqual([sent.attemptCount, sent.attempts.length], [1, 1]);
    assert.equal(sent.attempts[0]?.status, 'DELIVERY_STATUS_DELIVERED');
    assert.deepEqual(
      service.log.lines().filter(({ msg }) => String(msg).startsWith('lease_lost')),
      [],
    );
  });

  it('settle what an attempt has left open, so that nothing is sent twice', async (t) => {
    const service = await bench(t, { NOTIFY_RETRY_BASE: '1ms', NOTIFY_RETRY_MAX: '1ms' });
    service.twilio.answer = async () => {
      await tell(service, callbackOf(service.twilio), status('delivered'));
      return 'reset' as const;
    };
    const sent = await service.send('sms', number);
    assert.equal(sent.status, 'DELIVERY_STATUS_ACKED');
    // whatever is due goes first
    service.twilio.answer = created;
    await service.send('sms', '+15550100124');
    assert.equal(service.twilio.received.length, 2, 'one for each');
    assert.equal((await service.delivery(sent.id)).attemptCount, 1);
  });

  it('of what the sandbox sent to an address of its own mark nobody’s as dead', async (t) => {
    const service = await bench(t, { NOTIFY_SANDBOX: 'redirect:sms=+15550100777' });
    const [gone, here] = [await service.send('sms', number), await service.send('sms', number)];
    const [first, second] = service.twilio.received.map(
      ({ body }) => new URLSearchParams(body).get('StatusCallback') ?? '',
    );
    await tell(service, first ?? '', status('undelivered', { ErrorCode: '30005' }));
    await tell(service, second ?? '', status('delivered'));
    assert.equal((await service.delivery(gone.id)).reason, 'twilio_30005');
    assert.equal(await service.dead('sms', number), undefined);
    const reached = await service.delivery(here.id);
    assert.deepEqual([reached.status, reached.reason], ['DELIVERY_STATUS_ACKED', 'sandbox_redirected']);
  });

  it('come to the same in every order, and repeated', async (t) => {
    const service = await bench(t);
    const words = ['queued', 'sent', 'delivered', 'undelivered', 'read'];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 6 }), async (told) => {
        const sent = await service.send('sms', number);
        for (const word of told) await tell(service, callbackOf(service.twilio), status(word));
        const { status: reached, openedAtMs } = await service.delivery(sent.id);
        const arrived = told.some((word) => word === 'delivered' || word === 'read');
        const lost = told.includes('undelivered');
        const expected = arrived ? 'ACKED' : lost ? 'FAILED' : 'DELIVERED';
        assert.equal(reached, `DELIVERY_STATUS_${expected}`);
        assert.equal(openedAtMs !== '0', told.includes('read'));
      }),
      { numRuns: 40 },
    );
  });

  it('are not asked for, and not taken, where nobody knows the way to this service', async (t) => {
    const service = await bench(t, { NOTIFY_PUBLIC_URL: '' });
    const sent = await service.send('sms', number);
    assert.equal(callbackOf(service.twilio), '');
    for (const provider of ['twilio', 'ses', 'sendgrid', 'smtp', 'constructor', '__proto__']) {
      const { status: answered, code } = await service.post(`/v1/receipts/${provider}`, {}, 'x=1');
      assert.deepEqual([answered, code], [404, 'not_found'], provider);
    }
    assert.equal((await service.delivery(sent.id)).status, 'DELIVERY_STATUS_DELIVERED');
  });

  it('are bounded, and taken by POST on the public port alone', async (t) => {
    const service = await bench(t);
    const path = '/v1/receipts/twilio';
    const { status: answered, code } = await service.post(path, {}, 'x'.repeat(5 * 2 ** 20));
    assert.deepEqual([answered, code], [429, 'resource_exhausted']);
    assert.equal((await service.post(path, {}, '')).status, 401);
    assert.equal((await fetch(service.service.url.client + path)).status, 404);
    for (const port of ['internal', 'ops'] as const)
      assert.equal((await fetch(service.service.url[port] + path, { method: 'POST' })).status, 404);
  });

  it('ask the provider to come again while the store is away', async (t) => {
    const service = await bench(t);
    await service.send('sms', number);
    const url = callbackOf(service.twilio);
    await service.service.core.store.close();
    const { status: answered, code } = await tell(service, url, status('delivered'));
    assert.deepEqual([answered, code], [503, 'unavailable']);
  });

  it('find back to tenants of the longest names', async (t) => {
    const service = await bench(t);
    assert.ok(Buffer.from(tenant).length > tenant.length, 'not of ASCII alone');
    const long = 'ä'.repeat(512);
    const { body } = await call(service.service.url.internal, procedures.notify, {
      tenantId: long,
      notificationId: 'n',
      userIds: ['alice'],
      title: 'x',
      channels: ['DELIVERY_CHANNEL_SMS'],
      addresses: { alice: { byChannel: { sms: number } } },
    });
    assert.equal(body.delivered, 1);
    await tell(service, callbackOf(service.twilio), status('delivered'));
    assert.equal(await service.counted('twilio', 'arrived'), 1);
  });
});

describe('a message by Twilio', () => {
  const sid = `HX${'0123456789abcdef'.repeat(2)}`;
  const formOf = (twilio: ScriptedServer): Form => {
    const request = twilio.received.at(-1);
    assert.ok(request);
    return Object.fromEntries(new URLSearchParams(request.body));
  };

  it('is an approved template on WhatsApp, in place of the text, and a text as SMS', async (t) => {
    const service = await bench(t);
    const data = { content_sid: sid, content_variables: { 1: 'Ada "L"', 2: 47, 3: true }, other: [1] };
    await service.send('whatsapp', number, { data });
    const { ContentSid, ContentVariables, Body, To } = formOf(service.twilio);
    assert.deepEqual([ContentSid, Body, To], [sid, undefined, `whatsapp:${number}`]);
    assert.deepEqual(JSON.parse(ContentVariables ?? ''), { 1: 'Ada "L"', 2: '47', 3: 'true' });
    await service.send('whatsapp', number, { data: { content_sid: sid }, title: 'unused', body: '' });
    assert.equal(formOf(service.twilio).ContentVariables, undefined);
    await service.send('sms', number, { data });
    assert.deepEqual(
      [formOf(service.twilio).Body, formOf(service.twilio).ContentSid],
      ['Your order\nis on its way', undefined],
    );
  });

  it('is refused where its template is none, without asking Twilio', async (t) => {
    const service = await bench(t);
    for (const [data, field] of [
      [{ content_sid: 'HX1' }, /data\.content_sid/],
      [{ content_sid: 7 }, /data\.content_sid/],
      [{ content_sid: sid, content_variables: ['a'] }, /data\.content_variables/],
      [{ content_sid: sid, content_variables: { 1: { secret: 'x' } } }, /data\.content_variables/],
    ] as const) {
      const refused: ShownDelivery = await service.send('whatsapp', number, { data });
      assert.deepEqual([refused.status, refused.reason], ['DELIVERY_STATUS_FAILED', 'message_refused']);
      assert.match(refused.attempts[0]?.detail ?? '', field);
    }
    assert.equal(service.twilio.received.length, 0);
  });

  it('says in its log how many segments an SMS took', async (t) => {
    const service = await bench(t);
    const detailOf = async (body: string, told = '0') => {
      service.twilio.answer = () => {
        const reply = created();
        return {
          ...reply,
          body: (reply.body ?? '').replace('"num_segments":"1"', `"num_segments":"${told}"`),
        };
      };
      return (await service.send('sms', number, { title: '', body })).attempts[0]?.detail;
    };
    assert.equal(await detailOf('Your code is 4711'), '1 segment, GSM-7');
    assert.equal(await detailOf('é'.repeat(161)), '2 segments, GSM-7');
    assert.equal(await detailOf('Grüße 👋'), '1 segment, UCS-2');
    assert.equal(await detailOf('a'.repeat(161), '3'), '3 segments, GSM-7', "Twilio's word counts");
    readForm(service.twilio.received.at(-1) ?? assert.fail());
  });
});
