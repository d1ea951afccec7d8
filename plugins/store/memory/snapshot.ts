import type { Notification } from '../../../src/core/glossary.ts';
import type { Row } from './row.ts';

/**
 * The notification as it is now; later changes of the row do not show in it. Every field is named: V8 makes such an object in
 * one piece, where one that begins with a spread is made anew for each field behind it.
 */
export function snapshot(row: Row, seenPosition: number): Notification {
  const { content } = row;
  return {
    notificationId: content.notificationId,
    type: content.type,
    subjectRef: content.subjectRef,
    subjectType: content.subjectType,
    title: content.title,
    body: content.body,
    urgency: content.urgency,
    data: content.data,
    actionUrl: content.actionUrl,
    iconUrl: content.iconUrl,
    actions: content.actions,
    expiresAtMs: content.expiresAtMs,
    tenantId: row.owner.tenantId,
    userId: row.owner.userId,
    id: row.id,
    position: row.position,
    createdAtMs: row.createdAtMs,
    readAtMs: row.readAtMs,
    archivedAtMs: row.archivedAtMs,
    snoozedUntilMs: row.snoozedUntilMs,
    seen: row.position !== 0 && row.position <= seenPosition,
    deliveries: row.deliveries,
  };
}
