import { create, type JsonObject } from '@bufbuild/protobuf';
import {
  DeliveryChannelSchema,
  DeliveryStatusSchema,
  NotificationSchema,
  UrgencySchema,
  type Notification as WireNotification,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import type { Notification } from '../../../src/core/glossary.ts';
import type { InboxPage } from '../../../src/core/inbox.ts';
import { channelsOf, earliest, wireChannel, wireStatus } from '../../../src/core/status.ts';
import { channelToWire, statusToWire, urgencyToWire } from './enums.ts';

/** A notification as protobuf. What this service adds is set only where it is used. */
export function notificationToWire(n: Notification): WireNotification {
  return create(NotificationSchema, {
    id: n.id,
    notificationId: n.notificationId,
    subjectRef: n.subjectRef,
    subjectType: n.subjectType,
    title: n.title,
    body: n.body,
    channel: channelToWire[wireChannel(n.deliveries)],
    status: statusToWire[wireStatus(n)],
    createdAtMs: n.createdAtMs,
    deliveredAtMs: earliest(n.deliveries, (d) => d.deliveredAtMs),
    ackAtMs: earliest(n.deliveries, (d) => d.ackAtMs),
    readAtMs: n.readAtMs,
    actions: n.actions.map(({ label, url }) => ({ label, url })),
    channels: channelsOf(n.deliveries).map((channel) => channelToWire[channel]),
    position: BigInt(n.position),
    seen: n.seen,
    ...(n.type !== '' && { type: n.type }),
    ...(n.actionUrl !== undefined && { actionUrl: n.actionUrl }),
    ...(n.iconUrl !== undefined && { iconUrl: n.iconUrl }),
    ...(n.data !== undefined && { data: JSON.parse(n.data) as JsonObject }),
    ...(n.expiresAtMs !== 0n && { expiresAtMs: n.expiresAtMs }),
    ...(n.urgency !== undefined && { urgency: urgencyToWire[n.urgency] }),
    ...(n.archivedAtMs !== 0n && { archivedAtMs: n.archivedAtMs }),
    ...(n.snoozedUntilMs !== 0n && { snoozedUntilMs: n.snoozedUntilMs }),
  });
}

/**
 * The same as protobuf JSON with defaults written, as text. Written by hand because every event of every stream passes
 * here: it takes a tenth of the time of the reflecting writer, and a test holds the two against each other.
 */
export function notificationToJson(n: Notification): string {
  const json = JSON.stringify({
    id: n.id,
    notificationId: n.notificationId,
    subjectRef: n.subjectRef,
    subjectType: n.subjectType,
    title: n.title,
    body: n.body,
    channel: channelNames[wireChannel(n.deliveries)],
    status: statusNames[wireStatus(n)],
    createdAtMs: String(n.createdAtMs),
    deliveredAtMs: String(earliest(n.deliveries, (d) => d.deliveredAtMs)),
    ackAtMs: String(earliest(n.deliveries, (d) => d.ackAtMs)),
    readAtMs: String(n.readAtMs),
    ...(n.type !== '' && { type: n.type }),
    ...(n.actionUrl !== undefined && { actionUrl: n.actionUrl }),
    ...(n.expiresAtMs !== 0n && { expiresAtMs: String(n.expiresAtMs) }),
    position: String(n.position),
    ...(n.urgency !== undefined && { urgency: urgencyNames[n.urgency] }),
    ...(n.iconUrl !== undefined && { iconUrl: n.iconUrl }),
    actions: n.actions,
    seen: n.seen,
    ...(n.archivedAtMs !== 0n && { archivedAtMs: String(n.archivedAtMs) }),
    channels: channelsOf(n.deliveries).map((channel) => channelNames[channel]),
    ...(n.snoozedUntilMs !== 0n && { snoozedUntilMs: String(n.snoozedUntilMs) }),
  });
  // the data is JSON text already
  return n.data === undefined ? json : `${json.slice(0, -1)},"data":${n.data}}`;
}

/** GetNotificationsResponse as protobuf JSON with defaults written: a page is most of what recipients ask for. */
export function pageToJson({ notifications, nextCursor, summary }: InboxPage): string {
  const { unreadCount, unseenCount, newestPosition, version } = summary;
  return `{"notifications":[${notifications.map(notificationToJson).join(',')}],"nextCursor":${JSON.stringify(nextCursor)},"unreadCount":${unreadCount},"position":"${newestPosition}","unseenCount":${unseenCount},"version":"${version}"}`;
}

const names = <Word extends string>(
  table: Record<Word, number>,
  schema: { values: readonly { number: number; name: string }[] },
): Record<Word, string> =>
  Object.fromEntries(
    (Object.entries(table) as [Word, number][]).map(([word, number]) => [
      word,
      schema.values.find((value) => value.number === number)?.name,
    ]),
  ) as Record<Word, string>;

const channelNames = names(channelToWire, DeliveryChannelSchema);
const statusNames = names(statusToWire, DeliveryStatusSchema);
const urgencyNames = names(urgencyToWire, UrgencySchema);
