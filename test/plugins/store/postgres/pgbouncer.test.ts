import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeliveryError } from '../../../../src/core/channel.ts';
import { as, build, call, procedures, type Service } from '../../../support/build.ts';
import { eventually } from '../../../support/eventually.ts';
import { FakeProvider, using } from '../../../support/fake-provider.ts';
import { noPgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { postgresForFile } from '../../../support/postgres.ts';

const { postgres, skip } = await postgresForFile();

/** What of a delivery these tests look at. */
interface Listed {
  readonly id: string;
  readonly status: string;
  readonly reason?: string;
}

const ops = 'notify.v1.DeliveryService';

/** The service behind a pooler of two sessions, with an email provider that the test scripts. */
async function behindPooler(
  t: Parameters<typeof build>[0],
): Promise<{ service: Service; email: FakeProvider }> {
  const direct = await postgres().database('empty');
  const dsn = await startPgBouncer(t, direct);
  const email = new FakeProvider('email');
  const { env, overrides } = using(email);
  const service = await build(
    t,
    {
      ...env,
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: dsn,
      NOTIFY_POSTGRES_DIRECT_DSN: direct,
      NOTIFY_POSTGRES_PREPARE: 'false',
      NOTIFY_RETRY_BASE: '20ms',
    },
    { ...overrides, dispatcher: { pollMs: 50 } },
  );
  return { service, email };
}

const ok = async (answer: ReturnType<typeof call>): Promise<Record<string, unknown>> => {
  const { status, body } = await answer;
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};

const notify = (service: Service, id: string, users: readonly string[], more: object = {}) =>
  ok(
    call(service.url.internal, procedures.notify, {
      tenantId: 'demo',
      notificationId: id,
      userIds: users,
      channels: ['DELIVERY_CHANNEL_IN_APP', 'DELIVERY_CHANNEL_EMAIL'],
      addresses: Object.fromEntries(users.map((u) => [u, { byChannel: { email: `${u}@example.org` } }])),
      title: id,
      ...more,
    }),
  );

describe('behind PgBouncer in transaction mode', { skip: skip || noPgBouncer() }, () => {
  it('migrates past it, and notifies, delivers, lists and retries through it', async (t) => {
    const { service, email } = await behindPooler(t);
    const answer = await notify(service, 'hello', ['ada']);
    assert.deepEqual([answer.delivered, answer.pending], [1, 1]);
    await notify(service, 'hello', ['ada']);
    assert.deepEqual(email.destinations, ['ada@example.org'], 'a repeat sends nothing');

    const inbox = await ok(call(service.url.client, procedures.getNotifications, {}, as('ada')));
    assert.deepEqual(
      [(inbox.notifications as { notificationId: string }[]).map((n) => n.notificationId), inbox.unreadCount],
      [['hello'], 1],
    );
    const read = await ok(call(service.url.client, 'notify.v1.InboxService/MarkAllRead', {}, as('ada')));
    assert.equal(read.count, 1);

    // a transient failure is tried again, a final one is retried by hand
    let tries = 0;
    email.answer = async () => {
      tries += 1;
      throw new DeliveryError('busy', 'try later', { retryable: tries < 2 });
    };
    await notify(service, 'fails', ['bob']);
    const list = async (): Promise<Listed[]> =>
      (
        await ok(
          call(service.url.internal, `${ops}/ListDeliveries`, {
            tenantId: 'demo',
            notificationId: 'fails',
            channel: 'DELIVERY_CHANNEL_EMAIL',
          }),
        )
      ).deliveries as Listed[];
    const failed = await eventually('the delivery to fail', async () => {
      const [delivery] = await list();
      return delivery?.status === 'DELIVERY_STATUS_FAILED' && delivery;
    });
    assert.equal(tries, 2);
    email.answer = async () => {};
    const retried = await ok(
      call(service.url.internal, `${ops}/RetryDeliveries`, { tenantId: 'demo', ids: [failed.id] }),
    );
    assert.equal(retried.retried, 1);
    await eventually(
      'it to be delivered',
      async () => (await list())[0]?.status === 'DELIVERY_STATUS_DELIVERED',
    );
    const { delivery } = (await ok(
      call(service.url.internal, `${ops}/GetDelivery`, { tenantId: 'demo', id: failed.id }),
    )) as { delivery: { attempts: unknown[] } };
    assert.equal(delivery.attempts.length, 3);
  });

  it('shows and sends what was scheduled, and serves many calls over two sessions', async (t) => {
    const { service, email } = await behindPooler(t);
    await notify(service, 'later', ['eve'], { sendAtMs: String(Date.now() + 400) });
    const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);
    const answers = await Promise.all(users.map((user) => notify(service, `n-${user}`, [user])));
    assert.ok(answers.every(({ delivered }) => Number(delivered) === 1));
    await eventually('all of them to be sent', () => email.sent.length === users.length + 1);
    const inbox = await eventually('the scheduled item', async () => {
      const { notifications } = await ok(
        call(service.url.client, procedures.getNotifications, {}, as('eve')),
      );
      return (notifications as unknown[]).length === 1 && notifications;
    });
    assert.ok(inbox);
    assert.equal(new Set(email.destinations).size, users.length + 1);
  });
});
