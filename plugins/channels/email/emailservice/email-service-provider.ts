import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { EmailService } from '../../../../proto/gen/notify/email/v1/email_pb.ts';
import type { Clock } from '../../../../src/core/ambient.ts';
import type {
  ChannelMessage,
  ChannelProvider,
  Checked,
  CheckOptions,
  SendOptions,
  SendReceipt,
} from '../../../../src/core/channel.ts';
import { type Mailbox, mailboxText } from '../address.ts';
import { mailOf } from '../mail.ts';
import { rpcRefusal } from './rpc-refusal.ts';

/**
 * In milliseconds. A call's limit is sent along (grpc-timeout), so that the service can stop too. Pings find out that the other end
 * is gone, rather than the next mail.
 */
const callTimeoutMs = 20_000;
const pings = { pingIntervalMs: 20_000, pingTimeoutMs: 5_000, idleConnectionTimeoutMs: 900_000 };
/**
 * Until the service says how many calls it takes at once (RFC 9113 §6.5.2), one: Node would send a hundred, and those beyond its limit
 * would be refused.
 */
const beforeSettings = { peerMaxConcurrentStreams: 1 };
/** An answer is an id. */
const longestAnswerBytes = 65_536;

/** Mail by a service of the operator's own, over one HTTP/2 connection in the clear. */
export class EmailServiceProvider implements ChannelProvider {
  readonly channel = 'email';
  readonly name = 'emailservice';
  readonly #from: Mailbox;
  readonly #clock: Clock;
  readonly #session: Http2SessionManager;
  readonly #client: Client<typeof EmailService>;

  /** @param address host:port */
  constructor(from: Mailbox, address: string, clock: Clock) {
    const baseUrl = `http://${address}`;
    this.#from = from;
    this.#clock = clock;
    this.#session = new Http2SessionManager(baseUrl, pings, beforeSettings);
    this.#client = createClient(
      EmailService,
      createGrpcTransport({ baseUrl, sessionManager: this.#session, readMaxBytes: longestAnswerBytes }),
    );
  }

  async send(message: ChannelMessage, { signal, idempotencyKey }: SendOptions): Promise<SendReceipt> {
    const { from, to, subject, text, html } = mailOf(message, this.#from);
    try {
      const { messageId } = await this.#client.sendEmail(
        { from: mailboxText(from), to, subject, bodyText: text, bodyHtml: html ?? '', idempotencyKey },
        { signal, timeoutMs: callTimeoutMs },
      );
      return { providerMessageId: messageId };
    } catch (error) {
      throw rpcRefusal(error, signal, this.#clock.now());
    }
  }

  /** Connects. The service asks for no credentials, and has no call that only asks. */
  async check({ signal }: CheckOptions): Promise<Checked> {
    if ((await this.#session.connect()) === 'error')
      throw rpcRefusal(this.#session.error(), signal, this.#clock.now());
    return { state: 'ready', note: 'the mail service answers; there are no credentials to prove' };
  }

  async close(): Promise<void> {
    this.#session.abort();
  }
}
