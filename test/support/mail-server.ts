import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';

/** A mail as a server took it. */
export interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly secure: boolean;
  readonly user: string | undefined;
  readonly raw: string;
  readonly mail: ParsedMail;
}

/** A real SMTP server on a port of its own. It closes with the test. */
export class MailServer {
  readonly received: Received[] = [];
  /** Connections so far, and those that are open. */
  connections = 0;
  readonly open = new Set<Socket>();
  readonly port: number;
  readonly #server: SMTPServer;

  /** What the server says to a mail when it has all of it; the default takes it. */
  refuse: () => Error | undefined = () => undefined;

  /** @param options of smtp-server; without any it takes everything from anybody, without TLS */
  static async listen(t: Pick<TestContext, 'after'>, options: SMTPServerOptions = {}): Promise<MailServer> {
    const received = (mail: Received) => server.received.push(mail);
    const smtp = new SMTPServer({
      authOptional: true,
      disabledCommands: [...(options.onAuth ? [] : ['AUTH']), ...(options.cert ? [] : ['STARTTLS'])],
      disableReverseLookup: true,
      closeTimeout: 0,
      onData(stream, session, done) {
        void readMail(stream, session).then((mail) => {
          const refusal = server.refuse();
          if (refusal === undefined) received(mail);
          done(refusal);
        }, done);
      },
      ...options,
    });
    // what clients do wrong is theirs to report
    smtp.on('error', () => {});
    await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve));
    const server = new MailServer(smtp);
    t.after(() => server.close());
    return server;
  }

  private constructor(server: SMTPServer) {
    this.#server = server;
    this.port = (server.server.address() as AddressInfo).port;
    server.server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.open.add(socket);
      socket.on('close', () => this.open.delete(socket));
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(resolve));
    for (const socket of this.open) socket.destroy();
    await closed;
  }
}

/** Reads a mail to its end, and parses it. */
export async function readMail(
  stream: AsyncIterable<Buffer>,
  { envelope, secure, user }: SMTPServerSession,
): Promise<Received> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const raw = Buffer.concat(chunks);
  return {
    from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
    to: envelope.rcptTo.map(({ address }) => address),
    secure,
    user: user === undefined ? undefined : String(user),
    raw: raw.toString('latin1'),
    mail: await simpleParser(raw),
  };
}

/** A refusal in a server's words. */
export const smtpError = (reply: number, text: string): Error =>
  Object.assign(new Error(text), { responseCode: reply });
