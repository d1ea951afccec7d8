import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Clock } from '../../../../src/core/ambient.ts';
import {
  type Callback,
  checkAge,
  headerOf,
  type ReceiptReader,
  refused,
  unreadable,
  unsigned,
} from '../../../../src/core/receipts/reader.ts';
import type { Receipt } from '../../../../src/core/receipts/receipt.ts';
import { readTags, type Tagged, tagsOf } from '../../../../src/core/receipts/tags.ts';

const signatureHeader = 'X-Twilio-Email-Event-Webhook-Signature';
const timestampHeader = 'X-Twilio-Email-Event-Webhook-Timestamp';

/** How old a batch may be, in milliseconds. */
const longestAgeMs = 600_000;

/** What a mail carries so that its events find back; SendGrid hands them out as members of each event. */
export const customArgsOf = (message: Tagged): Readonly<Record<string, string>> => {
  const { tenant, item, delivery } = tagsOf(message);
  return { notify_tenant: tenant, notify_item_id: item, notify_delivery_id: delivery };
};

/**
 * SendGrid's event webhook (https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event), signed by ECDSA over the
 * timestamp and the body (…/getting-started-event-webhook-security-features). Verified by Node itself: SendGrid's package for it
 * brings a library for elliptic curves of its own.
 */
export class SendGridReceipts implements ReceiptReader {
  readonly #keys: readonly KeyObject[];
  readonly #clock: Clock;

  /** @param keys base64 of the public keys as SendGrid shows them */
  constructor(keys: readonly string[], clock: Clock) {
    this.#keys = keys.map((key) =>
      createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' }),
    );
    this.#clock = clock;
  }

  async read(callback: Callback): Promise<readonly Receipt[]> {
    const signature = headerOf(callback, signatureHeader.toLowerCase());
    const timestamp = headerOf(callback, timestampHeader.toLowerCase());
    if (signature === '') throw unsigned(signatureHeader);
    if (timestamp === '') throw unsigned(timestampHeader);
    const signed = Buffer.concat([Buffer.from(timestamp), callback.body]);
    const bytes = Buffer.from(signature, 'base64');
    if (!this.#keys.some((key) => verify('sha256', signed, key, bytes)))
      throw refused('the signature is not by a key of NOTIFY_SENDGRID_WEBHOOK_KEY');
    const signedAtMs = /^\d{1,11}$/.test(timestamp) ? Number(timestamp) * 1_000 : Number.NaN;
    checkAge(signedAtMs, this.#clock.now(), longestAgeMs);
    return eventsOf(callback.body).flatMap((event) => receiptOf(event, this.#clock.now()));
  }
}

type Event = Readonly<Record<string, unknown>>;
type Said = Pick<Receipt, 'kind' | 'reason' | 'dead'>;

function eventsOf(body: Buffer): readonly Event[] {
  try {
    const events: unknown = JSON.parse(body.toString('utf8'));
    if (Array.isArray(events)) return events.filter((event) => typeof event === 'object' && event !== null);
  } catch {
    // said below
  }
  throw unreadable("a JSON array of SendGrid's events");
}

function receiptOf(event: Event, nowMs: number): Receipt[] {
  const of = readTags({
    tenant: event.notify_tenant,
    item: event.notify_item_id,
    delivery: event.notify_delivery_id,
  });
  const said = saidBy(event);
  if (of === undefined || said === undefined) return [];
  const { timestamp, status, sg_message_id: messageId } = event;
  const [, id] = (typeof messageId === 'string' && /^([\w-]{22})\./.exec(messageId)) || [];
  const atMs = Number.isSafeInteger(timestamp) ? Number(timestamp) * 1_000 : nowMs;
  // nothing else of an event may be told: its reason quotes the address
  const isCode =
    said.kind === 'lost' && typeof status === 'string' && /^[245]\.\d{1,3}\.\d{1,3}$/.test(status);
  const detail = isCode ? `SendGrid event ${String(event.event)}, status ${status}` : '';
  return [
    {
      ...of,
      channel: 'email',
      provider: 'sendgrid',
      // it begins with the X-Message-Id of the answer (docs/glossary/x-message-id), which has 22 characters
      ...(id !== undefined && { providerMessageId: id }),
      ...said,
      detail,
      atMs: BigInt(atMs),
    },
  ];
}

/** What an event amounts to; undefined: a step on the way, or nothing about this mail. */
function saidBy({ event, type, reason, sg_machine_open: isMachine }: Event): Said | undefined {
  const here = (kind: Said['kind'], dead?: Said['dead']): Said => ({ kind, reason: '', dead });
  const lost = (why: string, dead?: Said['dead']): Said => ({ kind: 'lost', reason: why, dead });
  switch (event) {
    case 'delivered':
      return here('arrived');
    case 'open':
      // a mail program that fetches everything has opened nothing
      return here(isMachine === true ? 'arrived' : 'opened');
    case 'click':
      return here('clicked');
    case 'spamreport':
      return here('arrived', 'complained');
    case 'bounce':
      return type === 'blocked' ? lost('blocked') : lost('bounced', 'bounced');
    case 'dropped':
      return lost('dropped', deadByList(String(reason)));
    default:
      return undefined;
  }
}

/** Why SendGrid did not even try: the address is on a list of its, from earlier mails. A header may be invalid too. */
function deadByList(reason: string): Said['dead'] {
  if (/^spam reporting address/i.test(reason)) return 'complained';
  return /^(bounced address|invalid(?! smtpapi))/i.test(reason) ? 'bounced' : undefined;
}
