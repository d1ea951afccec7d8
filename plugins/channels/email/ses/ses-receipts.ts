import { verify } from 'node:crypto';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../../../src/core/ambient.ts';
import { NotifyError } from '../../../../src/core/errors.ts';
import {
  type Callback,
  checkAge,
  type ReceiptReader,
  refused,
  unsigned,
} from '../../../../src/core/receipts/reader.ts';
import type { Receipt } from '../../../../src/core/receipts/receipt.ts';
import { get } from '../../http/get.ts';
import { receiptsOf } from './ses-event.ts';
import { SnsCertificates } from './sns-certificates.ts';
import { type SnsMessage, snsHost, snsMessageOf } from './sns-message.ts';

/** SNS repeats a message for up to an hour, with the time of the first (…/sns/latest/dg/sns-message-delivery-retries.html). */
const longestAgeMs = 3_900_000;

const algorithms: Readonly<Record<string, string>> = { '1': 'RSA-SHA1', '2': 'RSA-SHA256' };

export interface SesReceiptsParts {
  /** The topics that may speak: anybody can make one, and have SNS sign for it. */
  readonly topicArns: readonly string[];
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  /** Told when a topic has been subscribed to. */
  readonly subscribed: (topicArn: string) => void;
}

/**
 * SES's events as SNS posts them. Verified by Node itself: `sns-validator` keeps certificates without a bound, fetches them without a
 * time limit, and looks at neither topic nor time.
 */
export class SesReceipts implements ReceiptReader {
  readonly #parts: SesReceiptsParts;
  readonly #certificates: SnsCertificates;

  constructor(parts: SesReceiptsParts) {
    this.#parts = parts;
    this.#certificates = new SnsCertificates(parts.dispatcher);
  }

  async read({ body }: Callback): Promise<readonly Receipt[]> {
    const message = snsMessageOf(body);
    if (message === undefined) throw unsigned('signature of SNS; is raw message delivery off?');
    await this.#check(message);
    const { Type, Message } = message;
    if (Type === 'Notification') return receiptsOf(Message, this.#parts.clock.now());
    if (Type === 'SubscriptionConfirmation') await this.#subscribe(message);
    return [];
  }

  /** @throws NotifyError permission_denied; unavailable where the certificate cannot be had */
  async #check({ TopicArn, SigningCertURL, SignatureVersion, ...message }: SnsMessage): Promise<void> {
    // before anything is fetched for it
    if (!this.#parts.topicArns.includes(TopicArn))
      throw refused('the topic is not one of NOTIFY_SES_TOPIC_ARN');
    const algorithm = algorithms[SignatureVersion];
    if (algorithm === undefined) throw refused('the signature is of a version that is not known');
    const file = `https://${snsHost(TopicArn)}/`;
    if (!SigningCertURL.startsWith(file) || !certificateName.test(SigningCertURL.slice(file.length)))
      throw refused("the certificate is not in its place at SNS in the topic's region");
    const key = await this.#certificates.key(SigningCertURL);
    const signature = Buffer.from(message.Signature, 'base64');
    if (!verify(algorithm, Buffer.from(message.signed, 'utf8'), key, signature))
      throw refused('the signature is not that of SNS for this message');
    checkAge(Date.parse(message.Timestamp), this.#parts.clock.now(), longestAgeMs);
  }

  /** Tells SNS that the topic was subscribed to on purpose. @throws NotifyError permission_denied; unavailable */
  async #subscribe({ TopicArn, SubscribeURL }: SnsMessage): Promise<void> {
    const url = URL.parse(SubscribeURL);
    if (url?.origin !== `https://${snsHost(TopicArn)}` || url.username !== '' || url.password !== '')
      throw refused("the address to confirm at is not that of SNS in the topic's region");
    const { dispatcher, subscribed } = this.#parts;
    const answer = await get(dispatcher, url).catch(() => undefined);
    if (answer?.status !== 200)
      throw new NotifyError('unavailable', 'SNS did not take the confirmation; it is to ask again', {
        retryAfterMs: 5_000,
      });
    subscribed(TopicArn);
  }
}

const certificateName = /^SimpleNotificationService-[0-9a-zA-Z]{1,64}\.pem$/;
