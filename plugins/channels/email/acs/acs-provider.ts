import { EmailClient, type EmailMessage } from '@azure/communication-email';
import type { Clock } from '../../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  type CheckOptions,
  codes,
  DeliveryError,
  type SendOptions,
  type SendReceipt,
} from '../../../../src/core/channel.ts';
import { apiAgent } from '../../http/api-agent.ts';
import { exchange } from '../../http/exchange.ts';
import type { Mailbox } from '../address.ts';
import { type Mail, mailOf } from '../mail.ts';
import { later } from '../refusals.ts';
import { acsHttpClient } from './acs-http-client.ts';
import { acsRefusal } from './acs-refusal.ts';
import { signedGet } from './acs-signature.ts';

export interface AcsSettings {
  /** One of the resource's two keys, base64. */
  readonly apiKey: string;
  /** https://<resource>.<region>.communication.azure.com */
  readonly endpoint: string;
}

/** Azure Communication Services (https://learn.microsoft.com/rest/api/communication/email/email/send), by its SDK. */
export class AcsProvider implements ChannelProvider {
  readonly channel = 'email';
  readonly name = 'acs';
  readonly #from: Mailbox;
  readonly #agent: ReturnType<typeof apiAgent>;
  readonly #client: EmailClient;
  readonly #settings: AcsSettings;
  readonly #clock: Clock;

  /** @param connections that are kept at most; undefined: the usual number */
  constructor(from: Mailbox, settings: AcsSettings, clock: Clock, connections?: number) {
    const { apiKey, endpoint } = settings;
    this.#from = from;
    this.#agent = apiAgent(connections);
    this.#settings = settings;
    this.#clock = clock;
    this.#client = new EmailClient(
      endpoint,
      { key: apiKey },
      {
        httpClient: acsHttpClient(this.#agent, clock),
        // the dispatcher retries
        retryOptions: { maxRetries: 0 },
        allowInsecureConnection: endpoint.startsWith('http:'),
      },
    );
  }

  /** The delivery's id is the operation's: the same for every attempt (header Operation-Id). */
  async send(message: ChannelMessage, { signal, idempotencyKey }: SendOptions): Promise<SendReceipt> {
    const mail = messageOf(mailOf(message, this.#from));
    try {
      const poller = await this.#client.beginSend(mail, { operationId: idempotencyKey, abortSignal: signal });
      return { providerMessageId: poller.getResult()?.id ?? '' };
    } catch (error) {
      if (error instanceof DeliveryError) throw error;
      if (signal.aborted) throw later(codes.interrupted, 'the attempt was aborted before Azure was asked');
      // what the SDK throws holds the request
      throw later('provider_error', 'the Azure SDK could not make the request');
    }
  }

  /**
   * Asks how a mail is doing that was never sent (https://learn.microsoft.com/rest/api/communication/email/email/get-send-result):
   * whoever is told that there is none has been let in.
   */
  async check({ signal }: CheckOptions): Promise<Checked> {
    const { apiKey, endpoint } = this.#settings;
    const url = new URL(`${endpoint}/emails/operations/${neverSent}?api-version=${apiVersion}`);
    const headers = signedGet(url, apiKey, this.#clock.now());
    const answer = await exchange(this.#agent, { method: 'GET', url, headers, signal });
    if (answer.status === 400)
      return { state: 'not_checkable', note: 'Azure answers, and does not tell whether it takes the key' };
    const refusal = answer.status === 404 ? undefined : acsRefusal(answer, this.#clock.now());
    if (refusal !== undefined) throw refusal;
    return { state: 'ready', note: 'Azure takes the key' };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

const neverSent = '00000000-0000-4000-8000-000000000000';
/** The SDK's. */
const apiVersion = '2025-09-01';

/** The sender has no name here: Azure has one for each of its sender addresses. */
function messageOf({ from, to, replyTo, subject, text, html, headers }: Mail): EmailMessage {
  return {
    senderAddress: from.address,
    recipients: { to: [{ address: to }] },
    content: { subject, plainText: text, ...(html !== undefined && { html }) },
    ...(replyTo && { replyTo: [{ address: replyTo.address, displayName: replyTo.name }] }),
    headers: { ...headers },
  };
}
