import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { DeliveryError } from '../../../src/core/channel.ts';
import { type FakeClock, fakeAmbient } from '../../support/ambient.ts';
import { call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeProvider, using } from '../../support/fake-provider.ts';
import { type StreamService, serve } from '../../support/serve.ts';

const hourMs = 3_600_000;

interface Scene {
  readonly service: StreamService;
  readonly email: FakeProvider;
  readonly clock: FakeClock;
  send(id: string, sendAtMs?: number): Promise<Record<string, unknown>>;
}

async function scene(t: TestContext): Promise<Scene> {
  const ambient = fakeAmbient();
  const email = new FakeProvider('email');
  const { env, overrides } = using(email);
  const service = await serve(t, env, { ...overrides, ambient });
  const send = async (id: string, sendAtMs = 0) => {
    const answer = await call(service.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: id,
      userIds: ['ada'],
      channels: ['DELIVERY_CHANNEL_IN_APP', 'DELIVERY_CHANNEL_EMAIL'],
      addresses: { ada: { byChannel: { email: 'ada@example.org' } } },
      title: id,
      sendAtMs: String(sendAtMs),
    });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  };
  return { service, email, clock: ambient.clock, send };
}

/** What was handed to the provider, by notification_id. */
const sentIds = ({ email }: Scene): string[] => email.sent.map(({ content }) => content.notificationId);

describe('a clock that is set back by an hour', () => {
  it('sends nothing twice that is under way, and stores its outcome', async (t) => {
    const it = await scene(t);
    const held = Promise.withResolvers<void>();
    it.email.answer = () => held.promise;
    const answer = it.send('held');
    await eventually('the provider has it', () => it.email.sent.length === 1);
    await it.clock.set(it.clock.now() - hourMs);
    // as long as the attempt may take: leases are renewed, and looked for, all along
    for (let s = 0; s < 25; s++) await it.clock.advance(1_000);
    held.resolve();
    // the wait of five seconds is over, so the call did not learn of it
    assert.equal((await answer).pending, 2);
    const { notifications } = await it.service.as('ada', 'GetNotifications', {});
    assert.equal((notifications as unknown[]).length, 1);
    for (let s = 0; s < 120; s++) await it.clock.advance(60_000);
    assert.deepEqual(sentIds(it), ['held']);
    const { body } = await call(it.service.url.internal, 'notify.v1.DeliveryService/ListDeliveries', {
      tenantId: 'demo',
      channel: 'DELIVERY_CHANNEL_EMAIL',
    });
    assert.deepEqual(
      (body.deliveries as { status: string }[]).map(({ status }) => status),
      ['DELIVERY_STATUS_DELIVERED'],
    );
  });

  it('fires nothing early, and everything once when its time has come', async (t) => {
    const it = await scene(t);
    const startMs = it.clock.now();
    let isDown = true;
    it.email.answer = async () => {
      if (isDown) throw new DeliveryError('busy', 'try later', { retryable: true });
    };
    await it.send('retried');
    await it.send('scheduled', startMs + 10_000);
    isDown = false;
    await it.clock.set(startMs - hourMs);
    await it.send('meanwhile');
    assert.deepEqual(sentIds(it), ['retried', 'meanwhile'], 'a new call is served at once');
    await it.clock.advance(hourMs - 60_000);
    assert.ok(!sentIds(it).includes('scheduled'), 'its time has not come');
    await it.clock.advance(90_000);
    await eventually('both to be sent', () => it.email.sent.length === 4);
    await it.clock.advance(hourMs);
    assert.deepEqual(sentIds(it).toSorted(), ['meanwhile', 'retried', 'retried', 'scheduled']);
    const { notifications } = await it.service.as('ada', 'GetNotifications', {});
    assert.deepEqual(
      (notifications as { notificationId: string }[]).map(({ notificationId }) => notificationId),
      ['scheduled', 'meanwhile', 'retried'],
      'newest first, as they appeared',
    );
  });
});
