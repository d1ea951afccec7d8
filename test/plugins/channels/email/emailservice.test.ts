/** The emailservice provider against real gRPC servers: one that a test scripts, and the one that the docs show. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Code } from '@connectrpc/connect';
import { EmailServiceProvider } from '../../../../plugins/channels/email/emailservice/email-service-provider.ts';
import {
  SendEmailRequestSchema,
  SendEmailResponseSchema,
} from '../../../../proto/gen/notify/email/v1/email_pb.ts';
import { DeliveryError } from '../../../../src/core/channel.ts';
import { channelConformance } from '../../../conformance/channel.ts';
import { type FakeClock, fakeClock } from '../../../support/ambient.ts';
import { emailCase, sender } from '../../../support/email-conformance.ts';
import { deliveryId, emailMessage, privateText, sendOptions } from '../../../support/email-message.ts';
import { eventually } from '../../../support/eventually.ts';
import { grpc, grpcError, grpcReply, readGrpc } from '../../../support/grpc-wire.ts';
import { type Http2Received, ScriptedHttp2 } from '../../../support/scripted-http2.ts';

const open = (base: string, clock: FakeClock): EmailServiceProvider => {
  const { hostname, port } = new URL(base);
  return new EmailServiceProvider(sender, `${hostname}:${port || '50051'}`, clock);
};

const accepted = grpcReply(SendEmailResponseSchema, { messageId: 'mail-1' });
const quoted = `quoted by the service: ${privateText}`;
const refusals = (codes: Readonly<Partial<Record<keyof typeof Code, string>>>) =>
  Object.entries(codes).map(([name, code]) => ({
    when: name,
    reply: grpcError(Code[name as keyof typeof Code], quoted),
    code,
  }));

/** A request as the service reads it. */
function read(request: Http2Received) {
  assert.equal(request.headers[':path'], '/notify.email.v1.EmailService/SendEmail');
  assert.match(String(request.headers['content-type']), /^application\/grpc/);
  return readGrpc(SendEmailRequestSchema, request);
}

channelConformance(
  'emailservice',
  {
    ...emailCase,
    open: (_t, base, clock) => open(base, clock),
    accepted: () => ({ reply: accepted, id: 'mail-1' }),
    understand(request) {
      const { to, subject, bodyText } = read(request);
      return { destination: to, text: `${subject}\n${bodyText}` };
    },
    repeatKey: (request) => read(request).idempotencyKey,
    throttled: (headers) => grpcError(Code.ResourceExhausted, quoted, headers),
    permanent: refusals({
      InvalidArgument: 'grpc_invalid_argument',
      NotFound: 'grpc_not_found',
      AlreadyExists: 'grpc_already_exists',
      OutOfRange: 'grpc_out_of_range',
    }),
    transient: refusals({
      Canceled: 'grpc_canceled',
      Unknown: 'grpc_unknown',
      DeadlineExceeded: 'timeout',
      ResourceExhausted: 'grpc_resource_exhausted',
      Aborted: 'grpc_aborted',
      Internal: 'grpc_internal',
      Unavailable: 'grpc_unavailable',
      DataLoss: 'grpc_data_loss',
      FailedPrecondition: 'provider_misconfigured',
      Unimplemented: 'provider_misconfigured',
    }),
    credentials: refusals({
      PermissionDenied: 'credentials_rejected',
      Unauthenticated: 'credentials_rejected',
    }),
    connections: 1,
    secrets: ['alice@example.org', 'quoted by the service'],
  },
  grpc,
);

/** A mail service that a test scripts, and the provider that calls it. */
async function ground(t: TestContext) {
  const server = await ScriptedHttp2.listen(t);
  server.play(accepted);
  const provider = open(server.url, fakeClock());
  t.after(() => provider.close());
  return { server, provider };
}

describe('a mail by a service of the operator', () => {
  it('has every field, and its id is kept', async (t) => {
    const { provider, server } = await ground(t);
    const rendered = { subject: 'Your\r\norder 📦', html: '<p>Soon</p>' };
    const { providerMessageId } = await provider.send(emailMessage({ rendered }), sendOptions());
    assert.equal(providerMessageId, 'mail-1');
    const { $typeName, ...fields } = read(server.received[0] ?? assert.fail());
    assert.deepEqual(fields, {
      from: '"Größe, \\"Notify\\"" <notify@example.com>',
      to: 'alice@example.org',
      subject: 'Your order 📦',
      bodyText: privateText,
      bodyHtml: '<p>Soon</p>',
      idempotencyKey: deliveryId,
    });
  });

  it('tells the service how long it waits', async (t) => {
    const { provider, server } = await ground(t);
    await provider.send(emailMessage(), sendOptions());
    assert.match(String(server.received[0]?.headers['grpc-timeout']), /^(20000|199\d\d)m$/);
  });

  it('goes over a new connection when the old one is gone', async (t) => {
    const { provider, server } = await ground(t);
    await provider.send(emailMessage(), sendOptions());
    for (const session of server.sessions) session.destroy();
    await eventually('a mail', () =>
      provider.send(emailMessage(), sendOptions()).then(
        () => true,
        () => false,
      ),
    );
    assert.equal(server.connections, 2);
  });

  it('waits for a service that speaks something else', async (t) => {
    const rude = createTcpServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    t.after(() => rude.close());
    const provider = open(`http://127.0.0.1:${(rude.address() as AddressInfo).port}`, fakeClock());
    t.after(() => provider.close());
    await assert.rejects(
      provider.send(emailMessage(), sendOptions()),
      (error) => error instanceof DeliveryError && error.retryable,
    );
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
    const provider = open(`http://127.0.0.1:${port}`, fakeClock());
    t.after(() => provider.close());
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
