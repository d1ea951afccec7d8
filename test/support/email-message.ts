import type { ChannelMessage, RenderedContent, SendOptions } from '../../src/core/channel.ts';
import type { Content } from '../../src/core/glossary.ts';

/** A text that no error may quote. */
export const privateText = 'the private text of 47114711';

const content: Content = {
  notificationId: 'note-1',
  type: 'order.shipped',
  subjectRef: '42',
  subjectType: 'order',
  title: 'Your order is on its way',
  body: privateText,
  urgency: undefined,
  data: undefined,
  actionUrl: undefined,
  iconUrl: undefined,
  actions: [],
  expiresAtMs: 0n,
};

export const itemId = '01a20154-4c24-73da-a2b6-00000000000a';
export const deliveryId = '01a20154-4c24-73da-a2b6-000000000001';

/** A message for alice, but for what a test says of it. */
export function emailMessage(
  over: {
    readonly destination?: string;
    readonly content?: Partial<Content>;
    readonly rendered?: Partial<RenderedContent>;
  } = {},
): ChannelMessage {
  return {
    tenantId: 'demo',
    userId: 'alice',
    id: itemId,
    deliveryId,
    destination: over.destination ?? 'alice@example.org',
    createdAtMs: 1_767_225_600_000n,
    content: { ...content, ...over.content },
    rendered: over.rendered && { subject: '', body: '', html: '', replyTo: '', ...over.rendered },
  };
}

export const sendOptions = (signal: AbortSignal = new AbortController().signal): SendOptions => ({
  signal,
  idempotencyKey: deliveryId,
});
