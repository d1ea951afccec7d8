import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DatabaseClock } from '../../../../plugins/store/postgres/database-clock.ts';
import { system } from '../../../../src/system.ts';
import { build, call, procedures } from '../../../support/build.ts';
import { eventually } from '../../../support/eventually.ts';
import { FakeProvider, using } from '../../../support/fake-provider.ts';
import { postgresForFile } from '../../../support/postgres.ts';

const { postgres, skip } = await postgresForFile();
const hourMs = 3_600_000;

describe('the clock that replicas share', () => {
  it('is the database clock as of the last answer, and counts on by elapsed time', () => {
    let elapsedMs = 5_000;
    const clock = new DatabaseClock(1_000_000, () => elapsedMs);
    assert.equal(clock.now(), 1_000_000, 'before any answer: what we know ourselves');
    const askedAtMs = clock.ask();
    elapsedMs += 40;
    clock.correct(2_000_000, askedAtMs);
    assert.equal(clock.now(), 2_000_020, 'the answer was made half way');
    elapsedMs += 1_000;
    assert.equal(clock.now(), 2_001_020);
  });
});

describe('a machine whose clock is set back by an hour under a running replica', { skip }, () => {
  it('gives leases that last, and fires no schedule early or late', async (t) => {
    const email = new FakeProvider('email');
    const { env, overrides } = using(email);
    let shiftMs = 0;
    const ambient = { ...system, clock: { ...system.clock, now: () => Date.now() + shiftMs } };
    const held = Promise.withResolvers<void>();
    t.after(() => held.resolve());
    const dsn = await postgres().database();
    const all = {
      ...env,
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn,
      NOTIFY_SYNC_ATTEMPT_TIMEOUT: '100ms',
    };
    const settings = { dispatcher: { pollMs: 50, graceMs: 50 } };
    const replica = await build(t, all, { ...overrides, ...settings, ambient });
    await build(t, all, { ...overrides, ...settings });
    const send = (id: string, sendAtMs: number) =>
      call(replica.url.internal, procedures.notify, {
        tenantId: 'demo',
        notificationId: id,
        userIds: ['ada'],
        channels: ['DELIVERY_CHANNEL_EMAIL'],
        addresses: { ada: { byChannel: { email: 'ada@example.org' } } },
        title: id,
        sendAtMs: String(sendAtMs),
      });
    email.answer = ({ content }) => (content.notificationId === 'held' ? held.promise : Promise.resolve());
    const sentIds = () => email.sent.map(({ content }) => content.notificationId);
    await send('held', 0);
    for (shiftMs of [-hourMs, hourMs]) {
      const id = shiftMs < 0 ? 'back' : 'ahead';
      const dueAtMs = Date.now() + 500;
      await send(`now-${id}`, 0);
      await send(id, dueAtMs);
      await eventually('the scheduled one to be sent', () => sentIds().includes(id));
      const lateMs = Date.now() - dueAtMs;
      assert.ok(lateMs > -20 && lateMs < 5_000, `${lateMs} ms late`);
    }
    assert.deepEqual(sentIds(), ['held', 'now-back', 'back', 'now-ahead', 'ahead'], 'each of them once');
  });
});
