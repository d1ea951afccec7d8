/** How a stream that was open ends, as clients of every protocol and the log are told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { NotificationClientService } from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { NotifyError } from '../../../src/core/errors.ts';
import { stallTimeoutMs } from '../../../src/core/live/settings.ts';
import { fakeAmbient } from '../../support/ambient.ts';
import { as, procedures } from '../../support/build.ts';
import { grpcJsTransport } from '../../support/clients.ts';
import { eventually } from '../../support/eventually.ts';
import { jwt } from '../../support/jwt.ts';
import { logFile } from '../../support/log.ts';
import { serve } from '../../support/serve.ts';
import { envelope, speak, streamDialects } from '../../support/wire.ts';

const secret = 'a secret of more than thirty-two bytes';
const away = new NotifyError('unavailable', 'the database cannot be reached at the moment; try again', {
  retryAfterMs: 2_000,
});

/** Whoever lost a stream comes back within seconds, but not all at once. */
function isSpread(retryAfter: string | undefined): void {
  assert.ok(Number(retryAfter) >= 5 && Number(retryAfter) <= 10, `Retry-After: ${retryAfter}`);
}

/** The `code` of the log line of the one stream that there was. */
const logged = (log: ReturnType<typeof logFile>) =>
  log.lines('rpc').map(({ code, procedure }) => [code, String(procedure).split('/').at(-1)]);

for (const dialect of streamDialects)
  describe(`a stream over ${dialect.name}`, () => {
    const request = Buffer.from(dialect.isJson ? '{}' : '');

    it('ends as unavailable with Retry-After while the store is away', async (t) => {
      const log = logFile(t);
      const service = await serve(t, {}, { logger: log.logger });
      t.mock.method(service.core.store, 'inboxSummary', () => Promise.reject(away));
      const { error } = await speak(dialect, service.url.client, procedures.streamEvents, request, {
        headers: as('alice'),
      });
      assert.deepEqual([error?.code, error?.message], ['unavailable', away.message]);
      isSpread(error?.retryAfter);
      assert.deepEqual(logged(log), [['unavailable', 'StreamEvents']]);
    });

    it('ends as unavailable when the store goes away in its replay', async (t) => {
      const service = await serve(t);
      t.mock.method(service.core.store, 'notificationsSince', () => Promise.reject(away));
      const { error } = await speak(dialect, service.url.client, procedures.streamEvents, request, {
        headers: as('alice'),
      });
      assert.equal(error?.code, 'unavailable');
      isSpread(error?.retryAfter);
    });

    it('ends as unauthenticated when its token expires', async (t) => {
      const ambient = fakeAmbient();
      const log = logFile(t);
      const service = await serve(t, { NOTIFY_AUTH_JWT_SECRET: secret }, { ambient, logger: log.logger });
      const exp = ambient.clock.now() / 1000 + 60;
      const answer = speak(dialect, service.url.client, procedures.streamEvents, request, {
        headers: { authorization: `Bearer ${jwt(secret, { sub: 'alice', tenant: 'demo', exp })}` },
      });
      await eventually('it is open', () => log.lines('stream_open').length === 1);
      await ambient.clock.advance(61_000);
      const { error } = await answer;
      assert.equal(error?.code, 'unauthenticated');
      assert.match(error.message, /^the token has expired; /);
      assert.deepEqual(logged(log), [['unauthenticated', 'StreamEvents']]);
    });

    it('is logged with the clean end of its age', async (t) => {
      const log = logFile(t);
      const service = await serve(t, { NOTIFY_LIVE_MAX_AGE: '20ms' }, { logger: log.logger });
      const { error } = await speak(dialect, service.url.client, procedures.streamEvents, request, {
        headers: as('alice'),
      });
      assert.deepEqual([error?.code, error?.message], ['canceled', 'reconnect']);
      assert.deepEqual(logged(log), [['canceled', 'StreamEvents']]);
    });
  });

it('a stream that its client closes is logged as ok', async (t) => {
  const log = logFile(t);
  const service = await serve(t, {}, { logger: log.logger });
  const session = http2.connect(service.url.client);
  service.closeFirst(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': `/${procedures.streamEvents}`,
    'content-type': 'application/grpc',
    ...as('alice'),
  });
  stream.end(envelope(Buffer.alloc(0)));
  await once(stream, 'data');
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await eventually('it is logged', () => logged(log).length === 1);
  assert.deepEqual(logged(log), [['ok', 'StreamEvents']]);
});

it('a gRPC client that takes nothing is told resource_exhausted, so that it pauses', async (t) => {
  const ambient = fakeAmbient();
  const log = logFile(t);
  const service = await serve(t, { NOTIFY_LIVE_CONFIRM_TIMEOUT: '0s' }, { ambient, logger: log.logger });
  const transport = grpcJsTransport(service.url.client, as('alice'));
  service.closeFirst(() => transport.close());
  const { message } = await transport.stream(
    NotificationClientService.method.streamEvents,
    undefined,
    undefined,
    undefined,
    (async function* () {
      yield {};
    })(),
  );
  const events = message[Symbol.asyncIterator]();
  await events.next(); // and nothing more is asked for
  await eventually('it is behind', async () => {
    void service.notify('alice', { body: 'x'.repeat(100_000) });
    await ambient.clock.advance(1); // what Notify waits for the stream
    return log.lines('event_queue_full').length > 0;
  });
  await ambient.clock.advance(stallTimeoutMs);
  assert.deepEqual(logged(log).at(-1), ['resource_exhausted', 'StreamEvents']);
  const end = async (): Promise<never> => {
    for (;;) if ((await events.next()).done) throw new Error('it ended as if all were well');
  };
  await assert.rejects(end, { code: status.RESOURCE_EXHAUSTED as number });
});
