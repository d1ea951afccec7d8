import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { fakeAmbient } from '../../../support/ambient.ts';
import { call } from '../../../support/build.ts';
import { receiptBench, tenant } from '../../../support/receipts.ts';
import { ScriptedServer } from '../../../support/scripted-server.ts';

const path = '/v1/receipts/sendgrid';
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keys = pair();
const shown = (key: KeyObject) => key.export({ format: 'der', type: 'spki' }).toString('base64');
const address = 'alice@example.org';

type Event = Readonly<Record<string, unknown>>;

async function bench(t: TestContext, env: Record<string, string> = {}) {
  const sendGrid = await ScriptedServer.listen(t);
  sendGrid.answer = () => ({ status: 202, headers: { 'x-message-id': 'sg-1' } });
  const ambient = fakeAmbient();
  const service = await receiptBench(
    t,
    {
      NOTIFY_EMAIL_PROVIDER: 'sendgrid',
      NOTIFY_EMAIL_FROM: 'notify@example.com',
      NOTIFY_EMAIL_API_KEY: 'SG.key',
      NOTIFY_EMAIL_ENDPOINT: sendGrid.url,
      NOTIFY_SENDGRID_WEBHOOK_KEY: shown(keys.publicKey),
      ...env,
    },
    { ambient },
  );
  const nowS = () => Math.floor(ambient.clock.now() / 1_000);
  /** An event of the last mail, as SendGrid hands it out: the custom arguments stand beside its own members. */
  const event = (word: string, over: Event = {}): Event => ({
    ...(JSON.parse(sendGrid.received.at(-1)?.body ?? '{}') as { custom_args: object }).custom_args,
    email: address,
    event: word,
    sg_event_id: 'ZGVsaXZlcmVkLTA',
    sg_message_id: 'sg-1.recvd-0-0',
    timestamp: nowS(),
    ...over,
  });
  /** Posts events, signed as the event webhook signs. */
  const tell = (
    events: unknown,
    options: {
      readonly key?: KeyObject;
      readonly atS?: number;
      readonly body?: string;
      readonly signedBody?: string;
      readonly headers?: Record<string, string>;
    } = {},
  ) => {
    const { key = keys.privateKey, atS = nowS(), body = JSON.stringify(events), headers } = options;
    const { signedBody = body } = options;
    const timestamp = String(atS);
    return service.post(
      path,
      {
        'content-type': 'application/json',
        'x-twilio-email-event-webhook-timestamp': timestamp,
        'x-twilio-email-event-webhook-signature': sign(
          'sha256',
          Buffer.from(timestamp + signedBody),
          key,
        ).toString('base64'),
        ...headers,
      },
      body,
    );
  };
  return Object.assign(service, { sendGrid, ambient, nowS, event, tell });
}

describe('receipts of SendGrid', () => {
  const cases: readonly (readonly [
    word: string,
    over: Event,
    status: string,
    reason: string,
    dead: string | undefined,
  ])[] = [
    ['processed', {}, 'DELIVERED', '', undefined],
    ['deferred', { response: '451 later' }, 'DELIVERED', '', undefined],
    ['unsubscribe', {}, 'DELIVERED', '', undefined],
    ['something new', {}, 'DELIVERED', '', undefined],
    ['delivered', {}, 'ACKED', '', undefined],
    ['open', {}, 'ACKED', '', undefined],
    ['click', { url: 'https://example.com/' }, 'ACKED', '', undefined],
    ['spamreport', {}, 'ACKED', '', 'complained'],
    [
      'bounce',
      { type: 'bounce', status: '5.1.1', reason: `550 ${address}?` },
      'FAILED',
      'bounced',
      'bounced',
    ],
    ['bounce', { type: 'blocked', status: '5.7.1' }, 'FAILED', 'blocked', undefined],
    ['dropped', { reason: 'Bounced Address' }, 'FAILED', 'dropped', 'bounced'],
    ['dropped', { reason: 'Spam Reporting Address' }, 'FAILED', 'dropped', 'complained'],
    ['dropped', { reason: 'Unsubscribed Address' }, 'FAILED', 'dropped', undefined],
    ['dropped', { reason: 'Invalid' }, 'FAILED', 'dropped', 'bounced'],
    ['dropped', { reason: 'Invalid SMTPAPI header' }, 'FAILED', 'dropped', undefined],
  ];
  for (const [word, over, status, reason, dead] of cases)
    it(`say ${word} ${JSON.stringify(over)}: ${status} ${reason}, address ${dead ?? 'as it was'}`, async (t) => {
      const service = await bench(t);
      const sent = await service.send('email', address);
      const { tell, event } = service;
      assert.equal((await tell([event(word, { ...over, email: 'mallory@example.org' })])).status, 204);
      const told = await service.delivery(sent.id);
      assert.deepEqual([told.status, told.reason], [`DELIVERY_STATUS_${status}`, reason]);
      assert.equal(await service.dead('email', address), dead);
      assert.equal(await service.dead('email', 'mallory@example.org'), undefined);
      assert.ok(!JSON.stringify(told.receipts).includes('@'), 'no address in the log of a delivery');
      if ('status' in over) assert.match(told.receipts[0]?.detail ?? '', new RegExp(`${over.status}$`));
    });

  it('that name an earlier mail say nothing of the one that SendGrid took in the end', async (t) => {
    const service = await bench(t);
    const { sendGrid, tell, event } = service;
    const id = 'XBg2anf2TqCy6WXKQFhieQ';
    sendGrid.answer = () => ({ status: 202, headers: { 'x-message-id': id } });
    const sent = await service.send('email', address);
    const blocked = (sg_message_id: unknown) => event('bounce', { type: 'blocked', sg_message_id });
    await tell([blocked('AOb5ZXUgSEeRAymhwhEySA.recvd-5f9ffdf494-9kc6l-1-673C6EB0-B.0')]);
    assert.deepEqual(await service.delivery(sent.id), sent);
    await tell([blocked(`${id}.filter0905p1mdw1-4434-59E0C6FF-3.0`)]);
    assert.equal((await service.delivery(sent.id)).status, 'DELIVERY_STATUS_FAILED');
    for (const unknown of ['14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0', 7, undefined]) {
      const other = await service.send('email', address);
      await tell([blocked(unknown)]);
      assert.equal((await service.delivery(other.id)).status, 'DELIVERY_STATUS_FAILED', 'in doubt it is');
    }
  });

  it('keep the first time that a mail was opened and clicked, but not what a machine opened', async (t) => {
    const service = await bench(t);
    const sent = await service.send('email', address);
    const { tell, event, nowS } = service;
    await service.ambient.clock.advance(60_000);
    await tell([event('open', { sg_machine_open: true, timestamp: nowS() - 50 })]);
    assert.equal((await service.delivery(sent.id)).openedAtMs, '0');
    await tell([
      event('click', { timestamp: nowS() - 10 }),
      event('open', { timestamp: nowS() - 20 }),
      event('open', { timestamp: nowS() - 30 }),
      event('click', { timestamp: nowS() + 9_999 }),
      event('delivered', { timestamp: nowS() - 40 }),
    ]);
    const { openedAtMs, clickedAtMs, ackAtMs, receipts } = await service.delivery(sent.id);
    const agoS = [openedAtMs, clickedAtMs, ackAtMs].map((at) => nowS() - Number(at) / 1_000);
    assert.deepEqual(agoS, [30, 10, 50]);
    assert.deepEqual(
      receipts.map(({ kind }) => kind),
      ['arrived', 'clicked', 'opened'],
    );
  });

  it('that are not signed are refused; those with a wrong or an old signature too; and change nothing', async (t) => {
    const service = await bench(t);
    const sent = await service.send('email', address);
    const { tell, event, nowS, post } = service;
    const events = [event('delivered')];
    for (const headers of [
      { 'x-twilio-email-event-webhook-signature': '' },
      { 'x-twilio-email-event-webhook-timestamp': '' },
    ]) {
      const { status, code } = await tell(events, { headers });
      assert.deepEqual([status, code], [401, 'unauthenticated']);
    }
    assert.equal((await post(path, {}, JSON.stringify(events))).status, 401);
    for (const refused of [
      tell(events, { key: pair().privateKey }),
      tell(events, { key: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey }),
      tell(events, { signedBody: JSON.stringify([event('bounce')]) }),
      tell(events, { body: `${JSON.stringify(events)} `, signedBody: JSON.stringify(events) }),
      tell(events, { headers: { 'x-twilio-email-event-webhook-timestamp': String(nowS() + 1) } }),
      tell(events, { headers: { 'x-twilio-email-event-webhook-signature': 'AAAA' } }),
      tell(events, { atS: nowS() - 601 }),
      tell(events, { atS: nowS() + 301 }),
    ]) {
      const { status, code } = await refused;
      assert.deepEqual([status, code], [403, 'permission_denied']);
    }
    assert.deepEqual(await service.delivery(sent.id), sent);
    assert.equal((await tell(events, { atS: nowS() - 599 })).status, 204);
  });

  it('are taken once however often they are posted', async (t) => {
    const service = await bench(t);
    const sent = await service.send('email', address);
    const { tell, event } = service;
    const events = [event('delivered'), event('open'), event('bounce', { type: 'bounce' })];
    await tell(events);
    const told = await service.delivery(sent.id);
    for (let i = 0; i < 3; i++) assert.equal((await tell(events)).status, 204);
    assert.deepEqual(await service.delivery(sent.id), told);
    assert.equal(told.status, 'DELIVERY_STATUS_ACKED');
    assert.equal(await service.dead('email', address), 'bounced', 'the address is dead all the same');
  });

  it('keep what follows from a dead address, until the recipient has it anew', async (t) => {
    const service = await bench(t);
    await service.send('email', address);
    await service.tell([service.event('bounce', { type: 'bounce' })]);
    await service.ambient.clock.advance(1_000);
    const stopped = await service.send('email', address);
    assert.deepEqual([stopped.status, stopped.reason], ['DELIVERY_STATUS_SUPPRESSED', 'bounced']);
    const recipient = { userId: 'alice', addresses: { email: address } };
    const put = await call(service.service.url.internal, 'notify.v1.RecipientService/PutRecipient', {
      tenantId: tenant,
      recipient,
    });
    assert.equal(put.status, 200);
    assert.equal((await service.send('email', address)).status, 'DELIVERY_STATUS_DELIVERED');
  });

  it('come to the same in every order', async (t) => {
    const service = await bench(t);
    const { tell, event } = service;
    let users = 0;
    const words = ['processed', 'delivered', 'open', 'bounce', 'dropped', 'spamreport'];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        async (told, isOneBatch) => {
          const sent = await service.send('email', `user-${++users}@example.org`);
          const events = told.map((word) => event(word, { type: 'bounce' }));
          if (isOneBatch) await tell(events);
          else for (const one of events) await tell([one]);
          const arrived = told.some((word) => ['delivered', 'open', 'spamreport'].includes(word));
          const lost = told.some((word) => ['bounce', 'dropped'].includes(word));
          const { status } = await service.delivery(sent.id);
          assert.equal(status, `DELIVERY_STATUS_${arrived ? 'ACKED' : lost ? 'FAILED' : 'DELIVERED'}`);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('come by the thousand, with what is not ours among them', async (t) => {
    const service = await bench(t);
    const { tell, event } = service;
    const ids: string[] = [];
    const events: Event[] = [];
    for (let i = 0; i < 20; i++) {
      ids.push((await service.send('email', address)).id);
      events.push(event('processed'), event('delivered'));
    }
    const foreign = { event: 'delivered', email: 'x@example.org', timestamp: 1 };
    const unknown = { ...event('delivered'), notify_delivery_id: '01a20154-4c24-73da-a2b6-00000000000f' };
    const all = [...Array(1_400).fill(foreign), ...events, ...Array(700).fill(unknown), null, 7, 'x', []];
    assert.equal((await tell(all)).status, 204);
    for (const id of ids) assert.equal((await service.delivery(id)).status, 'DELIVERY_STATUS_ACKED');
    assert.deepEqual(
      [await service.counted('sendgrid', 'arrived'), await service.counted('sendgrid', 'unknown')],
      [20, 700],
    );
  });

  it('are refused as unreadable where SendGrid signed something else', async (t) => {
    const { tell } = await bench(t);
    for (const body of ['', '{', '{"event":"delivered"}', 'null']) {
      const { status, code } = await tell(undefined, { body });
      assert.deepEqual([status, code], [400, 'invalid_argument'], body);
    }
    assert.equal((await tell([])).status, 204);
  });

  it('may be signed by either of two keys, and are not taken without one', async (t) => {
    const next = pair();
    const both = `${shown(keys.publicKey)},${shown(next.publicKey)}`;
    const service = await bench(t, { NOTIFY_SENDGRID_WEBHOOK_KEY: both });
    for (const { privateKey } of [keys, next])
      assert.equal((await service.tell([], { key: privateKey })).status, 204);
    const off = await bench(t, { NOTIFY_SENDGRID_WEBHOOK_KEY: '' });
    assert.equal((await off.tell([])).status, 404);
  });
});
