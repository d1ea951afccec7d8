import { type ChannelMessage, codes, DeliveryError } from '../../../src/core/channel.ts';
import { type Mailbox, mailboxText } from '../email/address.ts';
import { mailOf } from '../email/mail.ts';
import { checkedNumber } from '../twilio/number.ts';
import type { ServedChannel } from './definition.ts';
import type { Values } from './template.ts';

/** What templates may read, beside env. '' where a message has nothing to say. */
export const variableNames = [
  ...[
    'title',
    'body',
    'html',
    'type',
    'subject_ref',
    'subject_type',
    'action_url',
    'link',
    'icon_url',
    'actions',
  ],
  ...['data', 'urgency', 'destination', 'from', 'from_name', 'from_address', 'reply_to', 'message_id'],
  ...['delivery_id', 'notification_id', 'tenant_id', 'user_id', 'created_at_ms', 'expires_at_ms'],
] as const;

/**
 * A message as templates see it. Its texts are values and never templates, whatever stands in them.
 * @param from who mails are from
 * @throws DeliveryError invalid_destination, for good, where it is none of the channel
 */
export function valuesOf(channel: ServedChannel, message: ChannelMessage, from: Mailbox | undefined): Values {
  const { content, rendered } = message;
  return {
    title: rendered?.subject || content.title,
    body: rendered?.body || content.body,
    html: rendered?.html ?? '',
    type: content.type,
    subject_ref: content.subjectRef,
    subject_type: content.subjectType,
    action_url: content.actionUrl ?? '',
    link: linkOf(content.actionUrl ?? ''),
    icon_url: content.iconUrl ?? '',
    actions: content.actions,
    data: content.data === undefined ? {} : JSON.parse(content.data),
    urgency: content.urgency ?? '',
    destination: message.destination,
    from: from === undefined ? '' : mailboxText(from),
    from_name: from?.name ?? '',
    from_address: from?.address ?? '',
    reply_to: rendered?.replyTo ?? '',
    message_id: '',
    delivery_id: message.deliveryId,
    notification_id: content.notificationId,
    tenant_id: message.tenantId,
    user_id: message.userId,
    created_at_ms: String(message.createdAtMs),
    expires_at_ms: content.expiresAtMs === 0n ? '' : String(content.expiresAtMs),
    ...ofChannel(channel, message, from),
  };
}

/** A web address: a path of the producer's own site, or an app's own scheme, leads nowhere from elsewhere. */
const linkOf = (url: string): string =>
  /^https?:\/\/[^\s\p{Cc}]+$/iu.test(url) && URL.canParse(url) ? url : '';

/** What a channel says of its own: which destinations there are, and what a mail is like by any provider. */
function ofChannel(channel: ServedChannel, message: ChannelMessage, from: Mailbox | undefined): Values {
  if (channel === 'chat') return { destination: checkedText(message.destination) };
  if (channel !== 'email' || from === undefined) return { destination: checkedNumber(message.destination) };
  const mail = mailOf(message, from);
  return {
    title: mail.subject,
    body: mail.text,
    html: mail.html ?? '',
    destination: mail.to,
    reply_to: mail.replyTo === undefined ? '' : mailboxText(mail.replyTo),
    message_id: mail.messageId,
  };
}

/** A name or a URL: one word. */
function checkedText(destination: string): string {
  if (destination !== '' && !/[\p{Cc}\s]/u.test(destination)) return destination;
  throw new DeliveryError(
    codes.invalidDestination,
    'the destination is empty, or has spaces or control characters in it',
    { retryable: false },
  );
}
