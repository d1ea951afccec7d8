import type { ChannelMessage } from '../../../src/core/channel.ts';

/** The type of a message whose producer named none. */
const defaultType = 'notification';

/**
 * The body of a webhook (Standard Webhooks, "Payload structure"): the same bytes over retries. The producer's own data is put
 * in as it was written, so that large numbers survive.
 */
export function webhookPayload({ id, tenantId, userId, createdAtMs, content }: ChannelMessage): string {
  const data = JSON.stringify({
    id,
    tenantId,
    userId,
    notificationId: content.notificationId,
    subjectRef: content.subjectRef,
    subjectType: content.subjectType,
    title: content.title,
    body: content.body,
    ...(content.urgency !== undefined && { urgency: content.urgency }),
    ...(content.actionUrl !== undefined && { actionUrl: content.actionUrl }),
    ...(content.iconUrl !== undefined && { iconUrl: content.iconUrl }),
    ...(content.actions.length > 0 && { actions: content.actions }),
    ...(content.expiresAtMs !== 0n && { expiresAtMs: String(content.expiresAtMs) }),
  });
  const own = content.data === undefined ? '' : `,"data":${content.data}`;
  const type = JSON.stringify(content.type === '' ? defaultType : content.type);
  const timestamp = JSON.stringify(new Date(Number(createdAtMs)).toISOString());
  return `{"type":${type},"timestamp":${timestamp},"data":${data.slice(0, -1)}${own}}}`;
}
