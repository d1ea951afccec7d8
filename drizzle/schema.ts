import { sql } from 'drizzle-orm';
import {
  bigint,
  customType,
  index,
  integer,
  pgSchema,
  primaryKey,
  smallint,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

/**
 * The tables. `npm run db:generate` makes a migration of a change here; migrations are never edited afterwards.
 *
 * What holds for all of them:
 * - They live in a Postgres schema of their own, so that they can share a database with others.
 * - Every primary key, unique key and index begins with tenant_id, so that the tables can be distributed by tenant.
 * - Times are UTC epoch milliseconds; null is "not yet" or "never". Positions, versions and counts are bigint too.
 * - Words (statuses, channels, device types) are text: a new word needs no migration.
 * - Storage settings (fillfactor, autovacuum) stand in migrations/0001_storage.sql, which Drizzle has no words for.
 */
export const notify = pgSchema('notify');

/** Text that is compared byte by byte, whatever the database's locale, and whose indexes survive a new libc. */
const key = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' });
const words = customType<{ data: string[] }>({ dataType: () => 'text[]' });
const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' });
const ms = (name: string) => bigint(name, { mode: 'bigint' });
const count = (name: string) => bigint(name, { mode: 'number' });

/**
 * One row per user that anything was ever stored for: the counters of the inbox. Whoever changes an inbox locks this
 * row first, so positions have no gaps and become visible in their order.
 */
export const users = notify.table(
  'users',
  {
    tenantId: key('tenant_id').notNull(),
    userId: key('user_id').notNull(),
    newestPosition: count('newest_position').notNull().default(0),
    version: count('version').notNull().default(0),
    unread: count('unread').notNull().default(0),
    unseen: count('unseen').notNull().default(0),
    seenPosition: count('seen_position').notNull().default(0),
    /** Streams may resume from here or later; retention moves it. */
    oldestResumable: count('oldest_resumable').notNull().default(0),
    /** No item that is still to expire does so before; null where none does. */
    nextExpiryMs: ms('next_expiry_ms'),
  },
  // no index beside the key: every update of the counters can stay on its page (HOT)
  (t) => [primaryKey({ columns: [t.tenantId, t.userId] })],
);

/**
 * One row per tenant of which a user was ever erased: above what all erased inboxes had reached, in positions and versions. New
 * inboxes begin there, so that what a client has from before is never taken for something of the new one. It says nothing of whom.
 */
export const inboxFloors = notify.table('inbox_floors', {
  tenantId: key('tenant_id').primaryKey(),
  floor: count('floor').notNull(),
});

/** One row per notification, its content and its in-app delivery included: most have no other. */
export const notifications = notify.table(
  'notifications',
  {
    tenantId: key('tenant_id').notNull(),
    id: uuid('id').notNull(),
    userId: key('user_id').notNull(),
    /** The producer's idempotency key. */
    notificationId: key('notification_id').notNull(),
    /** 0 while it is not visible. */
    position: count('position').notNull(),
    createdAtMs: ms('created_at_ms').notNull(),
    expiresAtMs: ms('expires_at_ms'),
    readAtMs: ms('read_at_ms'),
    archivedAtMs: ms('archived_at_ms'),
    deletedAtMs: ms('deleted_at_ms'),
    /** Hidden until then, with position 0; null: not snoozed. */
    snoozedUntilMs: ms('snoozed_until_ms'),
    /** When it appears, comes back or expires; null: nothing is to come. */
    dueAtMs: ms('due_at_ms'),

    /** The in-app delivery; null id: there is none. */
    inAppId: uuid('in_app_id'),
    inAppStatus: key('in_app_status'),
    inAppReason: text('in_app_reason'),
    /** Null: the user's id. */
    inAppDestination: text('in_app_destination'),
    /** Null: in_app_realtime. */
    inAppProvider: text('in_app_provider'),
    inAppMessageId: text('in_app_message_id'),
    inAppDeliveredAtMs: ms('in_app_delivered_at_ms'),
    inAppAckAtMs: ms('in_app_ack_at_ms'),
    /** Its place among all deliveries of the notification. */
    inAppOrdinal: smallint('in_app_ordinal').notNull().default(0),
    /** How many rows `deliveries` has for it. */
    otherDeliveries: smallint('other_deliveries').notNull().default(0),
    /** Of all its deliveries, in their order. */
    channels: words('channels').notNull(),

    type: key('type').notNull(),
    subjectRef: text('subject_ref').notNull(),
    subjectType: text('subject_type').notNull(),
    title: text('title').notNull(),
    body: text('body').notNull(),
    urgency: text('urgency'),
    /** JSON as the producer wrote it: jsonb would change it. */
    data: text('data'),
    actionUrl: text('action_url'),
    iconUrl: text('icon_url'),
    /** JSON: [[label, url], …]; null for none. */
    actions: text('actions'),
  },
  (t) => [
    // one item by its id: getNotification, changes of one item, outcomes
    primaryKey({ columns: [t.tenantId, t.id] }),
    // the idempotency key: whether a notification is a repeat
    // (in this order, for cancelling it for everybody)
    uniqueIndex('notifications_key').on(t.tenantId, t.notificationId, t.userId),
    // listNotifications and streams: an inbox by position
    index('notifications_position').on(t.tenantId, t.userId, t.position),
    // unread items: the unread list, read_up_to, seen_up_to; with status pending what no stream has taken
    index('notifications_unread')
      .on(t.tenantId, t.userId, t.inAppStatus, t.position)
      .where(
        sql`in_app_status IS NOT NULL AND read_at_ms IS NULL AND archived_at_ms IS NULL AND deleted_at_ms IS NULL`,
      ),
    // replays: what streams took since a time
    index('notifications_taken')
      .on(t.tenantId, t.userId, t.inAppDeliveredAtMs)
      .where(sql`in_app_delivered_at_ms IS NOT NULL`),
    // what expires next in an inbox
    index('notifications_expiring')
      .on(t.tenantId, t.userId, t.expiresAtMs)
      .where(
        sql`expires_at_ms IS NOT NULL AND in_app_status = 'pending' AND read_at_ms IS NULL AND archived_at_ms IS NULL AND deleted_at_ms IS NULL`,
      ),
    // what is due with items: advanceItems
    index('notifications_due').on(t.tenantId, t.dueAtMs).where(sql`due_at_ms IS NOT NULL`),
  ],
);

/** One row per delivery on any channel but in-app. */
export const deliveries = notify.table(
  'deliveries',
  {
    tenantId: key('tenant_id').notNull(),
    id: uuid('id').notNull(),
    userId: key('user_id').notNull(),
    /** notifications.id */
    itemId: uuid('item_id').notNull(),
    ordinal: smallint('ordinal').notNull(),
    channel: key('channel').notNull(),
    destination: text('destination').notNull(),
    provider: text('provider').notNull(),
    status: key('status').notNull(),
    reason: text('reason').notNull(),
    attempts: integer('attempts').notNull().default(0),
    /** When it is attempted next or its lease ends; null: nothing polls it. Only of pending ones. */
    dueAtMs: ms('due_at_ms'),
    /** Its horizon counts from here. */
    firstDueAtMs: ms('first_due_at_ms'),
    /** Who attempts it; with a due time in the past its holder died, and without one a receipt was faster than its outcome. */
    leaseToken: uuid('lease_token'),
    /** Leases that ran out without an outcome. */
    crashes: integer('crashes').notNull().default(0),
    /** Every attempt, oldest first, as JSON: [started ms, duration ms, provider, status, reason, detail]. */
    attemptLog: words('attempt_log').notNull().default([]),
    providerMessageId: text('provider_message_id').notNull().default(''),
    deliveredAtMs: ms('delivered_at_ms'),
    ackAtMs: ms('ack_at_ms'),
    openedAtMs: ms('opened_at_ms'),
    clickedAtMs: ms('clicked_at_ms'),
    /** The receipts that changed something, as they came, as JSON: [ms, provider, kind, reason, detail, the message's id where it is known]. */
    receiptLog: words('receipt_log').notNull().default([]),
    /** Of these what waits for the outcome of the present lease, as JSON: [provider, message id, reason]. Null: nothing does. */
    losses: words('losses'),
    createdAtMs: ms('created_at_ms').notNull(),
    updatedAtMs: ms('updated_at_ms').notNull(),
  },
  (t) => [
    // all deliveries of a notification, wherever that is shown; and one of them: outcomes
    primaryKey({ columns: [t.tenantId, t.itemId, t.id] }),
    // the outbox: what is due of a channel; which tenants and channels have something due
    index('deliveries_due').on(t.tenantId, t.channel, t.dueAtMs).where(sql`due_at_ms IS NOT NULL`),
    // one of them by its id alone: getDelivery, retryDeliveries
    uniqueIndex('deliveries_id').on(t.tenantId, t.id),
    // what failed when: retryDeliveries
    index('deliveries_failed').on(t.tenantId, t.channel, t.updatedAtMs).where(sql`status = 'failed'`),
  ],
);

/** One row per push endpoint. */
export const devices = notify.table(
  'devices',
  {
    tenantId: key('tenant_id').notNull(),
    userId: key('user_id').notNull(),
    deviceType: key('device_type').notNull(),
    deviceId: key('device_id').notNull(),
    /** Kept when the token is replaced. */
    id: uuid('id').notNull(),
    token: text('token').notNull(),
    /** SHA-256 of the token, which may be longer than an index entry. */
    tokenHash: bytes('token_hash').notNull(),
    createdAtMs: ms('created_at_ms').notNull(),
    updatedAtMs: ms('updated_at_ms').notNull(),
  },
  (t) => [
    // a user's devices, and the one that a registration replaces
    primaryKey({ columns: [t.tenantId, t.userId, t.deviceType, t.deviceId] }),
    // who has a token: it belongs to one device of a tenant
    uniqueIndex('devices_token').on(t.tenantId, t.tokenHash),
  ],
);

/** One row per user of whom something is known beside their inbox. */
export const recipients = notify.table(
  'recipients',
  {
    tenantId: key('tenant_id').notNull(),
    userId: key('user_id').notNull(),
    /** JSON: address by channel. */
    addresses: text('addresses').notNull(),
    locale: text('locale').notNull(),
    timeZone: text('time_zone').notNull(),
    /** JSON as the producer wrote it: jsonb would change it. */
    attributes: text('attributes'),
    updatedAtMs: ms('updated_at_ms').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.userId] })],
);

/**
 * One row per address that was ever found dead. One that was set again stays, without its text, so that a late report of what
 * happened before does not mark it anew.
 */
export const deadAddresses = notify.table(
  'dead_addresses',
  {
    tenantId: key('tenant_id').notNull(),
    channel: key('channel').notNull(),
    /** SHA-256 of what spellings of the address have in common; an address may be longer than an index entry. */
    hash: bytes('hash').notNull(),
    address: text('address').notNull(),
    reason: text('reason').notNull(),
    deadAtMs: ms('dead_at_ms').notNull(),
    /** Since when it is alive again; null: it is dead. */
    revivedAtMs: ms('revived_at_ms'),
  },
  (t) => [
    // whether an address is dead
    primaryKey({ columns: [t.tenantId, t.channel, t.hash] }),
    // the latest marks of a tenant: listDeadAddresses
    index('dead_addresses_latest')
      .on(t.tenantId, t.deadAtMs, t.channel, t.hash)
      .where(sql`revived_at_ms IS NULL`),
  ],
);
