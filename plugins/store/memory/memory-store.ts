import type {
  Address,
  DeadAddress,
  DeadAddressPage,
  DeadAddressQuery,
  DestinationLookUp,
  KnownDestinations,
  Recipient,
} from '../../../src/core/addresses.ts';
import type { Ambient } from '../../../src/core/ambient.ts';
import type { DeliveryPage, DeliveryQuery, DeliveryRecord } from '../../../src/core/delivery-log.ts';
import { NotifyError, notFound } from '../../../src/core/errors.ts';
import type {
  Device,
  EpochMs,
  InboxSummary,
  KnownInbox,
  Notification,
  Reason,
  UserKey,
} from '../../../src/core/glossary.ts';
import type {
  Advanced,
  Cancel,
  Cancelled,
  Claim,
  Claimed,
  DeliveryRef,
  Lease,
  Outcome,
  Retry,
} from '../../../src/core/outbox.ts';
import type { Receipt, ReceivedDelivery } from '../../../src/core/receipts/receipt.ts';
import type {
  CreateOutcome,
  DeadToken,
  DeviceName,
  InboxChange,
  InboxChanged,
  ListQuery,
  NewDevice,
  NewNotification,
  NotificationPage,
  PageLimits,
  SincePage,
  SinceQuery,
  Store,
  StreamPosition,
} from '../../../src/core/store.ts';
import { noRecipient } from '../recipients.ts';
import { advanceItems } from './advance.ts';
import { cancelNotification } from './cancel.ts';
import { changeInbox } from './changes.ts';
import { claimDeliveries, releaseLeases, renewLeases } from './claims.ts';
import { createRow } from './create.ts';
import { findDelivery, pageOfDeliveries } from './delivery-log.ts';
import { eraseUser } from './erase.ts';
import { changedInboxes, listItems } from './listing.ts';
import { recordOutcome } from './outcomes.ts';
import { recordReceipt } from './receipts.ts';
import { retryDeliveries } from './retry.ts';
import { itemsAfter, itemsSince } from './streaming.ts';
import { Tables } from './tables.ts';

export interface MemoryStoreOptions {
  readonly ambient: Pick<Ambient, 'clock'>;
  readonly limits: MemoryStoreLimits;
}

/** At a limit, rows that the user has read or deleted go first, the oldest of them; unread ones are never dropped. */
export interface MemoryStoreLimits {
  /** Rows that one user may have, 1 or more; deleted ones count, since their idempotency keys are kept. */
  readonly notificationsPerUser: number;
  /** Estimated bytes of everything stored, see estimate.ts. */
  readonly bytes: number;
}

/**
 * The store for development and tests: everything is in this process and gone with it.
 *
 * Positions start at the time of construction in microseconds, and above those of whoever was erased. So those of an earlier run,
 * or of an inbox that was erased, are all older than `oldestResumable`, and a client that comes back with one is told to reset.
 */
export class MemoryStore implements Store {
  readonly name = 'memory';
  readonly #limits: MemoryStoreLimits;
  readonly #held: Tables;
  #closed = false;

  constructor({ ambient, limits }: MemoryStoreOptions) {
    this.#limits = limits;
    this.#held = new Tables(ambient.clock, limits.bytes);
  }

  /** Estimated bytes in use. */
  get usedBytes(): number {
    return this.#held.room.usedBytes;
  }

  now(): number {
    return this.#held.clock.now();
  }

  async createNotifications(batch: readonly NewNotification[], lease?: Lease): Promise<CreateOutcome[]> {
    const { notificationsPerUser } = this.#limits;
    const tables = this.#tables;
    return batch.map((row) => createRow(tables, row, lease, notificationsPerUser));
  }

  async getNotification(owner: UserKey, id: string): Promise<Notification> {
    const inbox = this.#tables.inbox(owner);
    if (inbox === undefined) throw notFound();
    return inbox.show(inbox.named(id));
  }

  async listNotifications(owner: UserKey, query: ListQuery): Promise<NotificationPage> {
    const inbox = this.#tables.inbox(owner);
    const page = inbox ? listItems(inbox, query) : { notifications: [], more: false };
    return { ...page, summary: this.#tables.summary(inbox) };
  }

  async notificationsSince(owner: UserKey, query: SinceQuery): Promise<SincePage> {
    return itemsSince(this.#tables, owner, query);
  }

  async notificationsAfter(
    streams: readonly StreamPosition[],
    limits: PageLimits & { readonly maxBytesOfAll: number },
  ): Promise<SincePage[]> {
    return itemsAfter(this.#tables, streams, limits);
  }

  async inboxSummary(owner: UserKey): Promise<InboxSummary> {
    return this.#tables.summary(this.#tables.inbox(owner));
  }

  async changedInboxes(known: readonly KnownInbox[]): Promise<(InboxSummary | undefined)[]> {
    return changedInboxes(this.#tables, known);
  }

  async changeInbox(owner: UserKey, change: InboxChange): Promise<InboxChanged> {
    return changeInbox(this.#tables, owner, change);
  }

  async claimDeliveries(claim: Claim): Promise<Claimed> {
    return claimDeliveries(this.#tables, claim);
  }

  async renewLeases(
    lease: Lease,
    held: readonly DeliveryRef[],
    options = { goingOn: false },
  ): Promise<boolean[]> {
    return renewLeases(this.#tables, lease, held, options);
  }

  async releaseLeases(token: string, held: readonly DeliveryRef[], afterMs = 0): Promise<void> {
    releaseLeases(this.#tables, token, held, afterMs);
  }

  async recordOutcomes(outcomes: readonly Outcome[]): Promise<boolean[]> {
    const tables = this.#tables;
    return outcomes.map((outcome) => recordOutcome(tables, outcome));
  }

  async recordReceipts(receipts: readonly Receipt[]): Promise<(ReceivedDelivery | undefined)[]> {
    const tables = this.#tables;
    return receipts.map((receipt) => recordReceipt(tables, receipt));
  }

  async advanceItems(limit: number): Promise<Advanced> {
    return advanceItems(this.#tables, limit);
  }

  async cancelNotification(cancel: Cancel): Promise<Cancelled> {
    return cancelNotification(this.#tables, cancel);
  }

  async retryDeliveries(retry: Retry): Promise<number> {
    return retryDeliveries(this.#tables, retry);
  }

  async listDeliveries(query: DeliveryQuery): Promise<DeliveryPage> {
    return pageOfDeliveries(this.#tables.rowsOf(query.tenantId), query);
  }

  async getDelivery(tenantId: string, deliveryId: string): Promise<DeliveryRecord> {
    const { outbox } = this.#tables;
    const record = findDelivery(this.#tables.rowsOf(tenantId), deliveryId.toLowerCase());
    const { id } = record.delivery;
    return { ...record, log: outbox.log(id), receipts: outbox.receipts(id) };
  }

  async registerDevice(device: NewDevice): Promise<Device> {
    return this.#tables.devices.put(device);
  }

  async listDevices(owner: UserKey): Promise<Device[]> {
    return this.#tables.devices.list(owner);
  }

  async removeDevice(owner: UserKey, which: DeviceName | DeadToken): Promise<boolean> {
    return this.#tables.devices.remove(owner, which);
  }

  async putRecipients(recipients: readonly Recipient[], atMs: EpochMs): Promise<void> {
    this.#tables.recipients.put(recipients, atMs);
  }

  async getRecipient(owner: UserKey): Promise<Recipient> {
    const recipient = this.#tables.recipients.get(owner);
    if (recipient === undefined) throw noRecipient();
    return recipient;
  }

  async destinations(lookUps: readonly DestinationLookUp[]): Promise<KnownDestinations[]> {
    const { recipients, devices } = this.#tables;
    return lookUps.map((lookUp) => ({
      addresses: recipients.get(lookUp)?.addresses ?? {},
      devices: lookUp.devices ? devices.list(lookUp) : [],
    }));
  }

  async eraseUser(owner: UserKey): Promise<number> {
    return eraseUser(this.#tables, owner);
  }

  async markAddressesDead(batch: readonly DeadAddress[]): Promise<void> {
    const { dead } = this.#tables;
    for (const address of batch) dead.mark(address);
  }

  async deadAddresses(addresses: readonly Address[]): Promise<(Reason | undefined)[]> {
    const { dead } = this.#tables;
    return addresses.map((address) => dead.reasonOf(address));
  }

  async listDeadAddresses(query: DeadAddressQuery): Promise<DeadAddressPage> {
    return this.#tables.dead.list(query);
  }

  async reviveAddress(address: Address, atMs: EpochMs): Promise<boolean> {
    return this.#tables.dead.revive(address, atMs);
  }

  async ready(): Promise<boolean> {
    return !this.#closed;
  }

  /** Forgets everything. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#held.clear();
  }

  /** What is stored. @throws NotifyError unavailable, once the store is closed */
  get #tables(): Tables {
    if (this.#closed) throw new NotifyError('unavailable', 'the store is closed; try another server');
    return this.#held;
  }
}
