/** No answer is larger than what gRPC clients take at their defaults, 4 MiB. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import {
  DeliveryChannel,
  NotificationClientService,
  NotificationInternalService,
  type NotifyRequestSchema,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { DeliveryService } from '../../../proto/gen/notify/v1/delivery_pb.ts';
import { ProducerService } from '../../../proto/gen/notify/v1/producer_pb.ts';
import { as } from '../../support/build.ts';
import { grpcJsTransport } from '../../support/clients.ts';
import { serve } from '../../support/serve.ts';

const service = await serve(
  { after: (task) => after(task as () => Promise<void>) },
  { NOTIFY_STORE: 'memory' },
);
const backend = grpcJsTransport(service.url.internal, {});
service.closeFirst(() => backend.close());
const { notify } = createClient(NotificationInternalService, backend);
const { notifyBatch } = createClient(ProducerService, backend);
const { listDeliveries } = createClient(DeliveryService, backend);

const everyChannel = Object.values(DeliveryChannel).filter(
  (channel) => typeof channel === 'number' && channel > 0,
) as DeliveryChannel[];

let count = 0;
const request = (changes: MessageInitShape<typeof NotifyRequestSchema>) => ({
  tenantId: 'demo',
  notificationId: `n-${++count}`,
  userIds: ['alice'],
  channels: [DeliveryChannel.IN_APP],
  ...changes,
});

const users = (howMany: number, prefix = 'user') =>
  Array.from({ length: howMany }, (_, i) => `${prefix}-${i}`);

/** All of a user's notification ids, page by page. */
async function inbox(user: string): Promise<string[]> {
  const transport = grpcJsTransport(service.url.client, as(user));
  service.closeFirst(() => transport.close());
  const client = createClient(NotificationClientService, transport);
  const ids: string[] = [];
  let cursor = '';
  do {
    const page = await client.getNotifications({ cursor, limit: 100 });
    assert.ok(page.notifications.length > 0, 'a page has at least one item');
    ids.push(...page.notifications.map(({ notificationId }) => notificationId));
    cursor = page.nextCursor;
  } while (cursor !== '');
  return ids;
}

const isRefused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ConnectError, String(error));
  assert.equal(error.code, Code.InvalidArgument, error.message);
  assert.match(error.rawMessage, message);
  return true;
};

describe('an inbox', () => {
  const numbers = Array.from({ length: 10_000 }, () => 1);
  for (const [what, draft, howMany] of [
    ['the largest texts', () => ({ body: 'x'.repeat(1_048_576), title: 'x'.repeat(16_384) }), 5],
    [
      'three large items before one of the largest',
      (i: number) =>
        i === 0
          ? { body: 'x'.repeat(1_048_576), title: 'x'.repeat(16_384) }
          : { body: 'x'.repeat(1_045_000) },
      4,
    ],
    ['texts of three bytes a character', () => ({ body: '漢'.repeat(100_000) }), 30],
    ['data that is larger in protobuf than in JSON', () => ({ data: { numbers } }), 80],
  ] as const)
    it(`of ${what} comes page by page, each item once`, async () => {
      const user = `reader-${howMany}-${what.length}`;
      const sent: string[] = [];
      for (let i = 0; i < howMany; i++) {
        const given = request({ ...draft(i), userIds: [user] });
        await notify(given);
        sent.unshift(given.notificationId);
      }
      assert.deepEqual(await inbox(user), sent);
    });
});

it('a list of deliveries to the longest destinations comes page by page, each once', async () => {
  const email = 'x'.repeat(8_192);
  const sent = users(700, 'long');
  for (const part of [sent.slice(0, 350), sent.slice(350)])
    await notify(
      request({
        notificationId: part[0]?.padEnd(1_024, 'x') ?? '',
        userIds: part,
        channels: [DeliveryChannel.EMAIL],
        addresses: Object.fromEntries(part.map((user) => [user, { byChannel: { email } }])),
      }),
    );
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = await listDeliveries({
      tenantId: 'demo',
      channel: DeliveryChannel.EMAIL,
      cursor,
      limit: 500,
    });
    assert.ok(page.deliveries.length > 0);
    assert.ok(page.deliveries.every(({ destination }) => destination === email));
    seen.push(...page.deliveries.map(({ userId }) => userId));
    cursor = page.nextCursor;
  } while (cursor !== '');
  assert.equal(seen.length, sent.length);
  assert.deepEqual(new Set(seen), new Set(sent));
});

describe('the results of Notify', () => {
  it('come for as many users as a call may have', async () => {
    const { results } = await notify(request({ userIds: users(10_000), returnResults: true }));
    assert.equal(results.length, 10_000);
  });

  it('are refused before anything is stored where they would not fit', async () => {
    const userIds = users(10_000, 'many');
    const given = request({ userIds, channels: everyChannel.slice(0, 6), returnResults: true });
    await assert.rejects(
      notify(given),
      isRefused(/^return_results: the answer would be over 4 MiB, .*user_ids/),
    );
    const counts = await notify({ ...given, userIds: userIds.slice(0, 1) });
    assert.equal(counts.results[0]?.created, true, 'nothing was stored');
  });

  it('are refused of a repeat as well, which answers all that is stored', async () => {
    const userIds = users(2_000, 'x'.repeat(200));
    const given = request({ userIds, channels: everyChannel });
    await notify(given);
    const repeat = { ...given, channels: [DeliveryChannel.IN_APP], returnResults: true };
    await assert.rejects(notify(repeat), isRefused(/^return_results: .*; everything is stored$/));
    const { results } = await notify({ ...repeat, userIds: userIds.slice(0, 500) });
    assert.equal(results.length, 500 * everyChannel.length);
  });

  it('of a batch fit one answer together; who is over it is told, alone', async () => {
    const requests = Array.from({ length: 8 }, () =>
      request({ userIds: users(5_000, 'batch'), returnResults: true }),
    );
    const { results } = await notifyBatch({ requests });
    const kinds = results.map(({ result }) =>
      result.case === 'response' ? result.value.results.length : result.value?.message.slice(0, 16),
    );
    assert.deepEqual(new Set(kinds), new Set([5_000, 'return_results: ']));
    assert.ok(kinds.filter((kind) => kind === 5_000).length >= 3, `${kinds}`);
  });
});
