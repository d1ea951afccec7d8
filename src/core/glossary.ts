/**
 * The words of this code base. One word for one thing, everywhere: in names, metrics, logs and docs.
 *
 * - **tenant**: isolation key, part of every key of every store, cache and map. Never crossed.
 * - **notification**: one recipient's inbox item, however many channels it goes out on. Unique by
 *   (tenant, user, notification_id); notification_id is the producer's idempotency key.
 * - **position**: the user's own counter, without gaps, given when an item becomes visible. Lists, cursors and
 *   streams order by it.
 * - **version**: the user's second counter, one up with every change of the inbox.
 * - **delivery**: one (notification, channel, destination) and what became of it.
 * - **attempt**: one try of a provider to send a delivery. **outcome**: what became of a delivery by that.
 * - **receipt**: what a provider says of a delivery after it took it. **tag**: what a message carries so that its receipts find back.
 * - **due**: the time from which a delivery is attempted, or an item appears, comes back or expires.
 * - **outbox**: the deliveries that are due. **dispatcher**: drains it.
 * - **lease**: who may attempt a delivery, and until when nobody else does.
 * - **backoff**: the pause before a delivery is tried again. **horizon**: how long it is tried at all.
 * - **provider**: one way to send on a channel. **channel**: the kind. **lane**: the way to one provider, which holds back what it
 *   would not bear. **place**: leave to have one attempt under way in a lane. **share**: what of it a slow server gets.
 * - **server**: whom a destination is at, where a provider's destinations are at many.
 * - **record**: what a backend has us keep about a user: addresses, locale, time zone, attributes.
 * - **dead address**: one where nobody is reached any more; its **mark** is of one tenant and channel.
 * - **device**: a push endpoint, one per (tenant, user, device type, device id).
 * - **session**: one live stream of one user.
 * - **hint**: a data-change event; repeated to a session until acknowledged, never stored.
 */

/** The kinds of sending, in the order of the wire contract. The word is also the key of an address map. */
export const channels = [
  'in_app',
  'email',
  'web_push',
  'mobile_push',
  'sms',
  'whatsapp',
  'webhook',
  'chat',
] as const;
export type Channel = (typeof channels)[number];

/** A delivery's status. It only moves forward, see status.ts. Read is no delivery status. */
export type DeliveryStatus = 'pending' | 'delivered' | 'acked' | 'failed' | 'suppressed';

export const urgencies = ['low', 'normal', 'high', 'critical'] as const;
export type Urgency = (typeof urgencies)[number];

export const deviceTypes = ['browser', 'android', 'ios'] as const;
export type DeviceType = (typeof deviceTypes)[number];

/**
 * UTC epoch milliseconds as a signed 64-bit integer; 0n is "not yet" or "never". A bigint, because producers send
 * any int64 and get it back unchanged.
 */
export type EpochMs = bigint;

/** Whose: part of every key. */
export interface UserKey {
  readonly tenantId: string;
  readonly userId: string;
}

/** What a producer says, the same for every recipient of a call. Texts are kept byte for byte. */
export interface Content {
  readonly notificationId: string;
  /** What policy, preferences and templates key on; '' when the producer gave neither type nor subject type. */
  readonly type: string;
  readonly subjectRef: string;
  readonly subjectType: string;
  readonly title: string;
  readonly body: string;
  readonly urgency: Urgency | undefined;
  /** A JSON object as text. */
  readonly data: string | undefined;
  readonly actionUrl: string | undefined;
  readonly iconUrl: string | undefined;
  readonly actions: readonly Action[];
  /** 0n: never. */
  readonly expiresAtMs: EpochMs;
}

/** A button of a notification. */
export interface Action {
  readonly label: string;
  readonly url: string;
}

/** Why a delivery is where it is, as a stable word for results and the log. '' where there is nothing to say. */
export type Reason = string;

/** One (notification, channel, destination). */
export interface Delivery {
  readonly id: string;
  readonly channel: Channel;
  /** '' where there is none; then it stays pending and nothing polls it. */
  readonly destination: string;
  readonly provider: string;
  readonly status: DeliveryStatus;
  readonly reason: Reason;
  readonly attempts: number;
  readonly providerMessageId: string;
  readonly deliveredAtMs: EpochMs;
  readonly ackAtMs: EpochMs;
  /** When it is attempted next, or the lease of an attempt ends; 0n: nothing polls it. */
  readonly dueAtMs: EpochMs;
  /** When it was due first, or again after it had failed for good: its horizon counts from here. 0n: it never was. */
  readonly firstDueAtMs: EpochMs;
  /** When the recipient opened it first, and followed a link in it first, as far as its provider told; 0n: not yet. */
  readonly openedAtMs: EpochMs;
  readonly clickedAtMs: EpochMs;
}

/** One try to hand a delivery to a provider, and what came of it. */
export interface Attempt {
  readonly startedAtMs: EpochMs;
  readonly durationMs: number;
  readonly provider: string;
  readonly status: DeliveryStatus;
  readonly reason: Reason;
  /** What the provider's side of it says, in words that hold neither secrets nor message texts; '' where there is nothing to say. */
  readonly detail: string;
}

/** One recipient's inbox item with its deliveries. */
export interface Notification extends UserKey, Content {
  /** UUIDv7. */
  readonly id: string;
  /** 0 while it is not visible. */
  readonly position: number;
  readonly createdAtMs: EpochMs;
  readonly readAtMs: EpochMs;
  readonly archivedAtMs: EpochMs;
  /** Hidden until then, where it is later than now and the item is not visible; 0n: not snoozed. */
  readonly snoozedUntilMs: EpochMs;
  /** Whether the user's seen position has passed it. */
  readonly seen: boolean;
  /** One per (channel, destination), in the order of the request's channels. */
  readonly deliveries: readonly Delivery[];
}

/** A push endpoint. One per (tenant, user, device type, device id); a token belongs to one user of a tenant. */
export interface Device extends UserKey {
  readonly id: string;
  readonly deviceType: DeviceType;
  /** '' is the user's single device of the type. */
  readonly deviceId: string;
  readonly token: string;
  readonly createdAtMs: EpochMs;
  readonly updatedAtMs: EpochMs;
}

/** What somebody knows of a user's inbox. */
export interface KnownInbox extends UserKey, Pick<InboxSummary, 'version' | 'newestPosition'> {}

/** The counts and counters of one inbox. Exact. */
export interface InboxSummary {
  /** In-app items that are neither read, archived nor deleted. */
  readonly unreadCount: number;
  /** Those of them past the seen position. */
  readonly unseenCount: number;
  /** 0 where nothing is stored of the user. Any other is given once, also where the user is erased and begins anew. */
  readonly version: number;
  /** The newest position given; the store's first where nothing is stored of the user. Any other is given once, like a version. */
  readonly newestPosition: number;
  /** A stream may resume from this position or a later one: everything after it is still here. */
  readonly oldestResumable: number;
}
