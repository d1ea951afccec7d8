import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ChannelMessage, DeliveryError } from '../../../src/core/channel.ts';
import { type Engine, engine } from '../../support/delivery.ts';
import { FakeProvider } from '../../support/fake-provider.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const throwing = (code: string, options: { retryable: boolean; retryAfterMs?: number }) => async () => {
  throw new DeliveryError(code, 'no', options);
};
const away = throwing('http_503', { retryable: true });
const accept = async () => {};
/** Never answers, unless it is aborted. */
const stall = (_: unknown, { signal }: { readonly signal: AbortSignal }) =>
  new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')));
  });
const pass = async ({ ambient }: Engine, ms: number, stepMs = 1_000) => {
  for (let left = ms; left > 0; left -= stepMs) await ambient.clock.advance(Math.min(left, stepMs));
};
const names = (count: number, prefix = 'user') => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);

const two = () => [new FakeProvider('email', 'first'), new FakeProvider('email', 'second')] as const;
/** A receipt of the first: the message is lost. */
const tellLost = async ({ store, ambient }: Engine, { tenantId, id, deliveryId }: ChannelMessage) => {
  const receipt = { tenantId, id, deliveryId, channel: 'email', provider: 'first', kind: 'lost' } as const;
  const atMs = BigInt(ambient.clock.now());
  await store.recordReceipts([{ ...receipt, reason: 'blocked', detail: '', dead: undefined, atMs }]);
};
const logOf = async (one: Engine, user = 'ada') => {
  const { id } = await one.delivery(user, 'email');
  const { log } = await one.store.getDelivery('demo', id);
  return log.map(({ provider, status, reason }) => [provider, status, reason]);
};

describe('a channel with two providers', () => {
  it('sends nothing that was scheduled, or waits, to an address that has died meanwhile', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    const sendAtMs = BigInt(one.ambient.clock.now()) + BigInt(hourMs);
    await one.notify({ user: 'scheduled', sendAtMs });
    await one.notify({ user: 'other', sendAtMs });
    [first.answer, second.answer] = [away, away];
    await one.notify({ user: 'waiting' });
    [first.answer, second.answer] = [accept, accept];
    const [sentByFirst, sentBySecond] = [first.sent.length, second.sent.length];
    const mark = { tenantId: 'demo', channel: 'email', reason: 'complained' } as const;
    const atMs = BigInt(one.ambient.clock.now());
    await one.store.markAddressesDead([
      { ...mark, address: 'SCHEDULED@email', atMs },
      { ...mark, address: 'waiting@email', atMs },
    ]);
    one.dispatcher.start();
    await pass(one, 2 * hourMs, minuteMs);
    for (const [user, attempts] of [
      ['scheduled', 0],
      ['waiting', 2],
    ] as const) {
      const delivery = await one.delivery(user, 'email');
      assert.deepEqual(
        [delivery.status, delivery.reason, delivery.attempts],
        ['suppressed', 'bounced', attempts],
      );
    }
    assert.equal((await one.delivery('other', 'email')).status, 'delivered');
    assert.deepEqual([first.sent.length - sentByFirst, second.sent.length - sentBySecond], [1, 0]);
    assert.deepEqual(one.failures, []);
  });

  it('does not ask the second for what the first is known to have brought, or for an erased user', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    first.answer = async ({ tenantId, id, deliveryId }) => {
      const receipt = {
        tenantId,
        id,
        deliveryId,
        channel: 'email',
        provider: 'first',
        kind: 'arrived',
      } as const;
      const atMs = BigInt(one.ambient.clock.now());
      await one.store.recordReceipts([{ ...receipt, reason: '', detail: '', dead: undefined, atMs }]);
      throw new DeliveryError('timeout', 'no', { retryable: true });
    };
    await one.notify();
    const { status, attempts } = await one.delivery('ada', 'email');
    assert.deepEqual([status, attempts, second.sent.length], ['acked', 1, 0]);
    first.answer = async ({ tenantId, userId }) => {
      await one.store.eraseUser({ tenantId, userId });
      throw new DeliveryError('http_503', 'no', { retryable: true });
    };
    await one.notify({ user: 'gone' });
    assert.equal(second.sent.length, 0);
  });

  it('takes the second at its word when the first says meanwhile that its own is lost', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    first.answer = throwing('timeout', { retryable: true });
    second.answer = (message) => tellLost(one, message);
    assert.equal((await one.notify()).delivered, 1);
    const { status, reason, provider, attempts } = await one.delivery('ada', 'email');
    assert.deepEqual([status, reason, provider, attempts], ['delivered', '', 'second', 2]);
    assert.deepEqual(one.failures, []);
  });

  it('does not ask the second for what the first is known to have lost', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    one.dispatcher.start();
    first.answer = async (message) => {
      await tellLost(one, message);
      throw new DeliveryError('timeout', 'no', { retryable: true });
    };
    await one.notify();
    await pass(one, hourMs, minuteMs);
    const { status, reason, attempts } = await one.delivery('ada', 'email');
    assert.deepEqual([status, reason, attempts], ['failed', 'blocked', 1]);
    assert.deepEqual([first.sent.length, second.sent.length], [1, 0]);
  });

  it('uses the first alone while that is well', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    assert.equal((await one.notify()).delivered, 1);
    assert.deepEqual([first.sent.length, second.sent.length], [1, 0]);
    assert.equal((await one.delivery('ada', 'email')).provider, 'first');
  });

  for (const code of [
    'http_503',
    'http_429',
    'connection_failed',
    'dns_failed',
    'provider_misconfigured',
    'timeout',
  ])
    it(`goes on to the second at once after ${code}, with the same key`, async () => {
      const [first, second] = two();
      const one = engine([first, second]);
      first.answer = throwing(code, { retryable: true, retryAfterMs: hourMs });
      const answer = await one.notify();
      assert.equal(answer.delivered, 1);
      assert.equal(first.sent[0]?.idempotencyKey, second.sent[0]?.idempotencyKey);
      const { status, provider, providerMessageId, attempts } = await one.delivery('ada', 'email');
      assert.deepEqual(
        [status, provider, providerMessageId, attempts],
        ['delivered', 'second', 'second-1', 2],
      );
      assert.deepEqual(await logOf(one), [
        ['first', 'failed', code],
        ['second', 'delivered', ''],
      ]);
      assert.deepEqual(one.attempted, ['first pending, second is next', 'second delivered']);
    });

  it('takes a refusal for good for an answer', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    first.answer = throwing('invalid_destination', { retryable: false });
    assert.equal((await one.notify()).failed, 1);
    assert.equal(second.sent.length, 0);
    first.answer = away;
    second.answer = throwing('message_refused', { retryable: false });
    assert.equal((await one.notify({ user: 'bob' })).failed, 1);
    assert.equal((await one.delivery('bob', 'email')).reason, 'message_refused', "the second's too");
  });

  it('begins the pause when both have failed, and begins again with the first', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    one.dispatcher.start();
    first.answer = second.answer = away;
    const { pending, results } = await one.notify();
    assert.deepEqual([pending, results[0]?.reason], [1, 'http_503']);
    assert.ok((results[0]?.dueAtMs ?? 0n) <= BigInt(one.ambient.clock.now() + 10_000));
    await pass(one, 10 * minuteMs);
    assert.ok(first.sent.length > 3);
    assert.ok(Math.abs(first.sent.length - second.sent.length) <= 1, 'both each time');
    first.answer = accept;
    await pass(one, hourMs);
    assert.equal((await one.delivery('ada', 'email')).provider, 'first');
    const log = await logOf(one);
    assert.deepEqual(log.at(-1), ['first', 'delivered', '']);
    assert.equal(log.length, first.sent.length + second.sent.length);
  });

  it('waits no longer than the shortest time that they named', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    one.dispatcher.start();
    first.answer = throwing('http_429', { retryable: true, retryAfterMs: 20 * minuteMs });
    second.answer = throwing('http_429', { retryable: true, retryAfterMs: 5 * minuteMs });
    await one.notify();
    await pass(one, 5 * minuteMs - 1_000);
    assert.equal(second.sent.length, 1);
    await pass(one, 2_000);
    assert.equal(second.sent.length, 2);
  });

  it('asks nothing of a first that is down but a probe, and goes back to it', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    one.dispatcher.start();
    first.answer = away;
    assert.equal((await one.notify({ userIds: names(40) })).delivered, 40);
    assert.deepEqual(one.health, ['email/first down: http_503']);
    const known = first.sent.length;
    assert.equal((await one.notify({ userIds: names(40, 'late') })).delivered, 40);
    assert.equal(first.sent.length, known, 'not even asked');
    assert.deepEqual(await logOf(one, 'late-7'), [['second', 'delivered', '']]);
    await pass(one, 6_000);
    assert.equal((await one.notify({ userIds: names(40, 'probing') })).delivered, 40);
    assert.equal(first.sent.length, known + 1, 'probed by one of them');
    first.answer = accept;
    await pass(one, minuteMs);
    const taken = second.sent.length;
    assert.equal((await one.notify({ userIds: names(3, 'back') })).delivered, 3);
    assert.equal((await one.notify({ userIds: names(20, 'again') })).delivered, 20);
    assert.ok(second.sent.length - taken <= 2, 'those that came beside the probe');
    assert.deepEqual(one.health, ['email/first down: http_503', 'email/first up']);
  });

  it('opens the first at once when it rejects our credentials, and mail goes on', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    first.answer = throwing('credentials_rejected', { retryable: true, retryAfterMs: minuteMs });
    for (const user of names(5)) assert.equal((await one.notify({ user })).delivered, 1);
    assert.deepEqual([first.sent.length, second.sent.length], [1, 5]);
  });

  it('waits unattempted while both are down, loses nothing, and has its horizon lengthened by that time', async () => {
    const [first, second] = two();
    const one = engine([first, second], {
      retry: { baseMs: 10_000, maxMs: hourMs, forMs: { email: 4 * hourMs } },
    });
    one.dispatcher.start();
    first.answer = second.answer = away;
    await one.notify({ userIds: names(100) });
    assert.deepEqual(one.health.toSorted(), ['email/first down: http_503', 'email/second down: http_503']);
    const known = first.sent.length + second.sent.length;
    assert.equal((await one.notify({ userIds: names(10, 'late') })).pending, 10);
    assert.equal(first.sent.length + second.sent.length, known);
    assert.equal((await one.delivery('late-3', 'email')).attempts, 0);
    await pass(one, 6 * hourMs, 5_000);
    const probes = first.sent.length + second.sent.length - known;
    assert.ok(probes >= 600 && probes <= 760, `${probes} probes of both in six hours`);
    second.answer = accept;
    await pass(one, 3 * minuteMs);
    for (const user of [...names(100), ...names(10, 'late')])
      assert.equal((await one.delivery(user, 'email')).status, 'delivered', user);
    assert.equal(new Set(second.sent.slice(-110).map(({ userId }) => userId)).size, 110, 'each once');
    assert.deepEqual(one.failures, []);
  });

  it('counts no time for the horizon in which one of them was up', async () => {
    const [first, second] = two();
    const one = engine([first, second], {
      retry: { baseMs: 10_000, maxMs: hourMs, forMs: { email: hourMs } },
    });
    one.dispatcher.start();
    first.answer = away;
    second.answer = throwing('http_429', { retryable: true });
    await one.notify({ userIds: names(10) });
    await pass(one, 2 * hourMs, 10_000);
    assert.equal((await one.delivery('user-3', 'email')).status, 'failed');
  });

  it('keeps a hanging first from nobody once that is known', async () => {
    const [first, second] = two();
    const text = new FakeProvider('sms');
    const one = engine([first, second, text]);
    one.dispatcher.start();
    first.answer = stall;
    const answer = one.notify({ userIds: names(200) });
    await pass(one, 6_000);
    assert.equal((await answer).delivered, 200, 'the other channel was not kept');
    assert.equal(first.sent.length, 32, 'no more than it bears');
    await pass(one, 26_000);
    assert.ok(
      second.sent.length >= 190,
      `${second.sent.length}, once the first attempts had run out of time`,
    );
    const late = one.notify({ userIds: names(20, 'late') });
    await pass(one, 1_000);
    assert.equal((await late).delivered, 40);
    await pass(one, 30_000);
    assert.equal(second.sent.length, 220);
    assert.equal(new Set(second.destinations).size, 220, 'each once');
  });

  it('lets nobody wait for a place of a first that is down', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    first.answer = (message, options) => (first.sent.length <= 27 ? stall(message, options) : away());
    void one.notify({ userIds: names(100) });
    await pass(one, 1_000);
    assert.equal(second.sent.length, 73, 'all but those that hang');
  });

  it('has a lane for each: one at its rate keeps the other from nothing', async () => {
    const [first, second] = two();
    const limits = {
      email: {
        rate: { every: undefined, named: { first: 5 } },
        concurrency: { every: 40, named: { second: 3 } },
        timeoutMs: { every: undefined, named: { first: 2_000 } },
      },
    };
    const one = engine([first, second], { limits });
    one.dispatcher.start();
    let underWay = 0;
    let most = 0;
    second.answer = async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
    };
    first.answer = stall;
    const answer = one.notify({ userIds: names(30) });
    await pass(one, 5_000, 100);
    await answer;
    assert.ok(first.sent.length >= 5 && first.sent.length <= 16, `${first.sent.length} of the first`);
    await pass(one, minuteMs);
    assert.equal(second.sent.length, 30);
    assert.equal(most, 3);
  });

  it('lets a provider say its usual rate, over which the operator has the last word', async () => {
    for (const [rate, atLeast, atMost] of [
      [undefined, 9, 12],
      [{ every: 5, named: {} }, 24, 27],
    ] as const) {
      const mail = Object.assign(new FakeProvider('email'), { usualRate: 2 });
      const one = engine([mail], { limits: { email: { rate } } });
      one.dispatcher.start();
      const answer = one.notify({ userIds: names(60) });
      await pass(one, 5_000, 100);
      await answer;
      const { length } = mail.sent;
      assert.ok(length >= atLeast && length <= atMost, `${length} in five seconds`);
    }
  });

  it('does not go on to the second when it stops, and hands the rest to another process', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    one.dispatcher.start();
    first.answer = stall;
    void one.notify({ userIds: names(3) });
    await pass(one, 1_000);
    const stopped = one.dispatcher.stop(500);
    await pass(one, 1_000);
    await stopped;
    assert.deepEqual([first.sent.length, second.sent.length, one.attempts.size], [3, 0, 0]);
    const others = two();
    const other = engine([...others], {}, one);
    other.dispatcher.start();
    await pass(other, minuteMs);
    assert.equal(others[0].sent.length, 3);
  });

  it('does not go on to the second when the lease was lost meanwhile', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    let fail = () => {};
    first.answer = () =>
      new Promise((_, reject) => {
        fail = () => reject(new DeliveryError('http_503', 'no', { retryable: true }));
      });
    void one.notify();
    await pass(one, 1_000);
    one.store.renewLeases = async (_, held) => held.map(() => false);
    await pass(one, 20_000);
    fail();
    await pass(one, 1_000);
    assert.equal(second.sent.length, 0);
  });

  it('stops between the two when the notification has expired', async () => {
    const [first, second] = two();
    const one = engine([first, second]);
    first.answer = stall;
    const answer = one.notify({ expiresAtMs: BigInt(one.ambient.clock.now() + 20_000) });
    await pass(one, 31_000);
    await answer;
    assert.equal(second.sent.length, 0);
    const { status, reason, attempts } = await one.delivery('ada', 'email');
    assert.deepEqual([status, reason, attempts], ['suppressed', 'expired', 1]);
    assert.deepEqual(await logOf(one), [['first', 'failed', 'timeout']]);
  });

  it('sends what was stored for a provider that is no longer there', async () => {
    const gone = new FakeProvider('email', 'gone');
    const before = engine([gone]);
    gone.answer = away;
    await before.notify();
    await before.dispatcher.stop(0);
    const [first, second] = two();
    const one = engine([first, second], {}, before);
    one.dispatcher.start();
    await pass(one, minuteMs);
    assert.equal((await one.delivery('ada', 'email')).provider, 'first');
  });
});

describe('any number of providers, however they behave', () => {
  const words = ['accept', 'away', 'busy', 'locked', 'refuse', 'stall'] as const;
  const behave = {
    accept,
    away,
    stall,
    busy: throwing('http_429', { retryable: true, retryAfterMs: 30_000 }),
    locked: throwing('credentials_rejected', { retryable: true }),
    refuse: throwing('message_refused', { retryable: false }),
  };

  it('lose nothing, send nothing after one has decided, and log each attempt in its order', async () => {
    const scenes = fc.array(fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(scenes, fc.integer({ min: 1, max: 12 }), async (perProvider, count) => {
        const sends: { user: string; provider: string; word: string }[] = [];
        const providers = perProvider.map((script, i) => {
          const provider = new FakeProvider('email', `provider-${i}`);
          const left = [...script];
          provider.answer = (message, options) => {
            const word = left.shift() ?? 'accept';
            sends.push({ user: message.userId, provider: provider.name, word });
            return behave[word](message, options);
          };
          return provider;
        });
        const one = engine(providers, { attemptsPerProvider: 2 });
        one.dispatcher.start();
        const answer = one.notify({ userIds: names(count) });
        await pass(one, 2 * hourMs, 5_000);
        await answer;
        for (const user of names(count)) {
          const own = sends.filter((sent) => sent.user === user);
          const decided = own.findIndex(({ word }) => word === 'accept' || word === 'refuse');
          assert.equal(decided, own.length - 1, JSON.stringify(own));
          const { status, provider, attempts } = await one.delivery(user, 'email');
          const last = own.at(-1);
          assert.equal(status, last?.word === 'accept' ? 'delivered' : 'failed');
          assert.deepEqual([provider, attempts], [last?.provider, own.length]);
          assert.deepEqual(
            (await logOf(one, user)).map(([name]) => name),
            own.map((sent) => sent.provider),
          );
        }
        assert.equal(one.attempts.size, 0);
        assert.deepEqual(one.failures, []);
        await one.dispatcher.stop(0);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a channel whose destinations belong to one provider or the other', () => {
  const open = () => {
    const apple = Object.assign(new FakeProvider('mobile_push', 'apple'), {
      takes: (token: string) => token.startsWith('apple'),
    });
    const google = Object.assign(new FakeProvider('mobile_push', 'google'), {
      takes: (token: string) => !token.startsWith('apple'),
    });
    const retry = { baseMs: 10_000, maxMs: hourMs, forMs: { mobile_push: hourMs } };
    const one = engine([google, apple], { retry });
    one.dispatcher.start();
    let count = 0;
    const to = (...tokens: string[]) => {
      const userIds = tokens.map((token) => `${token}-${++count}`);
      const addresses = new Map(userIds.map((id) => [id, { mobile_push: id }]));
      return one.notify({ userIds, addresses });
    };
    return { apple, google, one, to };
  };

  it('asks its own alone', async () => {
    const { apple, google, one, to } = open();
    apple.answer = away;
    const { delivered, pending } = await to('apple', 'google');
    assert.deepEqual([delivered, pending, apple.sent.length, google.sent.length], [1, 1, 1, 1]);
    assert.equal((await one.delivery('apple-1', 'mobile_push')).provider, 'apple');
  });

  it('goes on with one while the other is down, and asks the store no faster for that', async () => {
    const { apple, google, one, to } = open();
    apple.answer = away;
    await to(...Array.from({ length: 300 }, () => 'apple'));
    assert.deepEqual(one.health, ['mobile_push/apple down: http_503']);
    let claims = 0;
    const claim = one.store.claimDeliveries.bind(one.store);
    one.store.claimDeliveries = (asked) => {
      claims += 1;
      return claim(asked);
    };
    for (let i = 0; i < 30; i++) {
      assert.equal((await to('google')).delivered, 1);
      await pass(one, 1_000);
    }
    assert.ok(claims < 150, `${claims} claims in 30 s`);
    assert.equal(google.sent.length, 30);
    apple.answer = accept;
    await pass(one, 2 * minuteMs);
    assert.equal(new Set(apple.destinations).size, 300);
    assert.equal((await one.delivery('apple-200', 'mobile_push')).status, 'delivered');
    assert.ok((await one.delivery('apple-200', 'mobile_push')).attempts <= 3);
    assert.deepEqual(one.failures, []);
  });
});
