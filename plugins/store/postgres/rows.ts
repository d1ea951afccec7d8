import type {
  Action,
  Channel,
  Delivery,
  DeliveryStatus,
  Device,
  DeviceType,
  InboxSummary,
  Notification,
  Urgency,
  UserKey,
} from '../../../src/core/glossary.ts';
import type { Row } from './statement.ts';

/** What in_app_provider and in_app_destination being null stand for. */
export const usualInAppProvider = 'in_app_realtime';

/** What an item is read as, in the order of `Item`. 64-bit times are texts: JSON.parse would round them. */
const itemValues = `
  n.id, n.notification_id, n.position, n.created_at_ms::text, n.expires_at_ms::text, n.read_at_ms::text, n.archived_at_ms::text,
  n.type, n.subject_ref, n.subject_type, n.title, n.body, n.urgency, n.data, n.action_url, n.icon_url, n.actions,
  n.in_app_id, n.in_app_status, n.in_app_reason, n.in_app_destination, n.in_app_provider, n.snoozed_until_ms::text,
  n.in_app_message_id, n.in_app_delivered_at_ms::text, n.in_app_ack_at_ms::text, n.in_app_ordinal`;

/**
 * A notification `n` as one JSON text, its other deliveries included: few have any, and they come in the same snapshot. One
 * text for thirty columns costs Postgres a little more and this process, which has one thread, less than half.
 */
export const itemJson = `json_build_array(${itemValues},
  CASE WHEN n.other_deliveries > 0 THEN (
    SELECT json_agg(json_build_array(d.ordinal, d.id, d.channel, d.destination, d.provider, d.status, d.reason,
      d.attempts, d.provider_message_id, d.delivered_at_ms::text, d.ack_at_ms::text, d.due_at_ms::text,
      d.first_due_at_ms::text, d.opened_at_ms::text, d.clicked_at_ms::text))
    FROM notify.deliveries d WHERE d.tenant_id = n.tenant_id AND d.item_id = n.id
  ) END)`;

/** What `itemJson` makes. */
export type Item = readonly [
  id: string,
  notificationId: string,
  position: number,
  createdAtMs: string,
  expiresAtMs: string | null,
  readAtMs: string | null,
  archivedAtMs: string | null,
  type: string,
  subjectRef: string,
  subjectType: string,
  title: string,
  body: string,
  urgency: Urgency | null,
  data: string | null,
  actionUrl: string | null,
  iconUrl: string | null,
  actions: string | null,
  inAppId: string | null,
  inAppStatus: DeliveryStatus | null,
  inAppReason: string | null,
  inAppDestination: string | null,
  inAppProvider: string | null,
  snoozedUntilMs: string | null,
  inAppMessageId: string | null,
  inAppDeliveredAtMs: string | null,
  inAppAckAtMs: string | null,
  inAppOrdinal: number,
  others: JsonDelivery[] | null,
];

/** Shown in the inbox: visible, not deleted. */
export const listed = `n.position > 0 AND n.deleted_at_ms IS NULL AND n.in_app_status IS DISTINCT FROM 'suppressed'`;

/** What its user may name: listed, or snoozed. */
export const named = `(n.position > 0 OR n.snoozed_until_ms IS NOT NULL) AND n.deleted_at_ms IS NULL
  AND n.in_app_status IS DISTINCT FROM 'suppressed'`;

/** Counts as unread, in the words of the partial index notifications_unread, whose statuses these are. */
export const unread = `n.position > 0 AND n.in_app_status IN ('pending', 'delivered', 'acked', 'failed')
  AND n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AND n.deleted_at_ms IS NULL`;

const time = (text: string | null | undefined): bigint => (text == null ? 0n : BigInt(text));

/** A delivery in `others`. */
export type JsonDelivery = [
  ordinal: number,
  id: string,
  channel: Channel,
  destination: string,
  provider: string,
  status: DeliveryStatus,
  reason: string,
  attempts: number,
  providerMessageId: string,
  deliveredAtMs: string | null,
  ackAtMs: string | null,
  dueAtMs: string | null,
  firstDueAtMs: string | null,
  openedAtMs: string | null,
  clickedAtMs: string | null,
];

export function toNotification(owner: UserKey, item: Item, seenPosition: number): Notification {
  const [id, notificationId, position, createdAtMs, expiresAtMs, readAtMs, archivedAtMs] = item;
  const [
    ,
    ,
    ,
    ,
    ,
    ,
    ,
    type,
    subjectRef,
    subjectType,
    title,
    body,
    urgency,
    data,
    actionUrl,
    iconUrl,
    actions,
  ] = item;
  return {
    tenantId: owner.tenantId,
    userId: owner.userId,
    id,
    notificationId,
    type,
    subjectRef,
    subjectType,
    title,
    body,
    urgency: urgency ?? undefined,
    data: data ?? undefined,
    actionUrl: actionUrl ?? undefined,
    iconUrl: iconUrl ?? undefined,
    actions: actions === null ? [] : fromActions(actions),
    expiresAtMs: time(expiresAtMs),
    position,
    createdAtMs: time(createdAtMs),
    readAtMs: time(readAtMs),
    archivedAtMs: time(archivedAtMs),
    snoozedUntilMs: time(item[22]),
    seen: position !== 0 && position <= seenPosition,
    deliveries: toDeliveries(owner, item),
  };
}

function toDeliveries(owner: UserKey, item: Item): Delivery[] {
  const inApp = toInApp(owner, item);
  const others = item[27];
  if (others === null) return inApp === undefined ? [] : [inApp];
  const placed = others.map((other) => [other[0], toDelivery(other)] as const);
  if (inApp) placed.push([item[26], inApp]);
  return placed.sort(([a], [b]) => a - b).map(([, delivery]) => delivery);
}

function toInApp(owner: UserKey, item: Item): Delivery | undefined {
  const id = item[17];
  const status = item[18];
  if (id === null || status === null) return undefined;
  return {
    id,
    channel: 'in_app',
    destination: item[20] ?? owner.userId,
    provider: item[21] ?? usualInAppProvider,
    status,
    reason: item[19] ?? '',
    attempts: 0,
    providerMessageId: item[23] ?? '',
    deliveredAtMs: time(item[24]),
    ackAtMs: time(item[25]),
    dueAtMs: 0n,
    firstDueAtMs: 0n,
    openedAtMs: 0n,
    clickedAtMs: 0n,
  };
}

export const toDelivery = (json: JsonDelivery): Delivery => ({
  id: json[1],
  channel: json[2],
  destination: json[3],
  provider: json[4],
  status: json[5],
  reason: json[6],
  attempts: json[7],
  providerMessageId: json[8],
  deliveredAtMs: time(json[9]),
  ackAtMs: time(json[10]),
  dueAtMs: time(json[11]),
  firstDueAtMs: time(json[12]),
  openedAtMs: time(json[13]),
  clickedAtMs: time(json[14]),
});

/** How actions are stored; undefined for none. */
export const actionsText = (actions: readonly Action[]): string | undefined =>
  actions.length === 0 ? undefined : JSON.stringify(actions.map(({ label, url }) => [label, url]));

const fromActions = (text: string): Action[] =>
  (JSON.parse(text) as [string, string][]).map(([label, url]) => ({ label, url }));

/** A user's row. Whoever holds it locked may change it and `saveCounters`. */
export interface Counters {
  newestPosition: number;
  version: number;
  unread: number;
  unseen: number;
  seenPosition: number;
  oldestResumable: number;
  /** Undefined: nothing expires. */
  nextExpiryMs: bigint | undefined;
}

/** The columns of a user `u`; the names do not meet those of a notification. */
export const counterColumns =
  'u.newest_position, u.version, u.unread, u.unseen, u.seen_position, u.oldest_resumable, u.next_expiry_ms';

export const toCounters = (row: Row): Counters => ({
  newestPosition: Number(row.newest_position),
  version: Number(row.version),
  unread: Number(row.unread),
  unseen: Number(row.unseen),
  seenPosition: Number(row.seen_position),
  oldestResumable: Number(row.oldest_resumable),
  nextExpiryMs: row.next_expiry_ms == null ? undefined : BigInt(row.next_expiry_ms),
});

/** A user whom nothing was stored for. */
export const noCounters: Readonly<Counters> = {
  newestPosition: 0,
  version: 0,
  unread: 0,
  unseen: 0,
  seenPosition: 0,
  oldestResumable: 0,
  nextExpiryMs: undefined,
};

export const toSummary = (counters: Readonly<Counters>): InboxSummary => ({
  unreadCount: counters.unread,
  unseenCount: counters.unseen,
  version: counters.version,
  newestPosition: counters.newestPosition,
  oldestResumable: counters.oldestResumable,
});

/** Whether something in the inbox is, or may be, to expire by now. */
export const isExpiryDue = ({ nextExpiryMs }: Readonly<Counters>, nowMs: number): boolean =>
  nextExpiryMs !== undefined && nextExpiryMs <= nowMs;

export const toDevice = (owner: UserKey, row: Row): Device => ({
  tenantId: owner.tenantId,
  userId: owner.userId,
  id: row.id ?? '',
  deviceType: row.device_type as DeviceType,
  deviceId: row.device_id ?? '',
  token: row.token ?? '',
  createdAtMs: time(row.created_at_ms),
  updatedAtMs: time(row.updated_at_ms),
});
