import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { built } from '../../../src/app.ts';
import { ConfigError, parseConfig } from '../../../src/config.ts';
import { fakeAmbient } from '../../support/ambient.ts';
import { build, call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { serve } from '../../support/serve.ts';
import { providerVariables, TestProviderClient, withTestProvider } from '../../support/test-provider.ts';

type Json = Record<string, unknown>;

interface Result extends Json {
  readonly id: string;
  readonly channel: string;
  readonly status: string;
  readonly reason: string;
}

interface Attempt extends Json {
  readonly status: string;
  readonly reason: string;
  readonly detail: string;
  readonly durationMs: string;
  readonly provider: string;
}

interface DeliveryJson extends Json {
  readonly id: string;
  readonly status: string;
  readonly reason: string;
  readonly attemptCount: number;
  readonly providerMessageId: string;
  readonly dueAtMs: string;
  readonly attempts: readonly Attempt[];
}

/** The service with test providers, on a clock that stands still. */
async function start(t: TestContext, env: Readonly<Record<string, string>> = withTestProvider()) {
  const ambient = fakeAmbient();
  const service = await serve(t, env, { ambient });
  const provider = new TestProviderClient(service.url.client);
  let count = 0;
  return {
    service,
    provider,
    clock: ambient.clock,
    /** Notifies alice on one channel. @returns the answer */
    async send(channel: string, address: string, text: Json = {}) {
      count += 1;
      const { status, body } = await call(service.url.internal, procedures.notify, {
        tenantId: 'demo',
        notificationId: `n-${count}`,
        userIds: ['alice'],
        channels: [`DELIVERY_CHANNEL_${channel.toUpperCase()}`],
        addresses: { alice: { byChannel: { [channel]: address } } },
        title: 'title',
        body: 'body',
        returnResults: true,
        ...text,
      });
      assert.equal(status, 200, JSON.stringify(body));
      return { ...body, result: (body.results as Result[])[0] as Result };
    },
    /** The delivery as GetDelivery has it, found by its user. */
    async delivery(): Promise<DeliveryJson> {
      const list = await call(service.url.internal, 'notify.v1.DeliveryService/ListDeliveries', {
        tenantId: 'demo',
      });
      const [newest] = list.body.deliveries as DeliveryJson[];
      const found = await call(service.url.internal, 'notify.v1.DeliveryService/GetDelivery', {
        tenantId: 'demo',
        id: newest?.id,
      });
      return found.body.delivery as DeliveryJson;
    },
  };
}

const pending = 'DELIVERY_STATUS_PENDING';
const delivered = 'DELIVERY_STATUS_DELIVERED';
const failed = 'DELIVERY_STATUS_FAILED';

describe('the test provider', () => {
  it('is there for every channel that a variable gives a provider, and asks for nothing else', async (t) => {
    const { provider, send, delivery } = await start(t);
    const { channels } = await provider.look();
    assert.deepEqual(Object.keys(channels).sort(), Object.keys(providerVariables).sort());
    for (const channel of Object.keys(providerVariables)) {
      const { delivered: count } = (await send(channel, `alice-by-${channel}`)) as Json;
      assert.equal(count, 1, channel);
      const { status, providerMessageId, id } = await delivery();
      assert.deepEqual([status, providerMessageId], [delivered, `test-${id}`]);
    }
    const sent = await provider.messages();
    assert.deepEqual(
      sent.map(({ channel, destination }) => [channel, destination]),
      Object.keys(providerVariables).map((channel) => [channel, `alice-by-${channel}`]),
    );
  });

  it('shows in its mailbox what it was given', async (t) => {
    const { provider, send, delivery, clock } = await start(t);
    await send('email', 'alice@example.com', { title: 'Hello', body: 'It works.\n', actionUrl: '/orders/1' });
    const { id } = await delivery();
    assert.deepEqual(await provider.messages(), [
      {
        number: 1,
        atMs: clock.now(),
        channel: 'email',
        tenantId: 'demo',
        userId: 'alice',
        notificationId: 'n-1',
        destination: 'alice@example.com',
        title: 'Hello',
        body: 'It works.\n',
        type: '',
        actionUrl: '/orders/1',
        idempotencyKey: id,
        outcome: 'accepted',
      },
    ]);
  });

  it('delivers on a retry once an outage is over, under the same key', async (t) => {
    const { provider, send, delivery, clock } = await start(t);
    await provider.set('email', 'fail');
    const { result } = await send('email', 'alice@example.com');
    assert.deepEqual([result.status, result.reason], [pending, 'test_failure']);
    await clock.advance(15_000);
    assert.equal((await delivery()).status, pending, 'the outage goes on');
    await provider.set('email', 'accept');
    await clock.advance(120_000);
    const { id, status, attempts } = await eventually('it is delivered', async () => {
      const found = await delivery();
      return found.status === delivered && found;
    });
    assert.equal(status, delivered);
    assert.deepEqual(
      attempts.map((attempt) => attempt.reason),
      [...attempts.slice(1).map(() => 'test_failure'), ''],
    );
    const sent = await provider.messages();
    assert.deepEqual(
      sent.map(({ outcome }) => outcome),
      [...sent.slice(1).map(() => 'failed'), 'accepted'],
    );
    assert.ok(sent.length > 1);
    assert.deepEqual(new Set(sent.map(({ idempotencyKey }) => idempotencyKey)), new Set([id]));
  });

  it('fails for as many messages as it is told, and not on other channels', async (t) => {
    const { provider, send } = await start(t);
    await provider.set('sms', 'fail', 2);
    assert.equal((await send('email', 'alice@example.com')).result.status, delivered);
    const statuses = [];
    for (const _ of [1, 2, 3]) statuses.push((await send('sms', '+15550100')).result.status);
    assert.deepEqual(statuses, [pending, pending, delivered]);
    assert.deepEqual((await provider.look()).channels.sms, { next: 'accept' });
  });

  it('is not asked again before the time that it named', async (t) => {
    const { provider, send, delivery, clock } = await start(t);
    await provider.set('', 'fail10m', 1);
    const { result } = await send('chat', 'room-1');
    assert.equal(Number(result.dueAtMs), clock.now() + 600_000);
    await clock.advance(599_000);
    assert.equal((await delivery()).attemptCount, 1);
    await clock.advance(3_000);
    await eventually('it is delivered', async () => (await delivery()).status === delivered);
  });

  it('refuses for good, and the answer and the log say why', async (t) => {
    const { provider, send, delivery } = await start(t);
    const answer = await send('email', 'alice+refuse@example.com');
    assert.equal((answer as Json).failed, 1);
    assert.deepEqual([answer.result.status, answer.result.reason], [failed, 'test_refusal']);
    const { status, reason, attempts } = await delivery();
    assert.deepEqual([status, reason], [failed, 'test_refusal']);
    assert.deepEqual(
      attempts.map((attempt) => [attempt.status, attempt.reason, attempt.detail, attempt.provider]),
      [[failed, 'test_refusal', 'the test provider was told to refuse', 'test']],
    );
    assert.deepEqual(await provider.outcomes(), ['refused']);
  });

  it('takes its time: the call answers pending when its own is up, and the attempt goes on', async (t) => {
    const { provider, send, delivery, clock } = await start(t, {
      ...withTestProvider('email'),
      NOTIFY_SYNC_ATTEMPT_TIMEOUT: '3s',
    });
    const call = send('email', 'alice+slow8s@example.com');
    await eventually('it is under way', async () => (await provider.outcomes())[0] === 'waiting');
    await clock.advance(2_900);
    assert.equal(await Promise.race([call, Promise.resolve('under way')]), 'under way');
    await clock.advance(200);
    const { result } = await call;
    assert.deepEqual([result.status, result.reason], [pending, '']);
    assert.deepEqual(await provider.outcomes(), ['waiting']);
    await clock.advance(5_000);
    const { attempts, status } = await eventually('it is delivered', async () => {
      const found = await delivery();
      return found.status === delivered && found;
    });
    assert.deepEqual([status, attempts.length, attempts[0]?.durationMs], [delivered, 1, '8000']);
    assert.deepEqual(await provider.outcomes(), ['accepted']);
  });

  it('never answers: the attempt times out, and the next one is made', async (t) => {
    const { provider, send, delivery, clock } = await start(t, withTestProvider('sms'));
    await provider.set('sms', 'stall', 1);
    const call = send('sms', '+15550100');
    await eventually('it is under way', async () => (await provider.outcomes())[0] === 'waiting');
    await clock.advance(5_000);
    assert.equal((await call).result.status, pending);
    await clock.advance(26_000);
    assert.equal((await provider.outcomes())[0], 'aborted');
    await clock.advance(15_000);
    const { attempts } = await eventually('it is delivered', async () => {
      const found = await delivery();
      return found.status === delivered && found;
    });
    assert.deepEqual(
      attempts.map((attempt) => attempt.reason),
      ['timeout', ''],
    );
  });

  it('says that a device is gone, which is then forgotten', async (t) => {
    const { service, send, clock } = await start(t);
    for (const [deviceType, channel, reason] of [
      ['DEVICE_TYPE_BROWSER', 'web_push', 'subscription_gone'],
      ['DEVICE_TYPE_ANDROID', 'mobile_push', 'unregistered_token'],
    ] as const) {
      await service.as('alice', 'RegisterPushToken', { deviceType, token: `a-token-of-${channel}+gone` });
      // a device that was registered since the attempt began would stay
      await clock.advance(1);
      const first = await send(channel, '', { addresses: {} });
      assert.deepEqual([first.result.status, first.result.reason], [failed, reason]);
      await eventually('the device is forgotten', async () => {
        const { result } = await send(channel, '', { addresses: {} });
        return result.status === pending && result.reason === 'no_destination';
      });
    }
  });

  it('says that an address is gone, which is then dead', async (t) => {
    const { provider, send } = await start(t);
    await provider.set('sms', 'gone');
    assert.equal((await send('sms', '+15550100')).result.reason, 'destination_gone');
    await provider.set('sms', 'accept');
    assert.equal((await send('sms', '+15550100')).result.reason, 'bounced');
    assert.equal((await send('sms', '+15550101')).result.status, delivered);
  });

  it('does as a word in the destination says, whatever its form, and whatever is set for the channel', async (t) => {
    const { provider, send } = await start(t);
    await provider.set('', 'stall');
    for (const [channel, address, status] of [
      ['email', 'alice+fail@example.com', pending],
      ['sms', '+15550100+REFUSE', failed],
      ['whatsapp', '+15550100+fail30s', pending],
      ['mobile_push', 'dGhlIHRva2Vu+refuse', failed],
      ['web_push', '{"endpoint":"https://push.example.com/x+refuse","keys":{}}', failed],
      ['chat', 'room+accept', delivered],
    ] as const)
      assert.equal((await send(channel, address)).result.status, status, address);
    await provider.set('', 'accept');
    for (const address of ['alice+failures@example.com', 'alice+fail503@example.com', 'fail@example.com'])
      assert.equal((await send('email', address)).result.status, delivered, address);
  });

  it('holds a stop up to its deadline while a message stalls, and then lets it through', async (t) => {
    const service = await build(t, {
      ...withTestProvider('email'),
      NOTIFY_SYNC_ATTEMPT_TIMEOUT: '100ms',
      // past the 10 s that Fastify gives a plugin unless told otherwise
      NOTIFY_SHUTDOWN_TIMEOUT: '12s',
    });
    const provider = new TestProviderClient(service.url.client);
    const answer = call(service.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: 'n',
      userIds: ['alice'],
      channels: ['DELIVERY_CHANNEL_EMAIL'],
      addresses: { alice: { byChannel: { email: 'alice+stall@example.com' } } },
    });
    await eventually('it is under way', async () => (await provider.outcomes())[0] === 'waiting');
    await service.close();
    assert.equal((await answer).body.pending, 1);
  });
});

describe('its mailbox', () => {
  it('tells what has changed since the last look', async (t) => {
    const { provider, send, clock } = await start(t);
    await send('email', 'first@example.com');
    const first = await provider.look();
    assert.deepEqual((await provider.look(first.cursor)).messages, []);
    const call = send('email', 'second+slow1s@example.com');
    const second = await eventually('it is under way', async () => {
      const found = await provider.look(first.cursor);
      return found.messages.length > 0 && found;
    });
    assert.deepEqual(
      second.messages.map(({ number, outcome }) => [number, outcome]),
      [[2, 'waiting']],
    );
    await clock.advance(1_000);
    await call;
    const third = await provider.look(second.cursor);
    assert.deepEqual(
      third.messages.map(({ number, outcome }) => [number, outcome]),
      [[2, 'accepted']],
    );
    for (const unknown of ['', 'another-run.7', 'x.y.z', `${third.cursor}x`])
      assert.equal((await provider.look(unknown)).messages.length, 2, unknown);
  });

  it('keeps the last 200 messages, fewer where they are large, and none once it is emptied', async (t) => {
    const { provider, send } = await start(t, withTestProvider('email'));
    const users = Array.from({ length: 250 }, (_, i) => `user-${i}`);
    const addresses = Object.fromEntries(
      users.map((user) => [user, { byChannel: { email: `${user}@example.com` } }]),
    );
    await send('email', '', { userIds: users, addresses });
    const full = await provider.look();
    assert.deepEqual([full.messages.length, full.oldest, full.messages[0]?.number], [200, 51, 250]);
    for (const _ of [1, 2, 3, 4, 5]) await send('email', 'a@example.com', { body: 'x'.repeat(1_000_000) });
    const large = await provider.look();
    assert.deepEqual(
      large.messages.map(({ number }) => number),
      [255, 254, 253],
    );
    await provider.clear();
    const empty = await provider.look();
    assert.deepEqual([empty.messages, empty.oldest], [[], 256]);
  });
});

describe('PUT /dev/test-provider', () => {
  it('names what is wrong, and changes nothing then', async (t) => {
    const { provider } = await start(t, withTestProvider('email', 'sms'));
    for (const [channel, scene, status, message] of [
      ['email', {}, 400, /^next: must be accept, fail, /],
      ['email', { next: 'fail503' }, 400, /^next: /],
      ['email', { next: 'refuse5s' }, 400, /^next: /],
      ['email', { next: 'fail', count: 0 }, 400, /^count: must be a whole number from 1 /],
      ['email', { next: 1, count: 'x' }, 400, /^next: .*; count: /],
      ['email', [], 400, /JSON object/],
      ['email', '{', 400, /./],
      ['chat', { next: 'fail' }, 404, /no test provider; those that have one: email, sms$/],
    ] as const) {
      const answer = await provider.put(channel, scene);
      assert.equal(answer.status, status, JSON.stringify(scene));
      assert.match(((await answer.json()) as { message: string }).message, message);
    }
    const { channels } = await provider.look();
    assert.deepEqual(channels, { email: { next: 'accept' }, sms: { next: 'accept' } });
    await provider.set('email', 'Slow500ms', 3);
    assert.deepEqual((await provider.look()).channels.email, { next: 'slow500ms', count: 3 });
  });

  it('is not open to pages of other origins, which may read no message either', async (t) => {
    const { service } = await start(t, {
      ...withTestProvider('email'),
      NOTIFY_ALLOWED_ORIGINS: 'https://app.example.com',
    });
    const asked = await fetch(`${service.url.client}/dev/test-provider/email`, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example.com', 'access-control-request-method': 'PUT' },
    });
    assert.doesNotMatch(asked.headers.get('access-control-allow-methods') ?? '', /PUT|DELETE/);
    const read = await fetch(`${service.url.client}/dev/test-provider`, {
      headers: { origin: 'https://evil.example.com' },
    });
    assert.notEqual(read.headers.get('access-control-allow-origin'), 'https://evil.example.com');
  });
});

describe('GET /dev/deliveries', () => {
  it('has every attempt of a delivery, for its tenant alone', async (t) => {
    const { service, provider, send } = await start(t, withTestProvider('email'));
    await send('email', 'alice+refuse@example.com');
    const [message] = await provider.messages();
    const at = (tenant: string) =>
      fetch(`${service.url.client}/dev/deliveries/${message?.idempotencyKey}?tenant=${tenant}`);
    const { delivery } = (await (await at('demo')).json()) as { delivery: DeliveryJson };
    assert.deepEqual([delivery.status, delivery.attempts.length], [failed, 1]);
    assert.equal((await at('other')).status, 404);
    assert.equal((await at('')).status, 400);
  });
});

describe('outside dev mode', () => {
  const production = {
    NOTIFY_AUTH_DEV_MODE: 'false',
    NOTIFY_AUTH_JWT_SECRET: 'a secret of more than thirty-two bytes',
    NOTIFY_INTERNAL_TOKEN: 'internal-token-of-the-tests',
  };

  it('the test provider is refused by name, for every channel', () => {
    for (const modules of [{}, { NOTIFY_PLUGINS: './some.js' }]) {
      const refused = () => parseConfig({ ...production, ...withTestProvider(), ...modules }, built);
      assert.throws(refused, (error) => {
        assert.ok(error instanceof ConfigError);
        assert.deepEqual(
          error.violations.map(({ variable }) => variable).sort(),
          Object.values(providerVariables).sort(),
        );
        for (const { message } of error.violations)
          assert.match(
            message,
            /^"test" sends nothing and is for dev mode only; name a real provider or none/,
          );
        return true;
      });
    }
  });

  it('is not offered in the place of another', () => {
    assert.throws(
      () => parseConfig({ ...production, NOTIFY_SMS_PROVIDER: 'sns' }, built),
      /NOTIFY_SMS_PROVIDER: "sns" is not built into this version; use none or twilio$/m,
    );
  });

  it('nothing of it can be reached', async (t) => {
    const { url } = await build(t, production);
    for (const [method, path] of [
      ['GET', '/dev/test-provider'],
      ['PUT', '/dev/test-provider'],
      ['PUT', '/dev/test-provider/email'],
      ['DELETE', '/dev/test-provider/messages'],
      ['GET', '/dev/deliveries/01a20154-4c24-73da-a2b6-ecbca70c375c?tenant=demo'],
    ] as const)
      for (const base of Object.values(url)) {
        const answer = await fetch(`${base}${path}`, { method });
        assert.equal(answer.status, 404, `${method} ${base}${path}`);
      }
  });
});

describe('NOTIFY_EMAIL_FROM', () => {
  it('is asked for beside a real provider alone', () => {
    const withSmtp = { ...built, providers: { ...built.providers, email: ['test', 'smtp'] } };
    const dev = { NOTIFY_AUTH_DEV_MODE: 'true', NOTIFY_EMAIL_SMTP_HOST: 'mail.example.com' };
    const config = parseConfig({ ...dev, NOTIFY_EMAIL_PROVIDER: 'test' }, withSmtp);
    assert.deepEqual([config.providers.email, config.email], [['test'], undefined]);
    for (const named of ['smtp', 'test,smtp'])
      assert.throws(
        () => parseConfig({ ...dev, NOTIFY_EMAIL_PROVIDER: named }, withSmtp),
        /NOTIFY_EMAIL_FROM: is required/,
      );
  });
});
