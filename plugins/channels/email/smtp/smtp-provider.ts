import { createTransport } from 'nodemailer';
import type {
  ChannelMessage,
  ChannelProvider,
  Checked,
  CheckOptions,
  SendOptions,
  SendReceipt,
} from '../../../../src/core/channel.ts';
import type { Mailbox } from '../address.ts';
import { mailOf } from '../mail.ts';
import type { SmtpConnection } from './connection.ts';
import { smtpRefusal } from './smtp-refusal.ts';

/** Mails that a connection carries before it is replaced, and connections that stay open: what servers commonly allow. */
const pool = { pool: true, maxMessages: 100, maxRequeues: 0 } as const;
const usualConnections = 5;

/** In milliseconds. The dispatcher's own limit for an attempt (30 s) comes on top; these name what did not answer. */
export interface SmtpTimeouts {
  readonly dnsTimeout: number;
  readonly connectionTimeout: number;
  readonly greetingTimeout: number;
  /** Without a byte, within a mail. */
  readonly socketTimeout: number;
}

const defaultTimeouts: SmtpTimeouts = {
  dnsTimeout: 5_000,
  connectionTimeout: 10_000,
  greetingTimeout: 10_000,
  socketTimeout: 20_000,
};

/** Mail by SMTP (RFC 5321), over connections that are kept. */
export class SmtpProvider implements ChannelProvider {
  readonly channel = 'email';
  readonly name = 'smtp';
  readonly #from: Mailbox;
  readonly #transport: ReturnType<typeof open>;
  readonly #hasLogin: boolean;

  constructor(from: Mailbox, connection: SmtpConnection, timeouts: Partial<SmtpTimeouts> = {}) {
    this.#from = from;
    this.#hasLogin = connection.login !== undefined;
    this.#transport = open(connection, { ...defaultTimeouts, ...timeouts });
  }

  /** SMTP has no idempotency key: the Message-ID is the same for every attempt, and mailboxes know a mail by that. */
  async send(message: ChannelMessage, { signal }: SendOptions): Promise<SendReceipt> {
    const { from, to, replyTo, subject, text, html, messageId, headers } = mailOf(message, this.#from);
    try {
      await this.#transport.sendMail({
        envelope: { from: from.address, to: [to] },
        from: { ...from },
        to: { name: '', address: to },
        ...(replyTo && { replyTo: { ...replyTo } }),
        subject,
        text,
        ...(html !== undefined && { html }),
        messageId,
        headers: { ...headers },
        signal,
      });
    } catch (error) {
      throw smtpRefusal(error, signal);
    }
    // servers have no common way to tell their queue id; the Message-ID is what their logs are searched by
    return { providerMessageId: messageId };
  }

  /** Connects, with TLS where it is due, logs in and leaves. */
  async check({ signal }: CheckOptions): Promise<Checked> {
    try {
      await this.#transport.verify();
    } catch (error) {
      throw smtpRefusal(error, signal);
    }
    const note = this.#hasLogin
      ? 'the mail server takes the login'
      : 'the mail server answers; there is no login to prove';
    return { state: 'ready', note };
  }

  async close(): Promise<void> {
    this.#transport.close();
  }
}

function open({ host, port, tls, login, trust, connections }: SmtpConnection, timeouts: SmtpTimeouts) {
  return createTransport({
    ...pool,
    maxConnections: connections ?? usualConnections,
    ...timeouts,
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'required',
    // a server that offers no AUTH would be sent to without one
    ...(login && { auth: { ...login }, forceAuth: true }),
    tls: { minVersion: 'TLSv1.2', rejectUnauthorized: tls !== 'local', ...trust },
    // a mail is made of texts; nothing in it names a file or a URL to be read
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}
