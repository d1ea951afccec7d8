/** One stream too many, by each limit, as every kind of client is told. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { NotificationClientService } from '../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { as } from '../support/build.ts';
import { serve } from '../support/serve.ts';

const limits = [
  {
    what: 'a user',
    env: { NOTIFY_LIVE_MAX_STREAMS_PER_USER: '1' },
    next: 'alice',
    reason: 'too_many_streams',
    retryMs: [600_000, 600_000],
    retryAfter: '600',
  },
  {
    what: 'a tenant',
    env: { NOTIFY_LIVE_MAX_STREAMS_PER_TENANT: '1' },
    next: 'bob',
    reason: 'too_many_streams',
    retryMs: [600_000, 600_000],
    retryAfter: '600',
  },
  {
    what: 'the process',
    env: { NOTIFY_LIVE_MAX_STREAMS: '1' },
    next: 'bob',
    reason: 'overloaded',
    retryMs: [5_000, 10_000],
    retryAfter: '5',
  },
] as const;

const transports = {
  Connect: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '1.1' }),
  gRPC: (baseUrl: string) => createGrpcTransport({ baseUrl }),
  'gRPC-web': (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
};

for (const { what, env, next, reason, retryMs, retryAfter } of limits)
  describe(`one stream more than ${what} may have`, () => {
    it('is 200, a long retry, an end and nothing more for EventSource', async (t) => {
      const service = await serve(t, env);
      await (await service.open('alice')).next('inbox');
      const refused = await service.open(next);
      await refused.end();
      assert.equal(refused.status, 200);
      assert.deepEqual(
        refused.events.map(({ kind, id, data }) => [kind, id, JSON.parse(data)]),
        [['end', undefined, { reason, reconnect: true }]],
      );
      const [retry = 0] = refused.retries;
      assert.ok(retry >= retryMs[0] && retry <= retryMs[1], `retry: ${retry}`);
    });

    for (const [protocol, transport] of Object.entries(transports))
      it(`is resource_exhausted with Retry-After over ${protocol}`, async (t) => {
        const service = await serve(t, env);
        await (await service.open('alice')).next('inbox');
        const client = createClient(NotificationClientService, transport(service.url.client));
        const stream = client.streamEvents({}, { headers: as(next) });
        await assert.rejects(
          async () => {
            for await (const _ of stream);
          },
          (error) => {
            assert.ok(error instanceof ConnectError);
            assert.equal(error.code, Code.ResourceExhausted);
            assert.equal(error.metadata.get('retry-after'), retryAfter);
            return true;
          },
        );
        // who is refused takes no place
        assert.equal(await service.metric('notify_live_connections'), 1);
      });
  });
