import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeliveryError } from '../../../src/core/channel.ts';
import { Circuit, type Sign } from '../../../src/core/dispatcher/circuit.ts';
import { commonMs } from '../../../src/core/dispatcher/spans.ts';
import { fakeClock } from '../../support/ambient.ts';
import { type Engine, engine } from '../../support/delivery.ts';
import { FakeProvider } from '../../support/fake-provider.ts';

const settings = { failures: 3, pauseMs: 5_000, longestPauseMs: 20_000 };

describe('a circuit', () => {
  const open = () => {
    const clock = fakeClock();
    const circuit = new Circuit(settings, clock);
    const attempt = (id: string, sign: Sign) => {
      const leave = circuit.begin();
      return leave === undefined ? 'refused' : circuit.end(leave, id, sign);
    };
    return { clock, circuit, attempt };
  };

  it('opens when the provider was away for several deliveries in a row', () => {
    const { circuit, attempt } = open();
    attempt('a', 'away');
    attempt('b', 'away');
    attempt('c', 'answered');
    attempt('d', 'away');
    attempt('e', 'away');
    assert.equal(circuit.isOpen, false);
    assert.equal(attempt('f', 'away'), 'opened');
    assert.equal(attempt('g', 'away'), 'refused');
  });

  it('does not open for one delivery that fails again and again', () => {
    const { circuit, attempt } = open();
    for (let i = 0; i < 50; i++) attempt('same', 'away');
    assert.equal(circuit.isOpen, false);
  });

  it('opens at once when the credentials are rejected', () => {
    assert.equal(open().attempt('a', 'locked'), 'opened');
  });

  it('lets one attempt through after a pause, which doubles up to a longest', async () => {
    const { clock, circuit, attempt } = open();
    attempt('a', 'locked');
    for (const pauseMs of [5_000, 10_000, 20_000, 20_000]) {
      await clock.advance(pauseMs - 1);
      assert.equal(circuit.places, 0);
      await clock.advance(1);
      assert.equal(circuit.places, 1);
      const leave = circuit.begin();
      assert.ok(leave?.isProbe);
      assert.equal(circuit.begin(), undefined, 'one at a time');
      assert.equal(circuit.end(leave, 'b', 'away'), undefined, 'said once');
    }
    await clock.advance(20_000);
    assert.equal(attempt('c', 'answered'), 'closed');
    assert.equal(circuit.places, Number.POSITIVE_INFINITY);
  });

  it('probes again where a probe came to nothing', async () => {
    const { clock, circuit, attempt } = open();
    attempt('a', 'locked');
    await clock.advance(5_000);
    attempt('b', 'none');
    assert.equal(circuit.places, 1);
  });

  it('closes on the answer to what was under way when it opened; its failure does not lengthen the pause', async () => {
    const { circuit, attempt } = open();
    const early = [circuit.begin(), circuit.begin()];
    attempt('a', 'locked');
    const { probeAtMs } = circuit;
    const [first, second] = early;
    assert.ok(first && second);
    circuit.end(first, 'b', 'away');
    assert.equal(circuit.probeAtMs, probeAtMs);
    assert.equal(circuit.end(second, 'c', 'answered'), 'closed');
  });

  it('knows for how long it was open since a time', async () => {
    const { clock, circuit, attempt } = open();
    const startMs = clock.now();
    await clock.advance(1_000);
    attempt('a', 'locked');
    await clock.advance(5_000);
    attempt('b', 'answered');
    await clock.advance(1_000);
    attempt('c', 'locked');
    await clock.advance(2_000);
    const openMs = (sinceMs: number) => commonMs([circuit.openSince(sinceMs)]);
    assert.equal(openMs(startMs), 7_000);
    assert.equal(openMs(startMs + 4_000), 4_000);
    assert.equal(openMs(clock.now()), 0);
  });
});

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const away = async () => {
  throw new DeliveryError('http_503', 'come back later', { retryable: true });
};
const pass = async ({ ambient }: Engine, ms: number, stepMs = 1_000) => {
  for (let left = ms; left > 0; left -= stepMs) await ambient.clock.advance(Math.min(left, stepMs));
};
const names = (count: number, prefix = 'user') => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);

describe('a provider that is down', () => {
  it('is probed now and then, with nothing lost and everything sent when it is back', async () => {
    const text = new FakeProvider('sms');
    const one = engine([text]);
    one.dispatcher.start();
    text.answer = away;
    const users = names(100);
    const answer = await one.notify({ userIds: users });
    assert.equal(answer.pending, 100);
    const first = text.sent.length;
    assert.ok(first <= 32, `${first} attempts until it was known`);
    // past the four hours that an SMS is tried
    await pass(one, 5 * hourMs, 5_000);
    const probes = text.sent.length - first;
    assert.ok(probes >= 290 && probes <= 310, `${probes} probes in five hours`);
    assert.equal((await one.delivery('user-99', 'sms')).attempts < 50, true, 'they take turns');
    assert.deepEqual(one.health, ['sms/fake down: http_503']);

    text.answer = async () => {};
    await pass(one, 2 * minuteMs);
    for (const user of users) assert.equal((await one.delivery(user, 'sms')).status, 'delivered', user);
    assert.equal(text.sent.length - first - probes, 100, 'each once');
    assert.deepEqual(one.health, ['sms/fake down: http_503', 'sms/fake up']);
    assert.deepEqual(one.failures, []);
  });

  it('is not asked by further calls, which answer at once', async () => {
    const text = new FakeProvider('sms');
    const one = engine([text]);
    one.dispatcher.start();
    text.answer = away;
    await one.notify({ userIds: names(10) });
    const before = text.sent.length;
    const answer = await one.notify({ userIds: names(50, 'late') });
    assert.equal(answer.pending, 50);
    assert.equal(text.sent.length, before);
    const { attempts, status } = await one.delivery('late-7', 'sms');
    assert.deepEqual([attempts, status], [0, 'pending'], 'no attempt is used up');
  });

  it('gives deliveries the time back that it was down for', async () => {
    const text = new FakeProvider('sms');
    const one = engine([text]);
    one.dispatcher.start();
    text.answer = away;
    await one.notify({ userIds: names(10) });
    await pass(one, 5 * hourMs, 5_000);
    // it answers, and is too busy for one of them
    text.answer = async ({ userId }) => {
      if (userId === 'user-3') throw new DeliveryError('http_429', 'busy', { retryable: true });
    };
    await pass(one, hourMs, 5_000);
    assert.equal((await one.delivery('user-3', 'sms')).status, 'pending', 'six hours after it was due');
    await pass(one, 4 * hourMs, 5_000);
    assert.equal((await one.delivery('user-3', 'sms')).status, 'failed');
  });

  it('does not keep what has expired meanwhile', async () => {
    const text = new FakeProvider('sms');
    const one = engine([text]);
    one.dispatcher.start();
    text.answer = away;
    const expiresAtMs = BigInt(one.ambient.clock.now() + hourMs);
    await one.notify({ userIds: names(10), expiresAtMs });
    await pass(one, hourMs + minuteMs, 5_000);
    text.answer = async () => {};
    const before = text.sent.length;
    await pass(one, 2 * minuteMs);
    assert.equal(text.sent.length, before);
  });

  it('is not waited for by what expires: it is suppressed in time, also what was under way at that moment', async () => {
    const text = new FakeProvider('sms');
    const one = engine([text]);
    one.dispatcher.start();
    text.answer = (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    const expiresAtMs = BigInt(one.ambient.clock.now() + 210_000);
    const answer = one.notify({ userIds: names(100), expiresAtMs });
    await pass(one, 210_000);
    await answer;
    assert.deepEqual(one.health, ['sms/fake down: timeout']);
    assert.equal(one.attempts.size, 1, 'a probe is under way');
    await pass(one, 40_000);
    for (const user of names(100)) {
      const { status, reason } = await one.delivery(user, 'sms');
      assert.deepEqual([status, reason], ['suppressed', 'expired'], user);
    }
    assert.deepEqual(one.health, ['sms/fake down: timeout'], 'it is still down');
  });

  it('or rejects our credentials is said once, and the deliveries wait', async () => {
    const mail = new FakeProvider('email');
    const one = engine([mail]);
    one.dispatcher.start();
    mail.answer = async () => {
      throw new DeliveryError('credentials_rejected', 'no', { retryable: true });
    };
    for (const id of ['a', 'b', 'c']) await one.notify({ user: id });
    assert.equal(mail.sent.length, 1, 'one was enough');
    await pass(one, 25 * hourMs, 30_000);
    assert.deepEqual(one.health, ['email/fake down: credentials_rejected']);
    mail.answer = async () => {};
    await pass(one, 2 * minuteMs);
    for (const id of ['a', 'b', 'c']) assert.equal((await one.delivery(id, 'email')).status, 'delivered');
    assert.deepEqual(one.health, ['email/fake down: credentials_rejected', 'email/fake up']);
  });

  it('is no reason to stop where every destination is a server of its own', async () => {
    const hooks = new FakeProvider('webhook');
    Object.assign(hooks, { servers: { of: (destination: string) => destination, atOnce: 8 } });
    const one = engine([hooks]);
    hooks.answer = away;
    await one.notify({ userIds: names(50) });
    assert.equal(hooks.sent.length, 50);
    assert.deepEqual(one.health, []);
  });

  it('does not hold up a stop', async () => {
    const text = new FakeProvider('sms');
    const one = engine([text]);
    one.dispatcher.start();
    text.answer = away;
    await one.notify({ userIds: names(50) });
    await one.dispatcher.stop(1_000);
    assert.equal(one.attempts.size, 0);
  });
});

describe('a rate', () => {
  it('spreads what is sent, and drops nothing', async () => {
    const mail = new FakeProvider('email');
    const one = engine([mail], { limits: { email: { rate: { every: 5, named: {} } } } });
    one.dispatcher.start();
    const answering = one.notify({ userIds: names(60) });
    await pass(one, 5_000, 100);
    assert.ok((await answering).pending >= 30, 'the call does not wait for all');
    assert.ok(mail.sent.length >= 24 && mail.sent.length <= 27, `${mail.sent.length} in five seconds`);
    await pass(one, 8_000, 100);
    assert.equal(mail.sent.length, 60);
    assert.equal(new Set(mail.destinations).size, 60);
  });

  it('does not hold up a stop, which hands back what waits', async () => {
    const mail = new FakeProvider('email');
    const one = engine([mail], { limits: { email: { rate: { every: 1, named: {} } } } });
    void one.notify({ userIds: names(40) });
    await pass(one, 2_000, 500);
    await one.dispatcher.stop(1_000);
    const sent = mail.sent.length;
    await pass(one, 60_000);
    assert.equal(mail.sent.length, sent);
    const other = engine([mail], {}, one);
    other.dispatcher.start();
    await pass(other, 3_000);
    assert.equal(mail.sent.length, 40);
  });
});
