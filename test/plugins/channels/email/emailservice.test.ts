/** The emailservice provider against real gRPC servers: one that a test scripts, and the one that the docs show. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { EmailServiceProvider } from '../../../../plugins/channels/email/emailservice/email-service-provider.ts';
import { EmailService, type SendEmailRequest } from '../../../../proto/gen/notify/email/v1/email_pb.ts';
import { DeliveryError } from '../../../../src/core/channel.ts';
import { fakeClock } from '../../../support/ambient.ts';
import { deliveryId, emailMessage, privateText, sendOptions } from '../../../support/email-message.ts';
import { eventually } from '../../../support/eventually.ts';

type Answer = (request: SendEmailRequest, signal: AbortSignal) => Promise<{ messageId: string }>;

/** A mail service that a test scripts, and the provider that calls it. */
async function ground(t: TestContext) {
  const received: SendEmailRequest[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const service = {
    received,
    sessions,
    connections: 0,
    answer: (async () => ({ messageId: 'mail-1' })) as Answer,
  };
  const server: Http2Server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(EmailService, {
          sendEmail(request, { signal }) {
            received.push(request);
            return service.answer(request, signal);
          },
        }),
    }),
  );
  server.on('session', (session) => {
    service.connections += 1;
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    for (const session of sessions) session.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  const provider = open(t, (server.address() as AddressInfo).port);
  t.after(close);
  return { ...service, service, provider, close };
}

function open(t: TestContext, port: number, host = '127.0.0.1'): EmailServiceProvider {
  const from = { name: 'Größe, "Notify"', address: 'notify@example.com' };
  const provider = new EmailServiceProvider(from, `${host}:${port}`, fakeClock());
  t.after(() => provider.close());
  return provider;
}

/** How a send fails, which must not tell what is private. */
async function failure(sending: Promise<unknown>): Promise<DeliveryError> {
  const error: unknown = await sending.then(
    () => assert.fail('it was taken'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof DeliveryError, inspect(error));
  const shown = inspect(error, { depth: 20, showHidden: true });
  for (const secret of [privateText, 'alice@example.org', 'quoted by the service'])
    assert.ok(!shown.includes(secret), `the error tells ${secret}: ${shown}`);
  return error;
}

const verdict = ({ code, retryable }: DeliveryError) => [code, retryable];

describe('a mail by a service of the operator', () => {
  it('has every field, and its id is kept', async (t) => {
    const { provider, received } = await ground(t);
    const rendered = { subject: 'Your\r\norder 📦', html: '<p>Soon</p>' };
    const { providerMessageId } = await provider.send(emailMessage({ rendered }), sendOptions());
    assert.equal(providerMessageId, 'mail-1');
    const [{ $typeName, ...fields } = assert.fail()] = received;
    assert.deepEqual(fields, {
      from: '"Größe, \\"Notify\\"" <notify@example.com>',
      to: 'alice@example.org',
      subject: 'Your order 📦',
      bodyText: privateText,
      bodyHtml: '<p>Soon</p>',
      idempotencyKey: deliveryId,
    });
  });

  const cases = [
    [Code.Canceled, 'grpc_canceled', true],
    [Code.Unknown, 'grpc_unknown', true],
    [Code.InvalidArgument, 'grpc_invalid_argument', false],
    [Code.DeadlineExceeded, 'timeout', true],
    [Code.NotFound, 'grpc_not_found', false],
    [Code.AlreadyExists, 'grpc_already_exists', false],
    [Code.PermissionDenied, 'credentials_rejected', true],
    [Code.ResourceExhausted, 'grpc_resource_exhausted', true],
    [Code.FailedPrecondition, 'provider_misconfigured', true],
    [Code.Aborted, 'grpc_aborted', true],
    [Code.OutOfRange, 'grpc_out_of_range', false],
    [Code.Unimplemented, 'provider_misconfigured', true],
    [Code.Internal, 'grpc_internal', true],
    [Code.Unavailable, 'grpc_unavailable', true],
    [Code.DataLoss, 'grpc_data_loss', true],
    [Code.Unauthenticated, 'credentials_rejected', true],
  ] as const;
  for (const [code, reason, retryable] of cases)
    it(`that is answered ${Code[code]} is ${reason}`, async (t) => {
      const { provider, service } = await ground(t);
      service.answer = async () => {
        throw new ConnectError('quoted by the service', code);
      };
      assert.deepEqual(verdict(await failure(provider.send(emailMessage(), sendOptions()))), [
        reason,
        retryable,
      ]);
    });

  it('comes again not before the time that the service names', async (t) => {
    const { provider, service } = await ground(t);
    service.answer = async () => {
      throw new ConnectError('busy', Code.ResourceExhausted, { 'retry-after': '17' });
    };
    assert.equal((await failure(provider.send(emailMessage(), sendOptions()))).retryAfterMs, 17_000);
  });

  it('ends with its attempt, and the service is told', async (t) => {
    const { provider, service, received } = await ground(t);
    let stopped = false;
    service.answer = (_request, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          stopped = true;
          reject(new ConnectError('stopped', Code.Canceled));
        });
      });
    const abort = new AbortController();
    const failed = failure(provider.send(emailMessage(), sendOptions(abort.signal)));
    await eventually('the call', () => received.length === 1);
    abort.abort();
    assert.deepEqual(verdict(await failed), ['interrupted', true]);
    await eventually('the service stops', () => stopped);
  });

  it('goes over one connection with all others, and over a new one when that is gone', async (t) => {
    const { provider, service, received, sessions } = await ground(t);
    await Promise.all(Array.from({ length: 100 }, () => provider.send(emailMessage(), sendOptions())));
    assert.equal(received.length, 100);
    assert.equal(service.connections, 1);
    for (const session of sessions) session.destroy();
    await eventually('a mail', () =>
      provider.send(emailMessage(), sendOptions()).then(
        () => true,
        () => false,
      ),
    );
    assert.equal(service.connections, 2);
  });

  it('waits for a service that is away, has no name, or hangs up', async (t) => {
    const { provider, close } = await ground(t);
    await close();
    assert.deepEqual(verdict(await failure(provider.send(emailMessage(), sendOptions()))), [
      'connection_failed',
      true,
    ]);
    const nowhere = open(t, 50_051, 'nobody.invalid');
    assert.deepEqual(verdict(await failure(nowhere.send(emailMessage(), sendOptions()))), [
      'dns_failed',
      true,
    ]);
    const rude = createTcpServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    t.after(() => rude.close());
    const hungUp = open(t, (rude.address() as AddressInfo).port);
    const { retryable } = await failure(hungUp.send(emailMessage(), sendOptions()));
    assert.equal(retryable, true);
  });

  it('breaks off: nobody knows, and it comes again under the same key', async (t) => {
    const { provider, service, sessions } = await ground(t);
    service.answer = async () => {
      for (const session of sessions) session.destroy();
      return { messageId: 'never told' };
    };
    assert.equal((await failure(provider.send(emailMessage(), sendOptions()))).retryable, true);
  });
});

describe('the mail service that the docs show', () => {
  it('takes a mail once, however often it comes', async (t) => {
    const script = fileURLToPath(
      new URL('../../../../docs/channels/emailservice/server.ts', import.meta.url),
    );
    const child = spawn(process.execPath, [script], { env: { ...process.env, PORT: '0' } });
    t.after(() => child.kill());
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const port = /^listening on (\d+)$/.exec((await lines.next()).value ?? '')?.[1];
    const provider = open(t, Number(port));
    const first = await provider.send(emailMessage(), sendOptions());
    const again = await provider.send(emailMessage(), sendOptions());
    assert.notEqual(first.providerMessageId, '');
    assert.equal(again.providerMessageId, first.providerMessageId);
    assert.equal(
      (await lines.next()).value,
      `${first.providerMessageId} to alice@example.org: Your order is on its way`,
    );
  });
});
