import type {
  Attempt,
  Channel,
  DeliveryStatus,
  EpochMs,
  InboxSummary,
  Notification,
  Reason,
  UserKey,
} from './glossary.ts';

/**
 * The deliveries and items of a store that are due: what a dispatcher drains. A part of every Store.
 *
 * A delivery is due by time. Whoever attempts it holds a lease: until the lease ends nobody else is given it, and only the
 * holder's token may say what became of it. A lease is nothing but a due time moved to its end, so that a delivery whose
 * holder died is due again by itself, as one crash more.
 *
 * "Now" is the store's: a driver that is shared between machines goes by one clock for all of them.
 */
export interface Outbox {
  /**
   * Leases deliveries that are due, the longest due first, with fair shares between tenants and never more of a channel
   * than there is room for.
   */
  claimDeliveries(claim: Claim): Promise<Claimed>;

  /**
   * Moves the end of leases that this token still holds.
   * @param options.goingOn another provider is to be asked now: false also where a receipt says that the message is lost, see ReceiptLog
   * @returns for each, in order, whether it does
   */
  renewLeases(
    lease: Lease,
    held: readonly DeliveryRef[],
    options?: { readonly goingOn: boolean },
  ): Promise<boolean[]>;

  /**
   * Hands leases back unused: what this token still holds of them is due for anybody, and no crash is counted. What a receipt says is
   * lost is failed by that.
   * @param afterMs in how long it is due, in milliseconds; 0: at once
   */
  releaseLeases(token: string, held: readonly DeliveryRef[], afterMs?: number): Promise<void>;

  /**
   * Writes what became of deliveries, in order. An outcome that would move a status backwards, or that comes from a token
   * that has lost its lease, changes nothing: a late one is no error. Where a receipt was faster, the attempt of the token that still
   * holds the lease is added to the log, and the status stays; a loss that waited for the outcome decides now, see ReceiptLog. Pending
   * again keeps the new reason. Unknown deliveries are skipped. An id that a provider gave a message stays until another is taken, or
   * another provider asked. This changes neither version nor position, except that an item whose in-app delivery is suppressed leaves
   * the inbox.
   * @returns for each, in order, whether it was written
   */
  recordOutcomes(outcomes: readonly Outcome[]): Promise<boolean[]>;

  /**
   * Does what is due with items themselves, the longest due first: shows those whose time has come, brings back those whose
   * snooze has ended, and stops what has expired (its pending deliveries are suppressed with reason `expired`, those that are
   * under way a few seconds after they were handed back or put off; and an item that no stream took and nobody read leaves the
   * inbox).
   * @param limit items at a time, at most
   */
  advanceItems(limit: number): Promise<Advanced>;

  /**
   * Stops what has not gone out yet of a notification: deliveries that are pending and not under way become suppressed with
   * reason `cancelled`, an item that has not appeared never does. With `retract` items leave their inboxes too, as if
   * deleted. Idempotent.
   */
  cancelNotification(cancel: Cancel): Promise<Cancelled>;

  /**
   * Makes failed deliveries due again, with a new horizon, and their crashes forgotten. They are spread evenly over a time.
   * @returns how many
   */
  retryDeliveries(retry: Retry): Promise<number>;
}

/** Who attempts, and for how long nobody else does. */
export interface Lease {
  /** UUID; one per process and start. */
  readonly token: string;
  readonly durationMs: number;
}

/** Names a delivery for its store. */
export interface DeliveryRef extends UserKey {
  /** The notification's id. */
  readonly id: string;
  readonly deliveryId: string;
}

export interface Claim {
  readonly lease: Lease;
  /** How many deliveries of each channel; others are left alone. */
  readonly room: ReadonlyMap<Channel, number>;
  /** Whether one may be among them that has crashed its holder twice; there is never a second, so that the guilty one is found. */
  readonly suspect: boolean;
  /** Whether leases that are over are taken from their holders. */
  readonly takeOver: boolean;
}

export interface Claimed {
  readonly deliveries: readonly ClaimedDelivery[];
  /** In how long something else falls due, in milliseconds and as far as the store knows; undefined: nothing does. */
  readonly nextDueInMs: number | undefined;
}

export interface ClaimedDelivery {
  readonly notification: Notification;
  readonly deliveryId: string;
  /** Leases that ran out without an outcome. */
  readonly crashes: number;
}

/** What became of one delivery. */
export interface Outcome extends DeliveryRef {
  readonly status: DeliveryStatus;
  readonly reason: Reason;
  readonly providerMessageId: string;
  readonly atMs: EpochMs;
  /** The attempts that led to it, in order, each by a provider of its own; none, as with one that had expired. */
  readonly attempts: readonly Attempt[];
  /** Undefined where no lease is needed: an outcome that does not come from an attempt of a provider. */
  readonly leaseToken: string | undefined;
  /** Where it is pending: when it is tried again; 0n: nothing polls it. */
  readonly dueAtMs: EpochMs;
}

export interface Advanced {
  readonly changes: readonly InboxMoved[];
  /** Whether more is due than the limit. */
  readonly more: boolean;
  /** As of Claimed. */
  readonly nextDueInMs: number | undefined;
}

/** What happened to one inbox without its user. */
export interface InboxMoved extends UserKey {
  readonly appeared: readonly Notification[];
  readonly removedIds: readonly string[];
  readonly summary: InboxSummary;
}

export interface Cancel {
  readonly tenantId: string;
  readonly notificationId: string;
  /** Empty: everybody who has it. */
  readonly userIds: readonly string[];
  readonly retract: boolean;
  readonly atMs: EpochMs;
}

export interface Cancelled {
  /** Per user and channel: how many had something left to stop. */
  readonly cancelled: number;
  /** Inboxes that lost an item. */
  readonly changes: readonly InboxMoved[];
}

/** Which failed deliveries of a tenant: some by id, or all of a channel, perhaps of a provider and a time. */
export type Retry = {
  readonly tenantId: string;
  readonly atMs: EpochMs;
  /** Each is due so long after the one before, in milliseconds; all of them within `longestMs`. */
  readonly spacingMs: number;
  readonly longestMs: number;
} & (
  | { readonly ids: readonly string[] }
  | {
      readonly channel: Channel;
      /** '': any. */
      readonly provider: string;
      /** When they failed; 0n: no bound. The first is inclusive, the second is not. */
      readonly sinceMs: EpochMs;
      readonly untilMs: EpochMs;
    }
);
