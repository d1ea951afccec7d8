import assert from 'node:assert/strict';
import { as, call, procedures } from '../../support/build.ts';
import { eventually } from '../../support/eventually.ts';
import type { Load } from './load.ts';
import type { Replica } from './replica.ts';
import type { Arrival, Sink } from './sink.ts';

/** A delivery as DeliveryService tells of it. */
export interface ListedDelivery {
  readonly id: string;
  readonly userId: string;
  readonly notificationId: string;
  readonly channel: string;
  readonly destination: string;
  readonly status: string;
  readonly reason?: string;
}

/** Every delivery by email of tenant `demo`, by way of the API. */
export async function emailDeliveries(internal: string): Promise<ListedDelivery[]> {
  const found: ListedDelivery[] = [];
  let cursor = '';
  do {
    const { status, body } = await call(internal, 'notify.v1.DeliveryService/ListDeliveries', {
      tenantId: 'demo',
      channel: 'DELIVERY_CHANNEL_EMAIL',
      limit: 500,
      cursor,
    });
    assert.equal(status, 200, JSON.stringify(body));
    found.push(...((body.deliveries ?? []) as ListedDelivery[]));
    cursor = String(body.nextCursor ?? '');
  } while (cursor !== '');
  return found;
}

/** The notification ids of a user's inbox, newest first, by way of the API. */
export async function inboxOf(client: string, userId: string): Promise<string[]> {
  const found: string[] = [];
  let cursor = '';
  do {
    const { status, body } = await call(
      client,
      procedures.getNotifications,
      { limit: 100, cursor },
      as(userId),
    );
    assert.equal(status, 200, JSON.stringify(body));
    for (const item of (body.notifications ?? []) as { notificationId: string }[])
      found.push(item.notificationId);
    cursor = String(body.nextCursor ?? '');
  } while (cursor !== '');
  return found;
}

/** Waits until every delivery that a load asked for has arrived, and its outcome is stored. */
export async function untilDrained(
  replica: Replica,
  sink: Sink,
  expected: number,
  deadlineMs = 60_000,
): Promise<ListedDelivery[]> {
  await eventually(`${expected} deliveries to arrive`, () => sink.size >= expected, deadlineMs).catch(
    async (error: unknown) => {
      const stuck = (await emailDeliveries(replica.url.internal)).filter(
        ({ id }) => sink.of(id).length === 0,
      );
      throw new Error(`${sink.size} of ${expected} arrived; missing ${JSON.stringify(stuck.slice(0, 5))}`, {
        cause: error,
      });
    },
  );
  return eventually(
    'every outcome to be stored',
    async () => {
      const deliveries = await emailDeliveries(replica.url.internal);
      const open = deliveries.filter(({ status }) => status !== 'DELIVERY_STATUS_DELIVERED');
      if (open.length > 0) throw new Error(`${open.length} are not: ${JSON.stringify(open.slice(0, 5))}`);
      return deliveries;
    },
    deadlineMs,
  );
}

/** Sends failed deliveries again, as an operator does. */
export async function retryDeliveries(internal: string, ids: readonly string[]): Promise<void> {
  const { status, body } = await call(internal, 'notify.v1.DeliveryService/RetryDeliveries', {
    tenantId: 'demo',
    ids,
  });
  assert.deepEqual([status, body.retried], [200, ids.length]);
}

/**
 * Waits until nothing is pending any more, and has what was set aside as poison sent again: a process that dies for another reason
 * than the delivery that it holds may do so three times.
 * @returns how many those were
 */
export async function retryPoison(replica: Replica): Promise<number> {
  const settled = await eventually(
    'every delivery to have an outcome',
    async () => {
      const deliveries = await emailDeliveries(replica.url.internal);
      return !deliveries.some(({ status }) => status === 'DELIVERY_STATUS_PENDING') && deliveries;
    },
    60_000,
  );
  const poison = settled.filter(({ reason }) => reason === 'poison').map(({ id }) => id);
  if (poison.length > 0) await retryDeliveries(replica.url.internal, poison);
  return poison.length;
}

/** Everything that was acknowledged is stored once, with one delivery for each recipient, and stands once in the inbox. */
export async function assertStoredOnce(
  load: Load,
  deliveries: readonly ListedDelivery[],
  replica: Replica,
): Promise<void> {
  const keys = deliveries.map(({ notificationId, userId }) => `${notificationId} ${userId}`);
  const wanted = [...load.acknowledged].flatMap(([id, users]) => users.map((user) => `${id} ${user}`));
  assert.deepEqual(keys.sort(), wanted.sort(), 'each acknowledged notification has one delivery');
  const byUser = Map.groupBy(deliveries, ({ userId }) => userId);
  for (const [userId, theirs] of byUser)
    assert.deepEqual(
      (await inboxOf(replica.url.client, userId)).sort(),
      theirs.map(({ notificationId }) => notificationId).sort(),
      `the inbox of ${userId}`,
    );
}

/** What a crash allows to go out again: messages that its process had handed over at most so long before, in milliseconds. */
export const crashWindowMs = 1_500;

/**
 * A message may arrive again only if the process that sent it was killed before it could store that: no earlier than
 * `crashWindowMs` before its end.
 * @returns how many arrived again
 */
export function assertRepeatsOnlyOfCrashes(sink: Sink, replicas: readonly Replica[]): number {
  const killedAt = new Map(replicas.map(({ pid, killedAtMs }) => [pid, killedAtMs]));
  let repeated = 0;
  for (const arrivals of sink.repeats)
    for (const [i, arrival] of arrivals.slice(0, -1).entries()) {
      repeated += 1;
      const beforeMs = (killedAt.get(arrival.pid) ?? Number.POSITIVE_INFINITY) - arrival.atMs;
      const next = arrivals[i + 1] as Arrival;
      assert.ok(
        beforeMs < crashWindowMs,
        `${arrival.key} went out again ${Math.round(next.atMs - arrival.atMs)} ms later by process ${next.pid}; process ${arrival.pid} ${
          Number.isFinite(beforeMs) ? `was killed only after ${Math.round(beforeMs)} ms` : 'was not killed'
        }`,
      );
    }
  return repeated;
}
