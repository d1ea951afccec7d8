import { type ChannelMessage, codes } from '../../../src/core/channel.ts';
import { addressOf, type Mailbox, mailboxOf } from './address.ts';
import { never } from './refusals.ts';

/** A mail, before a provider's wire format. No field of it can add a header or a recipient. */
export interface Mail {
  readonly from: Mailbox;
  readonly to: string;
  readonly replyTo: Mailbox | undefined;
  /** One line, not yet encoded. */
  readonly subject: string;
  readonly text: string;
  /** Only where the request or a template brings some. */
  readonly html: string | undefined;
  /** With its brackets. The same for every attempt of a delivery, so that a mail that arrives twice is shown once. */
  readonly messageId: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Nobody wrote this mail by hand, so no absence note shall answer it (RFC 3834 §5). There is no List-Unsubscribe (RFC 8058): this
 * version has no page that it could point to.
 */
const headers = { 'Auto-Submitted': 'auto-generated' };

/** Puts a message into a mail. @throws DeliveryError invalid_destination, for good, where it is addressed to no mailbox */
export function mailOf(message: ChannelMessage, from: Mailbox): Mail {
  const { content, rendered, deliveryId } = message;
  const to = addressOf(message.destination);
  if (to === undefined) throw never(codes.invalidDestination, 'the destination is not one email address');
  const text = rendered?.body || plainText(message);
  // a mail without a subject looks like spam, to readers and to filters; some providers refuse one, and an empty text too
  const subject =
    oneLine(rendered?.subject || content.title || text.slice(0, longestSubject)) || 'Notification';
  return {
    from,
    to,
    replyTo: rendered?.replyTo ? mailboxOf(rendered.replyTo) : undefined,
    subject,
    text: text || subject,
    html: rendered?.html || undefined,
    messageId: `<${deliveryId}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`,
    headers,
  };
}

const longestSubject = 78;

/** The body, else the title, and under it the links that an inbox would show as buttons. */
function plainText({ content }: ChannelMessage): string {
  const { title, body, actionUrl, actions } = content;
  const links = actions.map(({ label, url }) => `${label}: ${url}`);
  if (actionUrl && !actions.some(({ url }) => url === actionUrl)) links.unshift(actionUrl);
  return [body || title, links.join('\n')].filter((part) => part !== '').join('\n\n');
}

/** Line breaks and other control characters become spaces. */
const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
