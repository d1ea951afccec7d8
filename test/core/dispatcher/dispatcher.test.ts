import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeliveryError } from '../../../src/core/channel.ts';
import { NotifyError } from '../../../src/core/errors.ts';
import { fakeAmbient } from '../../support/ambient.ts';
import { type Engine, engine, memoryStore, mortal } from '../../support/delivery.ts';
import { FakeProvider } from '../../support/fake-provider.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

const away = async () => {
  throw new DeliveryError('http_503', 'come back later', { retryable: true });
};
/** Never answers, unless it is aborted. */
const stall = (_: unknown, { signal }: { readonly signal: AbortSignal }) =>
  new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')));
  });
/** Lets time pass in steps, so that whatever falls due on the way runs. */
const pass = async ({ ambient }: Engine, ms: number, stepMs = 1_000) => {
  for (let left = ms; left > 0; left -= stepMs) await ambient.clock.advance(Math.min(left, stepMs));
};

describe('the dispatcher', () => {
  it('tries again what a provider did not take, until it does', async () => {
    const mail = new FakeProvider('email');
    const one = engine([mail]);
    one.dispatcher.start();
    mail.answer = away;
    const answer = await one.notify();
    assert.deepEqual([answer.delivered, answer.pending, answer.failed], [0, 1, 0]);
    assert.equal(answer.results[0]?.reason, 'http_503');
    assert.ok((answer.results[0]?.dueAtMs ?? 0n) >= BigInt(one.ambient.clock.now()), 'and says when');
    await pass(one, 30 * minuteMs);
    const outage = mail.sent.length;
    assert.ok(outage > 3, 'an outage is probed');
    mail.answer = async () => {};
    await pass(one, hourMs);
    assert.equal(mail.sent.length, outage + 1);
    const { status, attempts, dueAtMs, providerMessageId } = await one.delivery('ada', 'email');
    assert.deepEqual([status, attempts, dueAtMs], ['delivered', outage + 1, 0n]);
    assert.equal(providerMessageId, `fake-${outage + 1}`);
    assert.equal(new Set(mail.sent.map(({ idempotencyKey }) => idempotencyKey)).size, 1);
  });

  it('gives up at the horizon, with the last reason', async () => {
    const text = new FakeProvider('sms');
    const one = engine([text]);
    one.dispatcher.start();
    text.answer = away;
    await one.notify();
    await pass(one, 4 * hourMs, 10_000);
    const { status, reason, attempts } = await one.delivery('ada', 'sms');
    assert.deepEqual([status, reason], ['failed', 'http_503']);
    assert.ok(attempts >= 6 && attempts <= 40, `${attempts} attempts in four hours`);
    const before = text.sent.length;
    await pass(one, 24 * hourMs, minuteMs);
    assert.equal(text.sent.length, before, 'final');
  });

  it('does not ask again before the time that the provider named', async () => {
    const mail = new FakeProvider('email');
    const one = engine([mail]);
    one.dispatcher.start();
    mail.answer = async () => {
      throw new DeliveryError('http_429', 'slow down', { retryable: true, retryAfterMs: 20 * minuteMs });
    };
    await one.notify();
    await pass(one, 20 * minuteMs - 1_000);
    assert.equal(mail.sent.length, 1);
    await pass(one, 2_000);
    assert.equal(mail.sent.length, 2);
  });

  it('sends what is scheduled at its second', async () => {
    const mail = new FakeProvider('email');
    const one = engine([mail]);
    one.dispatcher.start();
    await one.ambient.clock.advance(10);
    const sendAtMs = BigInt(one.ambient.clock.now()) + 90_500n;
    const answer = await one.notify({ sendAtMs });
    assert.deepEqual([answer.pending, answer.results[0]?.dueAtMs], [1, sendAtMs]);
    await pass(one, 90_499);
    assert.equal(mail.sent.length, 0);
    await pass(one, 1_001);
    assert.equal(mail.sent.length, 1);
  });

  it('sends nothing that has expired while it waited', async () => {
    const mail = new FakeProvider('email');
    const one = engine([mail]);
    one.dispatcher.start();
    mail.answer = away;
    await one.notify({ expiresAtMs: BigInt(one.ambient.clock.now() + 30_000) });
    mail.answer = async () => {};
    const before = mail.sent.length;
    one.dispatcher.stop(0);
    await pass(one, minuteMs);
    const other = engine([mail], {}, one);
    other.dispatcher.start();
    await pass(other, minuteMs);
    assert.equal(mail.sent.length, before);
    const { status, reason } = await other.delivery('ada', 'email');
    assert.deepEqual([status, reason], ['suppressed', 'expired']);
  });

  it('takes over what a process that died had under way, once its lease is over', async () => {
    const stalled = new FakeProvider('email');
    stalled.answer = stall;
    const ambient = fakeAmbient();
    const store = memoryStore(ambient);
    const process = mortal(store);
    const dead = engine([stalled], { attemptTimeoutMs: 10 * hourMs }, { ambient, store: process.store });
    void dead.notify();
    await ambient.clock.advance(0);
    assert.equal(stalled.sent.length, 1);
    process.die();
    const mail = new FakeProvider('email');
    const alive = engine([mail], {}, { ambient, store });
    alive.dispatcher.start();
    await pass(alive, 44_000);
    assert.equal(mail.sent.length, 0);
    await pass(alive, 3_000);
    assert.equal(mail.sent.length, 1);
    assert.equal(mail.sent[0]?.idempotencyKey, stalled.sent[0]?.idempotencyKey, 'the provider can tell');
  });

  it('keeps what it has under way, however long that takes', async () => {
    const slow = new FakeProvider('email');
    let finish = () => {};
    slow.answer = () => new Promise((resolve) => (finish = resolve));
    const one = engine([slow], { attemptTimeoutMs: 10 * hourMs });
    one.dispatcher.start();
    const answer = one.notify();
    await pass(one, 6_000);
    assert.equal((await answer).pending, 1, 'the call does not wait for it');
    const mail = new FakeProvider('email');
    const other = engine([mail], {}, one);
    other.dispatcher.start();
    await pass(one, 10 * minuteMs);
    assert.equal(mail.sent.length, 0, 'nobody else sends it');
    finish();
    await pass(one, 1_000);
    assert.equal((await one.delivery('ada', 'email')).status, 'delivered');
  });

  it('hands back what a call has no time to begin, and has it sent all the same', async () => {
    const mail = new FakeProvider('email');
    mail.answer = stall;
    const one = engine([mail], { attemptsPerProvider: 2 });
    one.dispatcher.start();
    const answer = one.notify({ userIds: ['a', 'b', 'c', 'd', 'e', 'f'] });
    await pass(one, 5_000);
    assert.equal((await answer).pending, 6);
    assert.equal(mail.sent.length, 2);
    const helper = new FakeProvider('email');
    const other = engine([helper], {}, one);
    other.dispatcher.start();
    const stopped = one.dispatcher.stop(0);
    await pass(other, 2 * minuteMs);
    await stopped;
    assert.equal(new Set(helper.destinations).size, 6, 'each gets one, those that were aborted too');
  });

  it('attempts no more at once than the provider bears', async () => {
    const mail = new FakeProvider('email');
    let underWay = 0;
    let most = 0;
    mail.answer = async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
    };
    const one = engine([mail], { attemptsPerProvider: 5 });
    one.dispatcher.start();
    await one.notify({ userIds: Array.from({ length: 100 }, (_, i) => `user-${i}`) });
    assert.equal(mail.sent.length, 100);
    assert.equal(most, 5);
  });

  it('lets a provider that hangs keep no other waiting', async () => {
    const mail = new FakeProvider('email');
    const text = new FakeProvider('sms');
    mail.answer = stall;
    const one = engine([mail, text], { attemptsPerProvider: 2, heldPerChannel: 4 });
    one.dispatcher.start();
    const answer = one.notify({ userIds: Array.from({ length: 40 }, (_, i) => `user-${i}`) });
    await pass(one, 6_000);
    await answer;
    assert.equal(text.sent.length, 40);
    const more = one.notify({ userIds: ['late'], channels: ['sms'] });
    await pass(one, 1_000);
    assert.equal((await more).delivered, 1);
  });

  for (const [what, others] of [
    ['', []],
    [', also beside channels that nothing is due on', ['sms', 'whatsapp']],
  ] as const)
    it(`drains a backlog without waiting between claims${what}`, async () => {
      const mail = new FakeProvider('email');
      const ambient = fakeAmbient();
      const store = memoryStore(ambient);
      const providers = [mail, ...others.map((channel) => new FakeProvider(channel))];
      const target = engine(providers, { heldPerChannel: 16 }, { ambient, store });
      const sendAtMs = BigInt(ambient.clock.now() + 1_000);
      const userIds = Array.from({ length: 500 }, (_, i) => `user-${i}`);
      await target.notify({ sendAtMs, userIds, channels: ['email'] });
      target.dispatcher.start();
      await ambient.clock.advance(1_000);
      for (let turn = 0; turn < 500 && mail.sent.length < 500; turn++) await ambient.clock.advance(0);
      assert.equal(mail.sent.length, 500, 'in no time at all');
    });

  it('goes on by itself when the store was away, and asks no faster meanwhile', async () => {
    const mail = new FakeProvider('email');
    const ambient = fakeAmbient();
    const store = memoryStore(ambient);
    const one = engine([mail], {}, { ambient, store });
    const sendAtMs = BigInt(ambient.clock.now() + 5_000);
    await one.notify({ sendAtMs });
    const advanceItems = store.advanceItems.bind(store);
    let asked = 0;
    store.advanceItems = async () => {
      asked++;
      throw new NotifyError('unavailable', 'away');
    };
    one.dispatcher.start();
    await pass(one, 30_000);
    assert.ok(asked <= 31, `${asked} times in 30 s`);
    store.advanceItems = advanceItems;
    await pass(one, 2_000);
    assert.equal(mail.sent.length, 1);
    assert.deepEqual(one.failures, ['store away', 'store back']);
  });

  it('writes an outcome that the store did not take, as soon as it does', async () => {
    const mail = new FakeProvider('email');
    const ambient = fakeAmbient();
    const store = memoryStore(ambient);
    const one = engine([mail], {}, { ambient, store });
    one.dispatcher.start();
    const recordOutcomes = store.recordOutcomes.bind(store);
    store.recordOutcomes = async () => {
      throw new NotifyError('unavailable', 'away');
    };
    const answer = one.notify();
    await pass(one, 10 * minuteMs);
    await answer;
    assert.equal(mail.sent.length, 1, 'and is not sent again for that');
    store.recordOutcomes = recordOutcomes;
    await pass(one, 2_000);
    assert.equal((await one.delivery('ada', 'email')).status, 'delivered');
    assert.equal(mail.sent.length, 1);
  });

  it('is not disturbed by a clock that is set back', async () => {
    const mail = new FakeProvider('email');
    const one = engine([mail]);
    one.dispatcher.start();
    mail.answer = away;
    await one.notify();
    await one.ambient.clock.set(one.ambient.clock.now() - hourMs);
    mail.answer = async () => {};
    await pass(one, 2 * hourMs, 10_000);
    assert.equal(mail.sent.length, 2);
    assert.equal((await one.delivery('ada', 'email')).status, 'delivered');
  });

  it('forgets a device that its push service does not know any more, unless it came back meanwhile', async () => {
    const push = new FakeProvider('mobile_push');
    const one = engine([push]);
    const owner = { tenantId: 'demo', userId: 'ada' };
    const register = (deviceId: string, token: string) =>
      one.store.registerDevice({
        ...owner,
        id: one.ambient.ids.next(),
        deviceType: 'android',
        deviceId,
        token,
        atMs: BigInt(one.ambient.clock.now()),
      });
    await register('dead', 'token-dead');
    await register('back', 'token-back');
    await one.ambient.clock.advance(1_000);
    push.answer = async ({ destination }) => {
      if (destination === 'token-back') await register('back', 'token-back');
      throw new DeliveryError('unregistered_token', 'the app was removed', { retryable: false });
    };
    const { failed } = await one.notify({ addresses: new Map() });
    assert.equal(failed, 1, 'counted by channel');
    assert.deepEqual(
      (await one.store.listDevices(owner)).map(({ deviceId }) => deviceId),
      ['back'],
    );
    push.answer = async () => {};
    await one.notify({ addresses: new Map() });
    assert.deepEqual(
      push.sent.slice(2).map(({ destination }) => destination),
      ['token-back'],
    );
  });

  it('sets a delivery aside whose attempts ended three processes', async () => {
    const ambient = fakeAmbient();
    const store = memoryStore(ambient);
    for (let life = 0; life < 3; life++) {
      const deadly = new FakeProvider('email');
      deadly.answer = () => new Promise(() => {});
      const process = mortal(store);
      const dying = engine([deadly], { attemptTimeoutMs: 10 * hourMs }, { ambient, store: process.store });
      if (life === 0) void dying.notify();
      else dying.dispatcher.start();
      await pass(dying, 2 * minuteMs);
      assert.equal(deadly.sent.length, 1, `life ${life}`);
      process.die();
      await pass(dying, 2 * minuteMs);
    }
    const mail = new FakeProvider('email');
    const last = engine([mail], {}, { ambient, store });
    last.dispatcher.start();
    await pass(last, 2 * minuteMs);
    assert.equal(mail.sent.length, 0);
    const { status, reason } = await last.delivery('ada', 'email');
    assert.deepEqual([status, reason], ['failed', 'poison']);
  });
});
