/**
 * A mail service for NOTIFY_EMAIL_PROVIDER=emailservice, to start from: it prints what it would send.
 * In a project of yours: npm i @connectrpc/connect @connectrpc/connect-node @bufbuild/protobuf, generate email_pb.ts from
 * proto/notify/email/v1/email.proto with protoc-gen-es, and import that.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { EmailService } from '../../../proto/gen/notify/email/v1/email_pb.ts';

/** What was sent under each key. A real service keeps this in its database, in the transaction that takes the mail. */
const taken = new Map<string, string>();

const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.service(EmailService, {
        async sendEmail({ to, subject, idempotencyKey }) {
          if (!to.includes('@')) throw new ConnectError('no address', Code.InvalidArgument);
          const known = taken.get(idempotencyKey);
          if (known !== undefined) return { messageId: known };
          const messageId = randomUUID();
          taken.set(idempotencyKey, messageId);
          process.stdout.write(`${messageId} to ${to}: ${subject}\n`);
          return { messageId };
        },
      }),
  }),
);
server.listen(Number(process.env.PORT ?? 50051), '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`listening on ${typeof address === 'object' && address?.port}\n`);
});
