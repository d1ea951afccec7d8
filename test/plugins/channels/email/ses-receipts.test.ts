import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import { Agent, buildConnector } from 'undici';
import { SesProvider } from '../../../../plugins/channels/email/ses/ses-provider.ts';
import { fakeAmbient } from '../../../support/ambient.ts';
import { call, procedures } from '../../../support/build.ts';
import { sender } from '../../../support/email-conformance.ts';
import { receiptBench } from '../../../support/receipts.ts';
import { rsaCertificate } from '../../../support/rsa-certificate.ts';
import { ScriptedServer } from '../../../support/scripted-server.ts';
import { selfSigned } from '../../../support/self-signed.ts';

const path = '/v1/receipts/ses';
const topic = 'arn:aws:sns:eu-central-1:123456789012:ses-events';
const chinese = 'arn:aws-cn:sns:cn-north-1:123456789012:ses-events';
const address = 'alice@example.org';
const { privateKey, certificate } = rsaCertificate();
const place = '/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem';

type Members = Readonly<Record<string, unknown>>;
type Texts = Readonly<Record<string, string>>;

/** The service with an SES, and an SNS that it reaches under SNS's own names, by real TLS. */
async function bench(t: TestContext) {
  const ses = await ScriptedServer.listen(t);
  ses.answer = () => ({ status: 200, body: '{"MessageId":"ses-1"}' });
  const sns = await ScriptedServer.listen(t, true);
  sns.answer = ({ path }) => (path === place ? { status: 200, body: certificate } : { status: 200 });
  const connector = buildConnector({ allowH2: false, ca: selfSigned.cert });
  const snsAgent = new Agent({
    connect: (options, callback) =>
      connector(
        { ...options, hostname: '127.0.0.1', port: String(sns.port), servername: 'hook.test' },
        callback,
      ),
  });
  const ambient = fakeAmbient();
  const subscribed: string[] = [];
  const provider = () =>
    new SesProvider(
      sender,
      { region: 'eu-central-1', apiKey: 'id:key', endpoint: ses.url, topicArns: [topic, chinese] },
      { clock: ambient.clock, snsAgent, subscribed: (arn) => subscribed.push(arn) },
    );
  const core = async (app: FastifyInstance) =>
    app.registerProvider('email', 'ses-here', async () => provider());
  const service = await receiptBench(
    t,
    {
      NOTIFY_EMAIL_PROVIDER: 'ses-here',
      // the clock stands still: nothing would fill a bucket
      NOTIFY_EMAIL_RATE: '100000',
      NOTIFY_EMAIL_FROM: 'notify@example.com',
      NOTIFY_PLUGINS: fileURLToPath(new URL('../../../support/blank-module.ts', import.meta.url)),
    },
    { ambient, plugins: [{ core }] },
  );
  const iso = (agoMs = 0) => new Date(ambient.clock.now() - agoMs).toISOString();
  /** An event of the last mail, as SES hands it out: each tag with a list of values. */
  const event = (eventType: string, about: Members = {}, messageId: unknown = 'ses-1'): string => {
    const { EmailTags } = JSON.parse(ses.received.at(-1)?.body ?? '{}') as {
      EmailTags: { Name: string; Value: string }[];
    };
    const tags = Object.fromEntries(EmailTags.map(({ Name, Value }) => [Name, [Value]]));
    const member = eventType === 'Rendering Failure' ? 'failure' : eventType.toLowerCase();
    return JSON.stringify({
      eventType,
      mail: { messageId, destination: [address], tags },
      [member]: { timestamp: iso(), ...about },
    });
  };
  const message = (over: Texts = {}): Record<string, string> => ({
    Type: 'Notification',
    MessageId: '22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324',
    TopicArn: topic,
    Message: 'text',
    Timestamp: iso(),
    SignatureVersion: '2',
    SigningCertURL: `https://sns.eu-central-1.amazonaws.com${place}`,
    UnsubscribeURL: 'https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe',
    ...over,
  });
  const post = (members: unknown) =>
    service.post(path, { 'content-type': 'text/plain; charset=UTF-8' }, JSON.stringify(members));
  /** Posts a message as SNS does. */
  const tell = (over: Texts, { key = privateKey, changed = {} as Texts } = {}) => {
    const sent = message(over);
    return post({ ...sent, Signature: signature(sent, key), ...changed });
  };
  return Object.assign(service, {
    ses,
    sns,
    ambient,
    subscribed,
    event,
    message,
    tell,
    postMembers: post,
    iso,
  });
}

/** As https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html describes it. */
function signature(members: Texts, key: KeyObject): string {
  const isNotification = members.Type === 'Notification';
  const names = isNotification
    ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
    : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
  let text = '';
  for (const name of names) if (members[name] !== undefined) text += `${name}\n${members[name]}\n`;
  return sign(members.SignatureVersion === '1' ? 'sha1' : 'sha256', Buffer.from(text), key).toString(
    'base64',
  );
}

describe('receipts of SES', () => {
  const bounce = (bounceType: string) => ({
    bounceType,
    bouncedRecipients: [{ emailAddress: address, status: '5.1.1', diagnosticCode: `smtp; 550 ${address}` }],
  });
  const cases: readonly (readonly [
    type: string,
    about: Members,
    status: string,
    reason: string,
    dead: string | undefined,
  ])[] = [
    ['Send', {}, 'DELIVERED', '', undefined],
    ['DeliveryDelay', {}, 'DELIVERED', '', undefined],
    ['Subscription', {}, 'DELIVERED', '', undefined],
    ['Delivery', { recipients: [address] }, 'ACKED', '', undefined],
    ['Open', {}, 'ACKED', '', undefined],
    ['Click', { link: 'https://example.com/' }, 'ACKED', '', undefined],
    ['Complaint', { complainedRecipients: [{ emailAddress: address }] }, 'ACKED', '', 'complained'],
    ['Complaint', { complaintSubType: 'OnAccountSuppressionList' }, 'FAILED', 'complained', 'complained'],
    ['Bounce', bounce('Permanent'), 'FAILED', 'bounced', 'bounced'],
    ['Bounce', bounce('Transient'), 'FAILED', 'soft_bounced', undefined],
    ['Bounce', bounce('Undetermined'), 'FAILED', 'soft_bounced', undefined],
    ['Reject', { reason: 'Bad content' }, 'FAILED', 'rejected', undefined],
    ['Rendering Failure', {}, 'FAILED', 'rendering_failed', undefined],
  ];
  for (const [type, about, status, reason, dead] of cases)
    it(`say ${type} ${about.bounceType ?? about.complaintSubType ?? ''}: ${status} ${reason}, address ${dead ?? 'as it was'}`, async (t) => {
      const service = await bench(t);
      const sent = await service.send('email', address);
      assert.equal((await service.tell({ Message: service.event(type, about) })).status, 204);
      const told = await service.delivery(sent.id);
      assert.deepEqual([told.status, told.reason], [`DELIVERY_STATUS_${status}`, reason]);
      assert.equal(await service.dead('email', address), dead);
      assert.ok(!JSON.stringify(told.receipts).includes('@'), 'no address in the log of a delivery');
      if (type === 'Bounce') assert.equal(told.receipts[0]?.detail, 'SES event Bounce, status 5.1.1');
    });

  it('that name an earlier mail say nothing of the one that SES took in the end', async (t) => {
    const service = await bench(t);
    const { tell, event } = service;
    const sent = await service.send('email', address);
    await tell({ Message: event('Bounce', bounce('Transient'), 'ses-0') });
    assert.deepEqual(await service.delivery(sent.id), sent);
    await tell({ Message: event('Bounce', bounce('Transient'), 'ses-1') });
    assert.equal((await service.delivery(sent.id)).status, 'DELIVERY_STATUS_FAILED');
    for (const unknown of [null, 7, 'no id\0']) {
      const other = await service.send('email', address);
      await tell({ Message: event('Bounce', bounce('Transient'), unknown) });
      assert.equal((await service.delivery(other.id)).status, 'DELIVERY_STATUS_FAILED', 'in doubt it is');
    }
  });

  it('keep when a mail was opened and clicked', async (t) => {
    const service = await bench(t);
    const sent = await service.send('email', address);
    await service.ambient.clock.advance(60_000);
    for (const [type, agoMs] of [
      ['Click', 10_000],
      ['Open', 20_000],
      ['Open', 5_000],
      ['Delivery', 30_000],
    ] as const)
      await service.tell({ Message: service.event(type, { timestamp: service.iso(agoMs) }) });
    const { openedAtMs, clickedAtMs, ackAtMs } = await service.delivery(sent.id);
    const nowMs = service.ambient.clock.now();
    assert.deepEqual(
      [openedAtMs, clickedAtMs, ackAtMs].map((at) => nowMs - Number(at)),
      [20_000, 10_000, 30_000],
    );
  });

  it('are known by both versions of the signature, with a subject or without, from every partition', async (t) => {
    const service = await bench(t);
    for (const over of [
      { SignatureVersion: '1' },
      { SignatureVersion: '2', Subject: 'Amazon SES Email Event Notification' },
      { TopicArn: chinese, SigningCertURL: `https://sns.cn-north-1.amazonaws.com.cn${place}` },
    ]) {
      const sent = await service.send('email', address);
      assert.equal((await service.tell({ Message: service.event('Delivery'), ...over })).status, 204);
      assert.equal((await service.delivery(sent.id)).status, 'DELIVERY_STATUS_ACKED');
    }
    assert.deepEqual(
      service.sns.received.map(({ method, path, headers }) => [method, path, headers.host]),
      [
        ['GET', place, 'sns.eu-central-1.amazonaws.com'],
        ['GET', place, 'sns.cn-north-1.amazonaws.com.cn'],
      ],
      'each certificate is fetched once',
    );
  });

  it('that are not signed are refused; those with a wrong or an old signature too; and change nothing', async (t) => {
    const service = await bench(t);
    const sent = await service.send('email', address);
    const Message = service.event('Delivery');
    for (const members of [null, 7, [], {}, service.message({ Message }), JSON.parse(Message)]) {
      const { status, code } = await service.postMembers(members);
      assert.deepEqual([status, code], [401, 'unauthenticated']);
    }
    assert.equal((await service.post(path, {}, '{')).status, 401);
    const { message, tell, iso } = service;
    const wrongKey = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
    const host = 'https://sns.eu-central-1.amazonaws.com';
    for (const refused of [
      tell({ Message }, { key: wrongKey }),
      tell({ Message: 'another' }, { changed: { Message } }),
      tell({ Message }, { changed: { Timestamp: iso(1) } }),
      tell({ Message }, { changed: { Signature: 'AAAA' } }),
      tell({ Message }, { changed: { SignatureVersion: '1' } }),
      tell({ Message, SignatureVersion: '3' }),
      tell({ Message, Timestamp: iso(3_900_001) }),
      tell({ Message, Timestamp: iso(-300_001) }),
      tell({ Message, Timestamp: 'soon' }),
      tell({ Message, TopicArn: 'arn:aws:sns:eu-central-1:999999999999:ses-events' }),
      tell({ Message, TopicArn: '' }),
      ...[
        `http://sns.eu-central-1.amazonaws.com${place}`,
        `https://sns.eu-central-1.amazonaws.com.evil.test${place}`,
        `https://evil.test${place}`,
        `https://sns.eu-central-1.amazonaws.con${place}`,
        `https://sns.eu-west-1.amazonaws.com${place}`,
        `https://sns.eu-central-1.amazonaws.com:444${place}`,
        `https://me@sns.eu-central-1.amazonaws.com${place}`,
        `${host}@evil.test${place}`,
        `${host}/../x${place}`,
        `${host}/?x=${place}`,
        `${host}/bucket${place}`,
        `${host}${place}?x`,
        '',
      ].map((SigningCertURL) => tell({ Message, SigningCertURL })),
    ]) {
      const { status, code } = await refused;
      assert.deepEqual([status, code], [403, 'permission_denied']);
    }
    assert.deepEqual(await service.delivery(sent.id), sent);
    assert.equal(service.sns.received.length, 1, 'nothing is fetched for what cannot be right');
    assert.equal((await tell({ Message, Timestamp: iso(3_600_000) })).status, 204, 'SNS repeats for an hour');
    assert.equal(message().TopicArn, topic);
  });

  it('are asked for again while the certificate cannot be had', async (t) => {
    const service = await bench(t);
    const sent = await service.send('email', address);
    const Message = service.event('Delivery');
    for (const answer of [
      { status: 503 },
      { status: 200, body: 'no certificate' },
      { status: 200, body: selfSigned.cert },
      { status: 302, headers: { location: 'https://evil.test/' }, body: certificate },
      { half_body: { status: 200, body: certificate } },
    ]) {
      service.sns.answer = () => answer;
      const { status, code } = await service.tell({ Message });
      assert.deepEqual([status, code], [503, 'unavailable'], JSON.stringify(answer));
    }
    service.sns.answer = () => ({ status: 200, body: certificate });
    const before = service.sns.received.length;
    const all = await Promise.all(Array.from({ length: 20 }, () => service.tell({ Message })));
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [204]);
    assert.equal(service.sns.received.length - before, 1, 'one fetch, however many wait for it');
    assert.equal((await service.delivery(sent.id)).status, 'DELIVERY_STATUS_ACKED');
  });

  it('do not make this service fetch whatever a stranger names', async (t) => {
    const service = await bench(t);
    service.sns.answer = () => 'hang';
    const named = Array.from({ length: 12 }, (_, i) => `SimpleNotificationService-${i}.pem`);
    const answers = named.map((name) =>
      service.tell({ SigningCertURL: `https://sns.eu-central-1.amazonaws.com/${name}` }, { key: privateKey }),
    );
    const quick = await Promise.race([
      Promise.all(answers.slice(4)),
      Promise.all(answers).then(() => assert.fail('the first four wait')),
    ]);
    assert.deepEqual([...new Set(quick.map(({ status }) => status))], [503]);
    await service.sns.close();
    await Promise.all(answers);
    assert.equal(service.sns.received.length, 4);
  });

  it('are subscribed to by themselves, for a topic that is expected', async (t) => {
    const service = await bench(t);
    const confirm = {
      Type: 'SubscriptionConfirmation',
      Token: 'token-1',
      SubscribeURL: `https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=token-1`,
    };
    assert.equal((await service.tell(confirm)).status, 204);
    const asked = service.sns.received.filter(({ path }) => path !== place);
    assert.deepEqual(
      asked.map(({ method, path, headers }) => [method, path, headers.host]),
      [
        [
          'GET',
          `/?Action=ConfirmSubscription&TopicArn=${topic}&Token=token-1`,
          'sns.eu-central-1.amazonaws.com',
        ],
      ],
    );
    assert.deepEqual(service.subscribed, [topic]);
    for (const SubscribeURL of [
      'https://evil.test/?Action=ConfirmSubscription',
      'http://sns.eu-central-1.amazonaws.com/',
      'https://sns.eu-west-1.amazonaws.com/',
      'https://me:you@sns.eu-central-1.amazonaws.com/',
      'no url',
    ])
      assert.equal((await service.tell({ ...confirm, SubscribeURL })).status, 403, SubscribeURL);
    assert.equal((await service.tell({ ...confirm, TopicArn: `${topic}-2` })).status, 403);
    assert.equal((await service.tell(confirm, { changed: { Token: 'other' } })).status, 403);
    service.sns.answer = () => ({ status: 500 });
    assert.equal((await service.tell(confirm)).status, 503, 'SNS is to ask again');
    assert.equal((await service.tell({ ...confirm, Type: 'UnsubscribeConfirmation' })).status, 204);
    assert.equal(service.subscribed.length, 1);
  });

  it('that concern no mail of ours are taken', async (t) => {
    const service = await bench(t);
    const sent = await service.send('email', address);
    const event = JSON.parse(service.event('Delivery')) as { mail: { tags: Record<string, string[]> } };
    const tagged = (tags: unknown) => JSON.stringify({ ...event, mail: { ...event.mail, tags } });
    for (const Message of [
      'Successfully validated SNS topic for Amazon SES event publishing.',
      '[]',
      'null',
      '{}',
      JSON.stringify({
        notificationType: 'Bounce',
        mail: { messageId: 'x' },
        bounce: { bounceType: 'Permanent' },
      }),
      JSON.stringify({ eventType: 'Delivery', mail: null, delivery: 7 }),
      tagged(undefined),
      tagged({ ...event.mail.tags, notify_tenant: ['%%%'] }),
      tagged({ ...event.mail.tags, notify_item_id: [7] }),
      tagged({ ...event.mail.tags, notify_delivery_id: [sent.itemId] }),
    ])
      assert.equal((await service.tell({ Message })).status, 204, Message);
    assert.deepEqual(await service.delivery(sent.id), sent);
    assert.equal(await service.counted('ses', 'unknown'), 1);
  });

  it('come to the same in every order, and repeated', async (t) => {
    const service = await bench(t);
    let users = 0;
    const types = ['Send', 'Delivery', 'Open', 'Bounce', 'Complaint'];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...types), { minLength: 1, maxLength: 5 }), async (told) => {
        const sent = await service.send('email', `user-${++users}@example.org`);
        for (const type of told)
          await service.tell({ Message: service.event(type, { bounceType: 'Permanent' }) });
        const arrived = told.some((type) => ['Delivery', 'Open', 'Complaint'].includes(type));
        const { status } = await service.delivery(sent.id);
        const expected = arrived ? 'ACKED' : told.includes('Bounce') ? 'FAILED' : 'DELIVERED';
        assert.equal(status, `DELIVERY_STATUS_${expected}`);
      }),
      { numRuns: 25 },
    );
  });

  it('find back to a tenant whose name is longer than a tag', async (t) => {
    const service = await bench(t);
    await call(service.service.url.internal, procedures.notify, {
      tenantId: 'ä'.repeat(512),
      notificationId: 'n',
      userIds: ['alice'],
      title: 'x',
      channels: ['DELIVERY_CHANNEL_EMAIL'],
      addresses: { alice: { byChannel: { email: address } } },
    });
    const { EmailTags } = JSON.parse(service.ses.only.body) as {
      EmailTags: { Name: string; Value: string }[];
    };
    for (const { Name, Value } of EmailTags) {
      assert.match(Name, /^[A-Za-z0-9_-]{1,256}$/);
      assert.match(Value, /^[A-Za-z0-9_.@-]{1,256}$/);
    }
    assert.equal((await service.tell({ Message: service.event('Delivery') })).status, 204);
    assert.equal(await service.counted('ses', 'arrived'), 1);
  });
});
