import type { Clock } from '../../../../src/core/ambient.ts';
import type {
  ChannelMessage,
  ChannelProvider,
  Checked,
  CheckOptions,
  SendOptions,
  SendReceipt,
} from '../../../../src/core/channel.ts';
import { apiAgent } from '../../http/api-agent.ts';
import { exchange } from '../../http/exchange.ts';
import type { Mailbox } from '../address.ts';
import { objectOf } from '../json.ts';
import { type Mail, mailOf } from '../mail.ts';
import { misconfigured } from '../refusals.ts';
import { customArgsOf, SendGridReceipts } from './sendgrid-receipts.ts';
import { sendGridRefusal } from './sendgrid-refusal.ts';

export interface SendGridSettings {
  readonly apiKey: string;
  /** Another base URL than SendGrid's own, as for its EU region: https://api.eu.sendgrid.com. */
  readonly endpoint: string | undefined;
  /** The public keys that its events are signed by, base64; undefined: it posts none. */
  readonly webhookKeys: readonly string[] | undefined;
}

const defaultEndpoint = 'https://api.sendgrid.com';

/**
 * SendGrid's v3 API, as https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send documents it. Not by its SDK: that one
 * cannot end a single call, takes a broken answer for a failed call, and throws errors that hold the key.
 */
export class SendGridProvider implements ChannelProvider {
  readonly channel = 'email';
  readonly name = 'sendgrid';
  readonly #from: Mailbox;
  readonly #url: URL;
  readonly #scopesUrl: URL;
  readonly #authorization: string;
  readonly #clock: Clock;
  readonly #agent: ReturnType<typeof apiAgent>;
  readonly receipts: SendGridReceipts | undefined;

  /** @param connections that are kept at most; undefined: the usual number */
  constructor(
    from: Mailbox,
    { apiKey, endpoint, webhookKeys }: SendGridSettings,
    clock: Clock,
    connections?: number,
  ) {
    this.#from = from;
    this.#agent = apiAgent(connections);
    this.receipts = webhookKeys && new SendGridReceipts(webhookKeys, clock);
    this.#url = new URL(`${endpoint ?? defaultEndpoint}/v3/mail/send`);
    this.#scopesUrl = new URL(`${endpoint ?? defaultEndpoint}/v3/scopes`);
    this.#authorization = `Bearer ${apiKey}`;
    this.#clock = clock;
  }

  /** SendGrid has no idempotency key; the delivery's tags go along for its events. */
  async send(message: ChannelMessage, { signal }: SendOptions): Promise<SendReceipt> {
    const answer = await exchange(this.#agent, {
      url: this.#url,
      headers: { authorization: this.#authorization, 'content-type': 'application/json' },
      body: JSON.stringify(requestOf(mailOf(message, this.#from), message)),
      signal,
    });
    const refusal = sendGridRefusal(answer, this.#clock.now());
    if (refusal !== undefined) throw refusal;
    return { providerMessageId: String(answer.headers['x-message-id'] ?? '') };
  }

  /** Asks what the key may do (https://www.twilio.com/docs/sendgrid/api-reference/api-key-permissions). */
  async check({ signal }: CheckOptions): Promise<Checked> {
    const headers = { authorization: this.#authorization };
    const answer = await exchange(this.#agent, { method: 'GET', url: this.#scopesUrl, headers, signal });
    if (answer.status === 403)
      return { state: 'not_checkable', note: 'SendGrid knows the API key, and does not tell what it may do' };
    const refusal = sendGridRefusal(answer, this.#clock.now());
    if (refusal !== undefined) throw refusal;
    const scopes = objectOf(answer.body)?.scopes;
    if (Array.isArray(scopes) && !scopes.includes('mail.send'))
      throw misconfigured('SendGrid knows the API key, but it has no permission to send mail (mail.send)');
    return { state: 'ready', note: 'SendGrid takes the API key' };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function requestOf(mail: Mail, message: ChannelMessage) {
  const { from, to, replyTo, subject, text, html, messageId, headers } = mail;
  return {
    personalizations: [{ to: [{ email: to }] }],
    from: senderOf(from),
    ...(replyTo && { reply_to: senderOf(replyTo) }),
    subject,
    // in this order, SendGrid wants it so
    content: [
      { type: 'text/plain', value: text },
      ...(html === undefined ? [] : [{ type: 'text/html', value: html }]),
    ],
    headers: { ...headers, 'Message-ID': messageId },
    custom_args: customArgsOf(message),
  };
}

const senderOf = ({ name, address }: Mailbox) => ({ email: address, ...(name !== '' && { name }) });
