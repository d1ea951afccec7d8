import type { AddressBook } from './addresses.ts';
import type { DeliveryLog } from './delivery-log.ts';
import type {
  Channel,
  Content,
  DeliveryStatus,
  Device,
  DeviceType,
  EpochMs,
  InboxSummary,
  KnownInbox,
  Notification,
  Reason,
  UserKey,
} from './glossary.ts';
import type { Lease, Outbox } from './outbox.ts';
import type { ReceiptLog } from './receipts/receipt.ts';

/**
 * Where notifications live. Every driver passes test/conformance/store.ts; the memory driver is its reference.
 *
 * Every method takes the tenant and the user: a row of another is not found, never refused. Methods reject with a
 * NotifyError (`not_found`, `unavailable`, `resource_exhausted`) and with nothing else that a caller should tell apart.
 *
 * An item that expires before a stream took it and before the user read or archived it leaves the inbox: its in-app
 * delivery is suppressed with reason `expired`, at the latest when this user is next asked for. So no answer shows or
 * counts it. Other channels are the dispatcher's to stop.
 */
export interface Store extends Outbox, DeliveryLog, ReceiptLog, AddressBook {
  /** The driver's name, as in NOTIFY_STORE_DRIVER. */
  readonly name: string;

  /**
   * UTC epoch milliseconds by the clock that everybody who shares this store goes by, as far as the driver knows it. Whatever is
   * stored, or compared with what is stored, goes by it: a process's own clock may be wrong.
   */
  now(): number;

  /**
   * Stores what is new, in order, each row for itself: one that does not fit fails alone.
   *
   * The first create of a (tenant, user, notification_id) wins. A repeat changes nothing and answers what is stored,
   * with one exception: a delivery that is pending with reason `no_destination` takes the destination and the provider
   * that the repeat brings for its channel, and is listed in `attempt`; not so once the item was deleted or has expired.
   *
   * @param lease what can be attempted at once is leased to the caller; without one it is due at once, for a dispatcher
   * @returns one outcome per row, in order. Duplicates inside a batch are repeats of the first.
   */
  createNotifications(batch: readonly NewNotification[], lease?: Lease): Promise<CreateOutcome[]>;

  /** @throws NotifyError not_found */
  getNotification(owner: UserKey, id: string): Promise<Notification>;

  /** One page, newest position first, with the counts of the whole inbox. */
  listNotifications(owner: UserKey, query: ListQuery): Promise<NotificationPage>;

  /** The items that a stream sends, oldest position first. */
  notificationsSince(owner: UserKey, query: SinceQuery): Promise<SincePage>;

  /**
   * The same after positions of many streams at once, whatever other streams have taken: one page for each, in order. The first
   * that anything follows has at least one item; where the pages before one have reached the bound of all, it has none and says
   * `more` at the position that it began at.
   */
  notificationsAfter(
    streams: readonly StreamPosition[],
    limits: PageLimits & { readonly maxBytesOfAll: number },
  ): Promise<SincePage[]>;

  inboxSummary(owner: UserKey): Promise<InboxSummary>;

  /**
   * The same for many users at once, in order, where the version or the newest position is another than the caller knows; undefined
   * where both are the same. Cheaper, and so a little less: what has expired by now may still be counted.
   */
  changedInboxes(known: readonly KnownInbox[]): Promise<(InboxSummary | undefined)[]>;

  /**
   * Changes the state of one item or of all up to a position. Idempotent. A change of several items is one version.
   * A snoozed item is out of the list and the counts until its time, and then comes back at a new position, as
   * advanceItems does it; until then it can still be named. A snooze that is over already brings it back at once.
   * @throws NotifyError not_found where it names an item that is not in this inbox, or was deleted (deleting it again
   *   is fine, and changes nothing)
   */
  changeInbox(owner: UserKey, change: InboxChange): Promise<InboxChanged>;

  /**
   * Stores a device's token, in place of the previous one of the same (tenant, user, device type, device id), whose
   * id it keeps, and takes the token from every other device of the tenant.
   */
  registerDevice(device: NewDevice): Promise<Device>;

  /** The user's devices, oldest first. */
  listDevices(owner: UserKey): Promise<Device[]>;

  /**
   * Forgets a device of a user: the one of a type and id, or the one with a token that its push service does not know any more,
   * unless it was registered at `triedAtMs` or later.
   * @returns whether there was one
   */
  removeDevice(owner: UserKey, which: DeviceName | DeadToken): Promise<boolean>;

  /** Whether the store would answer now. Resolves quickly; never rejects. */
  ready(): Promise<boolean>;

  close(): Promise<void>;
}

/** A notification to store for one user. The caller brings the ids; a row that exists keeps its own. */
export interface NewNotification extends UserKey {
  readonly id: string;
  /** Shared between the rows of one call. */
  readonly content: Content;
  readonly createdAtMs: EpochMs;
  /** Not before is it visible, and its deliveries due; 0n: at once. */
  readonly appearsAtMs: EpochMs;
  readonly deliveries: readonly NewDelivery[];
}

export interface NewDelivery {
  readonly id: string;
  readonly channel: Channel;
  readonly destination: string;
  readonly provider: string;
  /** pending; suppressed for one that must not go out, such as one that had expired on arrival. */
  readonly status: Extract<DeliveryStatus, 'pending' | 'suppressed'>;
  readonly reason: Reason;
}

export type CreateOutcome = StoredOutcome | RefusedOutcome;

export interface StoredOutcome {
  readonly notification: Notification;
  /** False: it was here before. */
  readonly created: boolean;
  /**
   * Ids of the deliveries that this call has to attempt, under its lease: all new ones that can be and are not for later,
   * and those that took a destination. Without a lease there are none.
   */
  readonly attempt: readonly string[];
  /** When an item that was stored for later appears; 0n: it has, or never will. */
  readonly appearsAtMs: EpochMs;
  /** The inbox's version after the create, which an item that is not visible does not move; 0 where it was not new. */
  readonly version: number;
}

export interface RefusedOutcome {
  /** Why this row could not be stored. */
  readonly error: Error;
}

export interface ListQuery {
  /** Only positions below it; undefined from the newest. */
  readonly before: number | undefined;
  /** 1 to 100. */
  readonly limit: number;
  /** As of SinceQuery. */
  readonly maxBytes: number;
  /** Only in-app items that are not read; `archived` applies too. */
  readonly unreadOnly: boolean;
  /** Empty: all. */
  readonly types: readonly string[];
  /** Only items that go to one of these; empty: all. */
  readonly channels: readonly Channel[];
  /** True: archived items too. */
  readonly archived: boolean;
}

export interface NotificationPage {
  readonly notifications: readonly Notification[];
  /** Whether more rows follow this page. */
  readonly more: boolean;
  readonly summary: InboxSummary;
}

/**
 * What a stream still has to send. Items that are deleted or archived never are; an item that was read, seen or
 * archived before any stream took it is not either.
 */
export interface SinceQuery extends PageLimits {
  /** Positions above it. */
  readonly after: number;
  /**
   * When given: only items that no stream had taken at this time (taken later still counts: another stream of the
   * same user that opens at the same moment must not hide it from this one).
   */
  readonly untakenAtMs: EpochMs | undefined;
}

/** How far a stream of a user has come. */
export interface StreamPosition extends UserKey {
  readonly after: number;
}

export interface PageLimits {
  /** 1 to 1,000. */
  readonly limit: number;
  /**
   * The page ends with the item whose texts bring it to this size, in bytes or in UTF-16 units, whichever the driver has at
   * hand. It has at least one item, if there is one.
   */
  readonly maxBytes: number;
}

export interface SincePage {
  readonly notifications: readonly Notification[];
  /** Everything up to this position is in this page or was not to be sent. */
  readonly through: number;
  /** Whether more may follow: the page ended at its limit of items or of bytes. */
  readonly more: boolean;
  /** Whether `after` is a position of an inbox that has been erased since: this page is of the one that began then. */
  readonly isOfAnother: boolean;
}

/** A change of state. Positions are inclusive. */
export type InboxChange =
  | { readonly kind: 'read'; readonly id: string; readonly atMs: EpochMs }
  | { readonly kind: 'unread'; readonly id: string }
  | { readonly kind: 'archive'; readonly id: string; readonly atMs: EpochMs }
  | { readonly kind: 'unarchive'; readonly id: string }
  | { readonly kind: 'snooze'; readonly id: string; readonly untilMs: EpochMs }
  | { readonly kind: 'delete'; readonly id: string; readonly atMs: EpochMs }
  | { readonly kind: 'read_up_to'; readonly position: number; readonly atMs: EpochMs }
  | { readonly kind: 'seen_up_to'; readonly position: number };

export interface InboxChanged {
  /** Items whose state this call changed; for seen_up_to 1 where the seen position moved. 0: it was so already. */
  readonly changed: number;
  /** The ids of those items, in no order; undefined where there are more than 100; none for seen_up_to. */
  readonly ids: readonly string[] | undefined;
  readonly summary: InboxSummary;
}

export interface DeviceName {
  readonly deviceType: DeviceType;
  readonly deviceId: string;
}

export interface DeadToken {
  readonly token: string;
  /** When the attempt began that found it dead. */
  readonly triedAtMs: EpochMs;
}

export interface NewDevice extends UserKey {
  readonly id: string;
  readonly deviceType: DeviceType;
  readonly deviceId: string;
  readonly token: string;
  readonly atMs: EpochMs;
}

/** An inbox change names at most this many ids; beyond, clients fetch the inbox again. */
export const namedIds = 100;
