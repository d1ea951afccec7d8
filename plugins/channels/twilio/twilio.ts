import twilio from 'twilio';
import { Agent, type Dispatcher } from 'undici';
import type { Clock } from '../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  type CheckOptions,
  codes,
  DeliveryError,
  type SendOptions,
  type SendReceipt,
} from '../../../src/core/channel.ts';
import { checkedNumber } from './number.ts';
import { TwilioReceipts } from './receipts.ts';
import { sdkClient } from './sdk-client.ts';
import { segmentsOf } from './segments.ts';
import { type Template, templateOf } from './template.ts';

export interface TwilioSettings {
  readonly accountSid: string;
  readonly authToken: string;
  /** A number, or for SMS a name. */
  readonly from: string | undefined;
  /** Wins over the number. */
  readonly messagingServiceSid: string | undefined;
  /** Undefined: Twilio's own. */
  readonly endpoint: string | undefined;
  /** Where Twilio reaches this service; undefined: it tells nothing of what it took. */
  readonly publicUrl: string | undefined;
}

type SdkHttpClient = NonNullable<ConstructorParameters<typeof twilio.Twilio>[2]>['httpClient'];

const standardEndpoint = 'https://api.twilio.com';
/** As many as the SDK's own client has. */
const usualConnections = 20;
/** Twilio's limit for a text, in characters (www.twilio.com/docs/messaging/api/message-resource, "body"). */
const longestText = 1_600;
const whatsAppPrefix = 'whatsapp:';

/**
 * SMS and WhatsApp by Twilio's Messages resource (www.twilio.com/docs/messaging/api/message-resource). It has no idempotency
 * key: what was sent when the connection broke may go out twice.
 */
export class TwilioProvider implements ChannelProvider {
  readonly channel: 'sms' | 'whatsapp';
  readonly name = 'twilio';
  readonly #settings: TwilioSettings;
  readonly #clock: Clock;
  readonly receipts: TwilioReceipts | undefined;
  readonly #agent: Dispatcher;

  /**
   * @param connections that are kept at most
   * @throws where the account SID cannot be one
   */
  constructor(
    channel: 'sms' | 'whatsapp',
    settings: TwilioSettings,
    clock: Clock,
    connections = usualConnections,
  ) {
    this.channel = channel;
    this.#agent = new Agent({ allowH2: false, connections });
    this.#settings = settings;
    this.#clock = clock;
    const { authToken, publicUrl } = settings;
    this.receipts =
      publicUrl === undefined ? undefined : new TwilioReceipts(channel, authToken, publicUrl, clock);
    this.#sdk(new AbortController().signal);
  }

  async send(message: ChannelMessage, { signal }: SendOptions): Promise<SendReceipt> {
    const { destination, content } = message;
    const to = this.#onChannel(checkedNumber(destination));
    const what = this.#templateOf(content) ?? { body: textOf(content) };
    const { sid, numSegments } = await this.#sdk(signal).messages.create({
      to,
      ...what,
      ...this.#sender(),
      ...(this.receipts && { statusCallback: this.receipts.urlFor(message) }),
    });
    const detail =
      this.channel === 'sms' && 'body' in what ? segmentsText(what.body, Number(numSegments)) : '';
    return { providerMessageId: typeof sid === 'string' ? sid : '', detail };
  }

  /** Asks for the account (www.twilio.com/docs/iam/api/account). The answer holds its token: nothing of it is told. */
  async check({ signal }: CheckOptions): Promise<Checked> {
    const { status, type } = await this.#sdk(signal).api.v2010.accounts(this.#settings.accountSid).fetch();
    if (status === 'suspended' || status === 'closed')
      throw new DeliveryError(codes.misconfigured, `the Twilio account is ${status}`, { retryable: true });
    const trial = type === 'Trial' ? '; it is a trial account, which sends to verified numbers alone' : '';
    return { state: 'ready', note: `Twilio takes the account SID and the auth token${trial}` };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** The SDK's client for one call: its signal has no other way in. */
  #sdk(signal: AbortSignal) {
    const { accountSid, authToken, endpoint = standardEndpoint } = this.#settings;
    const httpClient = sdkClient({ dispatcher: this.#agent, endpoint, signal, now: () => this.#clock.now() });
    const sdk = new twilio.Twilio(accountSid, authToken, {
      httpClient: httpClient as unknown as NonNullable<SdkHttpClient>,
    });
    sdk.api.baseUrl = endpoint;
    return sdk;
  }

  #sender(): { readonly from: string } | { readonly messagingServiceSid: string } {
    const { from = '', messagingServiceSid } = this.#settings;
    return messagingServiceSid === undefined ? { from: this.#onChannel(from) } : { messagingServiceSid };
  }

  /** Templates are WhatsApp's: an SMS of the same notification has its text. */
  #templateOf({ data }: ChannelMessage['content']): Template | undefined {
    return this.channel === 'whatsapp' ? templateOf(data) : undefined;
  }

  #onChannel(number: string): string {
    if (this.channel === 'sms' || number.startsWith(whatsAppPrefix)) return number;
    return `${whatsAppPrefix}${number}`;
  }
}

/** @param told by Twilio: 0 where a messaging service has yet to choose the sender */
function segmentsText(body: string, told: number): string {
  const { encoding, count } = segmentsOf(body);
  const parts = told > 0 ? told : count;
  return `${parts} ${parts === 1 ? 'segment' : 'segments'}, ${encoding}`;
}

/** Title and body, one under the other. */
function textOf({ title, body }: ChannelMessage['content']): string {
  const text = [title, body].filter((part) => part !== '').join('\n');
  if (text.trim() === '') throw refused('the message has neither title nor body');
  // a character of another plane counts once here: what Twilio counts twice it refuses itself
  if (text.length > longestText && [...text].length > longestText)
    throw refused(`title and body are longer than ${longestText.toLocaleString('en')} characters`);
  return text;
}

const refused = (text: string): DeliveryError =>
  new DeliveryError(codes.messageRefused, text, { retryable: false });
