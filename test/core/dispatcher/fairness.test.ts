import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Channel } from '../../../src/core/glossary.ts';
import { fakeAmbient } from '../../support/ambient.ts';
import { type Engine, engine, memoryStore } from '../../support/delivery.ts';
import { FakeProvider } from '../../support/fake-provider.ts';

/** Never answers, unless it is aborted. */
const stall = (_: unknown, { signal }: { readonly signal: AbortSignal }) =>
  new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')));
  });
const pass = async ({ ambient }: Engine, ms: number, stepMs = 100) => {
  for (let left = ms; left > 0; left -= stepMs) await ambient.clock.advance(Math.min(left, stepMs));
};
const names = (count: number, prefix = 'user') => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
const retry = { baseMs: 10_000, maxMs: 60_000, forMs: { webhook: 3_600_000_000 } };

/** Notifies users of a tenant on a channel, whose destinations are at a server. */
const notify = (one: Engine, tenantId: string, channel: Channel, userIds: string[], over: object = {}) =>
  one.notify({
    tenantId,
    userIds,
    channels: [channel],
    addresses: new Map(userIds.map((id) => [id, { [channel]: `${tenantId}.example/${id}` }])),
    ...over,
  });
/** The same, for the dispatcher to find when it falls due. */
const schedule = async (one: Engine, tenantId: string, channel: Channel, userIds: string[], inMs = 1_000) => {
  await notify(one, tenantId, channel, userIds, { sendAtMs: BigInt(one.ambient.clock.now() + inMs) });
};

/** Webhooks, of which each tenant has a host of its own. */
function hooks(): FakeProvider {
  const servers = { of: (destination: string) => destination.split('/')[0] ?? '', atOnce: 8 };
  return Object.assign(new FakeProvider('webhook'), { servers });
}
const sentFor = (provider: FakeProvider, tenantId: string) =>
  provider.sent.filter((message) => message.tenantId === tenantId);

describe('a tenant whose receiver hangs', () => {
  for (const [what, backlog] of [
    ['fewer than may be held', 200],
    ['many times what may be held', 2_000],
  ] as const)
    it(`delays nobody else, with ${what} due`, async () => {
      const hook = hooks();
      const one = engine([hook], { attemptTimeoutMs: 10_000, retry });
      one.dispatcher.start();
      hook.answer = (message, options) => (message.tenantId === 'dead' ? stall(message, options) : done());
      await schedule(one, 'dead', 'webhook', names(backlog));
      await pass(one, 1_000);
      assert.equal(sentFor(hook, 'dead').length, 8);
      await schedule(one, 'alive', 'webhook', names(300), 500);
      await pass(one, 4_000);
      assert.equal(sentFor(hook, 'alive').length, 300);
      assert.equal((await notify(one, 'alive', 'webhook', ['at-once'])).delivered, 1);
      assert.equal(sentFor(hook, 'dead').length, 8, 'while none of its own was answered or given up');
    });

  it('delays nobody else beside nine of its kind', async () => {
    const hook = hooks();
    const one = engine([hook], { attemptTimeoutMs: 10_000, retry });
    one.dispatcher.start();
    hook.answer = (message, options) =>
      message.tenantId.startsWith('dead') ? stall(message, options) : done();
    for (const tenant of names(10, 'dead')) await schedule(one, tenant, 'webhook', names(100));
    // all of them have been found to be slow by then
    await pass(one, 30_000);
    const before = hook.sent.length;
    await schedule(one, 'alive', 'webhook', names(1_000), 500);
    assert.equal((await notify(one, 'alive', 'webhook', ['at-once'])).delivered, 1);
    await pass(one, 2_000);
    assert.equal(sentFor(hook, 'alive').length, 1_001, 'in no more looks than it would take alone');
    assert.ok(hook.sent.length - before < 1_050, 'and they are asked no more for that');
  });

  it('gets all of it, once each, when the receiver answers again', async () => {
    const hook = hooks();
    const one = engine([hook], { attemptTimeoutMs: 10_000, retry });
    one.dispatcher.start();
    hook.answer = stall;
    await schedule(one, 'dead', 'webhook', names(2_000));
    await pass(one, 15_000);
    const asked = hook.sent.length;
    assert.ok(asked <= 16, `${asked} were asked`);
    hook.answer = done;
    const taken = hook.sent.length;
    await pass(one, 180_000, 1_000);
    const since = hook.sent.slice(taken).map(({ destination }) => destination);
    assert.equal(new Set(hook.destinations).size, 2_000);
    assert.equal(new Set(since).size, since.length, 'none twice');
    assert.equal(one.attempts.size, 0);
    assert.deepEqual(one.failures, []);
  });

  it('costs the store little, however long its backlog is', async () => {
    const hook = hooks();
    const ambient = fakeAmbient();
    const store = memoryStore(ambient);
    let handedBack = 0;
    const release = store.releaseLeases.bind(store);
    store.releaseLeases = (token, held, afterMs) => {
      handedBack += held.length;
      return release(token, held, afterMs);
    };
    const one = engine([hook], { attemptTimeoutMs: 10_000, retry }, { ambient, store });
    one.dispatcher.start();
    hook.answer = stall;
    await schedule(one, 'dead', 'webhook', names(4_000));
    await pass(one, 10_000);
    assert.ok(handedBack > 3_800, 'all of it is looked at once');
    const before = handedBack;
    await pass(one, 300_000, 1_000);
    assert.ok(handedBack - before <= 300 * 21, `${handedBack - before} in 300 s`);
  });

  it('is told so at once by a call that would wait for it, and no attempt is counted', async () => {
    const hook = hooks();
    const one = engine([hook], { attemptTimeoutMs: 10_000, retry });
    hook.answer = stall;
    void notify(one, 'dead', 'webhook', names(200));
    await pass(one, 2_000);
    let pending = 0;
    void notify(one, 'dead', 'webhook', names(20, 'later')).then((answer) => {
      pending = answer.pending;
    });
    await pass(one, 100);
    assert.equal(pending, 20);
    assert.equal(hook.sent.length, 8);
  });
});

describe('a tenant with much to send', () => {
  it('keeps another waiting for no more than what is under way', async () => {
    const mail = new FakeProvider('email');
    const finish: (() => void)[] = [];
    mail.answer = () => new Promise((resolve) => finish.push(resolve));
    const one = engine([mail]);
    one.dispatcher.start();
    const many = notify(one, 'crowd', 'email', names(1_000));
    await pass(one, 100);
    const few = notify(one, 'few', 'email', names(2));
    await pass(one, 100);
    assert.deepEqual([mail.sent.length, sentFor(mail, 'few').length], [32, 0]);
    finish.shift()?.();
    finish.shift()?.();
    await pass(one, 100);
    assert.equal(sentFor(mail, 'few').length, 2);
    mail.answer = done;
    for (const end of finish) end();
    assert.equal((await few).delivered, 2);
    assert.equal((await many).delivered, 1_000);
  });

  it('leaves room for what is due, as long as its calls last', async () => {
    const mail = new FakeProvider('email');
    const finish: (() => void)[] = [];
    mail.answer = () => new Promise((resolve) => finish.push(resolve));
    const one = engine([mail]);
    one.dispatcher.start();
    await schedule(one, 'few', 'email', names(10));
    void notify(one, 'crowd', 'email', names(1_000));
    await pass(one, 2_000);
    for (const end of finish.splice(0, 10)) end();
    await pass(one, 100);
    assert.equal(sentFor(mail, 'few').length, 10);
  });

  it('takes turns with another at a provider’s rate', async () => {
    const text = new FakeProvider('sms');
    const one = engine([text], { limits: { sms: { rate: { every: 1, named: {} } } } });
    one.dispatcher.start();
    await schedule(one, 'crowd', 'sms', names(600));
    await pass(one, 5_000);
    await schedule(one, 'few', 'sms', ['ada'], 500);
    await pass(one, 4_000);
    assert.equal(sentFor(text, 'few').length, 1);
    assert.ok(text.sent.length <= 10);
  });

  it('has the whole lane where nobody else waits', async () => {
    const hook = hooks();
    let underWay = 0;
    let most = 0;
    hook.answer = async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
    };
    Object.assign(hook, { servers: { of: (to: string) => `${to.slice(-1)}.example`, atOnce: 8 } });
    const one = engine([hook], { retry });
    assert.equal((await notify(one, 'only', 'webhook', names(500))).delivered, 500);
    assert.equal(most, 32);
  });
});

describe('a provider that hangs', () => {
  it('keeps nothing waiting that its channel sends by another', async () => {
    const [apple, google] = ['apns', 'fcm'].map((name) =>
      Object.assign(new FakeProvider('mobile_push', name), { takes: (to: string) => to.startsWith(name) }),
    );
    assert.ok(apple && google);
    const one = engine([apple, google], { retry: { ...retry, forMs: { mobile_push: 3_600_000_000 } } });
    one.dispatcher.start();
    apple.answer = stall;
    const sendAtMs = BigInt(one.ambient.clock.now() + 1_000);
    const scheduleBy = (name: string, count: number) =>
      notify(one, 'demo', 'mobile_push', names(count, name), {
        sendAtMs,
        addresses: new Map(names(count, name).map((user) => [user, { mobile_push: user }])),
      });
    await scheduleBy('apns', 1_000);
    await scheduleBy('fcm', 500);
    await pass(one, 10_000);
    assert.equal(google.sent.length, 500);
    assert.equal(apple.sent.length, 32, 'before one of its own was given up');
    assert.deepEqual(one.health, []);
  });
});

async function done(): Promise<void> {}
