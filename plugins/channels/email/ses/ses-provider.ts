import {
  GetAccountCommand,
  SESv2Client,
  SendEmailCommand,
  type SendEmailCommandInput,
} from '@aws-sdk/client-sesv2';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../../../src/core/ambient.ts';
import {
  type ChannelMessage,
  type ChannelProvider,
  type Checked,
  type CheckOptions,
  DeliveryError,
  type SendOptions,
  type SendReceipt,
} from '../../../../src/core/channel.ts';
import { apiAgent } from '../../http/api-agent.ts';
import { headerMailbox, type Mailbox } from '../address.ts';
import { type Mail, mailOf } from '../mail.ts';
import { credentials, later, misconfigured } from '../refusals.ts';
import { emailTagsOf } from './ses-event.ts';
import { sesHandler } from './ses-handler.ts';
import { SesReceipts } from './ses-receipts.ts';

export interface SesSettings {
  readonly region: string;
  /** `<access key id>:<secret access key>`; undefined: what the AWS SDK finds (environment, profile, role of the machine). */
  readonly apiKey: string | undefined;
  readonly endpoint: string | undefined;
  /** The SNS topics that its events come by; undefined: none do. */
  readonly topicArns: readonly string[] | undefined;
}

export interface SesParts {
  readonly clock: Clock;
  /** Kept at most; undefined: the usual number. */
  readonly connections?: number | undefined;
  readonly subscribed: (topicArn: string) => void;
  /** How SNS is reached, where not as SES is. Closed by the provider. */
  readonly snsAgent?: Dispatcher;
}

/** Amazon SES, its v2 API (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html), by its SDK. */
export class SesProvider implements ChannelProvider {
  readonly channel = 'email';
  readonly name = 'ses';
  /** What an account that has just left the sandbox is usually given; the account's own is in the SES console. */
  readonly usualRate = 14;
  readonly #from: Mailbox;
  readonly #agent: ReturnType<typeof apiAgent>;
  readonly #snsAgent: Dispatcher;
  readonly #client: SESv2Client;
  readonly receipts: SesReceipts | undefined;

  constructor(from: Mailbox, settings: SesSettings, { clock, connections, subscribed, snsAgent }: SesParts) {
    const { region, apiKey, endpoint, topicArns } = settings;
    this.#from = from;
    this.#agent = apiAgent(connections);
    this.#snsAgent = snsAgent ?? this.#agent;
    this.receipts =
      topicArns && new SesReceipts({ topicArns, clock, subscribed, dispatcher: this.#snsAgent });
    this.#client = new SESv2Client({
      region,
      ...(endpoint !== undefined && { endpoint }),
      ...(apiKey !== undefined && { credentials: keyPair(apiKey) }),
      // the dispatcher retries
      maxAttempts: 1,
      requestHandler: sesHandler(this.#agent, clock),
    });
  }

  /** SES has no idempotency key; the delivery's tags go along, for its events. */
  async send(message: ChannelMessage, { signal }: SendOptions): Promise<SendReceipt> {
    const command = new SendEmailCommand(inputOf(mailOf(message, this.#from), message));
    try {
      const { MessageId } = await this.#client.send(command, { abortSignal: signal });
      return { providerMessageId: MessageId ?? '' };
    } catch (error) {
      throw refusalOf(error, signal);
    }
  }

  /** Asks how the account is (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html). */
  async check({ signal }: CheckOptions): Promise<Checked> {
    try {
      const { ProductionAccessEnabled, SendingEnabled } = await this.#client.send(new GetAccountCommand({}), {
        abortSignal: signal,
      });
      if (SendingEnabled === false) throw misconfigured('SES takes the credentials, but sending is paused');
      const sandbox =
        ProductionAccessEnabled === false
          ? "; the account is in SES's own sandbox, where only verified addresses get mail"
          : '';
      return { state: 'ready', note: `SES takes the credentials${sandbox}` };
    } catch (error) {
      const refusal = refusalOf(error, signal);
      // a policy that allows nothing but sending is a good one
      if (/\bAccessDeniedException\b/.test(refusal.message))
        return {
          state: 'not_checkable',
          note: 'SES knows the credentials; they may not ask for the account (ses:GetAccount), which sending does not need',
        };
      throw refusal;
    }
  }

  async close(): Promise<void> {
    this.#client.destroy();
    await Promise.all([this.#agent.destroy(), this.#snsAgent.destroy()]);
  }
}

/** What the SDK throws before or beside an answer of SES. */
function refusalOf(error: unknown, signal: AbortSignal): DeliveryError {
  // a fresh one, without what the SDK has hung on it
  if (error instanceof DeliveryError)
    return new DeliveryError(error.code, error.message, {
      retryable: error.retryable,
      ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
    });
  if (signal.aborted) return later('interrupted', 'the attempt was aborted before SES was asked');
  const name = error instanceof Error ? error.name : '';
  if (/Credentials|Token/.test(name))
    return credentials('no AWS credentials were found, or they have run out');
  return later('provider_error', 'the AWS SDK could not make the request');
}

/** The configuration has checked the form. */
function keyPair(apiKey: string): { readonly accessKeyId: string; readonly secretAccessKey: string } {
  const [accessKeyId = '', ...rest] = apiKey.trim().split(':');
  return { accessKeyId, secretAccessKey: rest.join(':') };
}

const utf8 = (Data: string) => ({ Data, Charset: 'UTF-8' });

function inputOf(
  { from, to, replyTo, subject, text, html, headers }: Mail,
  message: ChannelMessage,
): SendEmailCommandInput {
  return {
    FromEmailAddress: headerMailbox(from),
    Destination: { ToAddresses: [to] },
    ...(replyTo && { ReplyToAddresses: [headerMailbox(replyTo)] }),
    Content: {
      Simple: {
        Subject: utf8(subject),
        Body: { Text: utf8(text), ...(html !== undefined && { Html: utf8(html) }) },
        Headers: Object.entries(headers).map(([Name, Value]) => ({ Name, Value })),
      },
    },
    EmailTags: emailTagsOf(message),
  };
}
