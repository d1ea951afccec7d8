import type { Receipt } from '../../../../src/core/receipts/receipt.ts';
import { readTags, type Tagged, tagsOf } from '../../../../src/core/receipts/tags.ts';
import { objectOf } from '../json.ts';

/** SES takes no longer value of a tag; a tenant's may be longer, and is cut into several. */
const longestTag = 256;
const tenantTag = (part: number): string => (part === 0 ? 'notify_tenant' : `notify_tenant_${part + 1}`);

/** What a mail carries so that its events find back, as SES's message tags. */
export function emailTagsOf(message: Tagged): { readonly Name: string; readonly Value: string }[] {
  const { tenant, item, delivery } = tagsOf(message);
  const parts = tenant.match(new RegExp(`.{1,${longestTag}}`, 'g')) ?? [];
  return [
    { Name: 'notify_delivery_id', Value: delivery },
    { Name: 'notify_item_id', Value: item },
    ...parts.map((Value, part) => ({ Name: tenantTag(part), Value })),
  ];
}

type Members = Readonly<Record<string, unknown>>;
type Said = Pick<Receipt, 'kind' | 'reason' | 'dead'>;

/**
 * What an event of SES says of a delivery; nothing where it is a step on the way, or about another mail
 * (https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html).
 * @param text the event in JSON; SES also sends texts that are none
 */
export function receiptsOf(text: string, nowMs: number): Receipt[] {
  const event = objectOf(text);
  if (event === undefined) return [];
  const type = String(event.eventType ?? event.notificationType ?? '');
  const about = membersOf(event[aboutOf[type] ?? '']);
  const { tags, messageId } = membersOf(event.mail);
  const of = deliveryOf(membersOf(tags));
  const said = saidBy(type, about);
  if (of === undefined || said === undefined) return [];
  const atMs = typeof about.timestamp === 'string' ? Date.parse(about.timestamp) : Number.NaN;
  const status = said.kind === 'lost' ? statusOf(about) : undefined;
  return [
    {
      ...of,
      channel: 'email',
      provider: 'ses',
      // as of SendEmail's answer
      ...(typeof messageId === 'string' && isId.test(messageId) && { providerMessageId: messageId }),
      ...said,
      detail: status === undefined ? '' : `SES event ${type}, status ${status}`,
      atMs: BigInt(Number.isNaN(atMs) ? nowMs : atMs),
    },
  ];
}

const isId = /^[\w-]{1,128}$/;

/** Where an event tells about itself. */
const aboutOf: Readonly<Record<string, string>> = {
  Bounce: 'bounce',
  Complaint: 'complaint',
  Delivery: 'delivery',
  Reject: 'reject',
  Open: 'open',
  Click: 'click',
  'Rendering Failure': 'failure',
};

function saidBy(type: string, about: Members): Said | undefined {
  const here = (kind: Said['kind'], dead?: Said['dead']): Said => ({ kind, reason: '', dead });
  const lost = (why: string, dead?: Said['dead']): Said => ({ kind: 'lost', reason: why, dead });
  switch (type) {
    case 'Delivery':
      return here('arrived');
    case 'Open':
      return here('opened');
    case 'Click':
      return here('clicked');
    case 'Bounce':
      // what is not permanent may work another day
      return about.bounceType === 'Permanent' ? lost('bounced', 'bounced') : lost('soft_bounced');
    case 'Complaint':
      // SES knew of an earlier complaint, and did not send this
      return about.complaintSubType === 'OnAccountSuppressionList'
        ? lost('complained', 'complained')
        : here('arrived', 'complained');
    case 'Reject':
      return lost('rejected');
    case 'Rendering Failure':
      return lost('rendering_failed');
    default:
      return undefined;
  }
}

/** The receiving server's code (RFC 3463); nothing else of its words may be told, since they quote the address. */
function statusOf({ bouncedRecipients }: Members): string | undefined {
  const [first] = Array.isArray(bouncedRecipients) ? (bouncedRecipients as unknown[]) : [];
  const { status } = membersOf(first);
  return typeof status === 'string' && /^[245]\.\d{1,3}\.\d{1,3}$/.test(status) ? status : undefined;
}

function deliveryOf(tags: Members): Tagged | undefined {
  // each tag has a list of values
  const tag = (name: string): unknown => [tags[name]].flat()[0];
  let tenant = '';
  for (let part = 0; typeof tag(tenantTag(part)) === 'string'; part++) tenant += String(tag(tenantTag(part)));
  return readTags({ tenant, item: tag('notify_item_id'), delivery: tag('notify_delivery_id') });
}

const membersOf = (value: unknown): Members =>
  typeof value === 'object' && value !== null ? (value as Members) : {};
