import { parse } from 'node:querystring';
import twilio from 'twilio';
import type { Clock } from '../../../src/core/ambient.ts';
import { codes } from '../../../src/core/channel.ts';
import {
  type Callback,
  headerOf,
  type ReceiptReader,
  refused,
  unsigned,
} from '../../../src/core/receipts/reader.ts';
import type { Receipt, ReceiptKind } from '../../../src/core/receipts/receipt.ts';
import { readTags, type Tagged, tagsOf } from '../../../src/core/receipts/tags.ts';
import { knownError } from './error-codes.ts';

type Channel = 'sms' | 'whatsapp';

/**
 * Twilio's status callbacks (www.twilio.com/docs/messaging/guides/track-outbound-message-status), signed as
 * www.twilio.com/docs/usage/security has it. Which delivery is meant stands in the URL, which is a part of what is signed.
 */
export class TwilioReceipts implements ReceiptReader {
  readonly #channel: Channel;
  readonly #authToken: string;
  readonly #publicUrl: string;
  readonly #clock: Clock;

  /** @param publicUrl where Twilio reaches this service, without a slash at its end */
  constructor(channel: Channel, authToken: string, publicUrl: string, clock: Clock) {
    this.#channel = channel;
    this.#authToken = authToken;
    this.#publicUrl = publicUrl;
    this.#clock = clock;
  }

  /** Where Twilio is to tell what became of a message. */
  urlFor(message: Tagged): string {
    const { tenant, item, delivery } = tagsOf(message);
    const query = `channel=${this.#channel}&tenant=${tenant}&item=${item}&delivery=${delivery}`;
    return `${this.#publicUrl}/v1/receipts/twilio?${query}`;
  }

  async read(callback: Callback): Promise<readonly Receipt[]> {
    const signature = headerOf(callback, 'x-twilio-signature');
    if (signature === '') throw unsigned('X-Twilio-Signature');
    const url = `${this.#publicUrl}${callback.target}`;
    const form = parse(callback.body.toString('utf8'));
    const { channel, ...tags } = parse(callback.target.slice(callback.target.indexOf('?') + 1));
    if (channel !== this.#channel || !twilio.validateRequest(this.#authToken, signature, url, form))
      throw refused(
        'the signature is not that of Twilio for this address; is NOTIFY_PUBLIC_URL where it posts to?',
      );
    const of = readTags({ tenant: tags.tenant, item: tags.item, delivery: tags.delivery });
    const status = String(form.MessageStatus ?? form.SmsStatus ?? '');
    const kind = kinds.get(status);
    if (of === undefined || kind === undefined) return [];
    const atMs = BigInt(this.#clock.now());
    const why = kind === 'lost' ? reasonOf(status, Number(form.ErrorCode)) : arrived;
    const sid = String(form.MessageSid ?? form.SmsSid ?? '');
    const id = isSid.test(sid) ? { providerMessageId: sid } : {};
    return [{ ...of, channel: this.#channel, provider: 'twilio', ...id, kind, ...why, atMs }];
  }
}

/** A message's id, as the answer to its request has it too (www.twilio.com/docs/glossary/what-is-a-sid). */
const isSid = /^(SM|MM)[0-9a-f]{32}$/i;

/** By the message's status; the others are steps on the way. */
const kinds: ReadonlyMap<string, ReceiptKind> = new Map([
  ['delivered', 'arrived'],
  ['read', 'opened'],
  ['undelivered', 'lost'],
  ['failed', 'lost'],
]);

type Why = Pick<Receipt, 'reason' | 'detail' | 'dead'>;

const arrived: Why = { reason: '', detail: '', dead: undefined };

function reasonOf(status: string, error: number): Why {
  if (!Number.isInteger(error) || error <= 0) return { ...arrived, reason: status };
  const known = knownError(error);
  return {
    reason: `twilio_${error}`,
    detail: known?.text ?? `Twilio error ${error}`,
    dead: known?.code === codes.destinationGone ? 'bounced' : undefined,
  };
}
