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
  Channel,
  Delivery,
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
  InboxMoved,
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
  SincePage,
  SinceQuery,
  Store,
} from '../../../src/core/store.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { UserMap } from '../../../src/core/user-map.ts';
import { afterReceipt, expiryLookMs, isKept, isSendable } from '../deliveries.ts';
import { noRecipient } from '../recipients.ts';
import { DeadTable } from './dead-table.ts';
import { findDelivery, pageOfDeliveries } from './delivery-log.ts';
import { DeviceTable } from './device-table.ts';
import { DueTimes } from './due.ts';
import {
  estimateDeadAddressBytes,
  estimateDeviceBytes,
  estimateRecipientBytes,
  estimateRowBytes,
  inboxBytes,
} from './estimate.ts';
import { MemoryOutbox } from './outbox.ts';
import { Room } from './room.ts';
import type { Row } from './row.ts';
import { UserInbox } from './user-inbox.ts';

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

/** When a producer that found the store full may try again: nothing but a reader makes room. */
const fullRetryAfterMs = 60_000;

/**
 * The store for development and tests: everything is in this process and gone with it.
 *
 * Positions start at the time of construction in microseconds, and above those of whoever was erased. So those of an earlier run,
 * or of an inbox that was erased, are all older than `oldestResumable`, and a client that comes back with one is told to reset.
 */
export class MemoryStore implements Store {
  readonly name = 'memory';
  readonly #clock: Ambient['clock'];
  readonly #limits: MemoryStoreLimits;
  readonly #firstPosition: number;
  /** By tenant: above the positions and versions of all inboxes that were erased. */
  readonly #floors = new Map<string, number>();
  readonly #room: Room;
  readonly #inboxes = new UserMap<UserInbox>();
  readonly #devices = new DeviceTable();
  readonly #recipients = new UserMap<Recipient>();
  readonly #dead = new DeadTable();
  readonly #outbox = new MemoryOutbox();
  /** Items that appear, come back or expire. */
  readonly #dueItems = new DueTimes<{ readonly owner: UserKey; readonly id: string }>();
  #sequence = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    this.#clock = options.ambient.clock;
    this.#limits = options.limits;
    this.#firstPosition = this.#clock.now() * 1_000;
    this.#room = new Room(options.limits.bytes, (row) => this.#evict(row));
  }

  /** Estimated bytes in use. */
  get usedBytes(): number {
    return this.#room.usedBytes;
  }

  now(): number {
    return this.#clock.now();
  }

  async createNotifications(batch: readonly NewNotification[], lease?: Lease): Promise<CreateOutcome[]> {
    this.#assertOpen();
    return batch.map((row) => this.#create(row, lease));
  }

  async getNotification(owner: UserKey, id: string): Promise<Notification> {
    const inbox = this.#inbox(owner);
    if (inbox === undefined) throw notFound();
    return inbox.get(id);
  }

  async listNotifications(owner: UserKey, query: ListQuery): Promise<NotificationPage> {
    const inbox = this.#inbox(owner);
    const page = inbox?.list(query) ?? { notifications: [], more: false };
    return { ...page, summary: this.#summary(inbox) };
  }

  async notificationsSince(owner: UserKey, query: SinceQuery): Promise<SincePage> {
    const inbox = this.#inbox(owner);
    if (inbox === undefined)
      return { notifications: [], through: this.#firstPosition, more: false, isOfAnother: false };
    // who was at the first position was in an inbox that had nothing
    const isOfAnother = query.after > this.#firstPosition && query.after < inbox.floor;
    return { ...inbox.since(query), isOfAnother };
  }

  async inboxSummary(owner: UserKey): Promise<InboxSummary> {
    return this.#summary(this.#inbox(owner));
  }

  async changedInboxes(known: readonly KnownInbox[]): Promise<(InboxSummary | undefined)[]> {
    return known.map((inbox) => {
      const summary = this.#summary(this.#inbox(inbox));
      const isKnown = summary.version === inbox.version && summary.newestPosition === inbox.newestPosition;
      return isKnown ? undefined : summary;
    });
  }

  async changeInbox(owner: UserKey, change: InboxChange): Promise<InboxChanged> {
    const inbox = this.#inbox(owner);
    if (inbox === undefined) {
      if ('id' in change) throw notFound();
      return { changed: 0, ids: [], summary: this.#summary(undefined) };
    }
    const nowMs = this.#clock.now();
    const changed = inbox.change(change, nowMs);
    inbox.expire(nowMs); // an item marked unread may have expired meanwhile
    if (change.kind === 'snooze') for (const id of changed.ids ?? []) this.#scheduleItem(inbox.row(id));
    return { ...changed, summary: inbox.summary };
  }

  async claimDeliveries(claim: Claim): Promise<Claimed> {
    this.#assertOpen();
    const { claimed, nextDueInMs } = this.#outbox.claim(claim, this.#clock.now());
    const deliveries = claimed.flatMap(({ crashes, ...ref }) => {
      const inbox = this.#inboxes.get(ref);
      const row = inbox?.row(ref.id);
      if (inbox === undefined || row === undefined) return [];
      return [{ notification: inbox.show(row), deliveryId: ref.deliveryId, crashes }];
    });
    return { deliveries, nextDueInMs };
  }

  async renewLeases(lease: Lease, held: readonly DeliveryRef[]): Promise<boolean[]> {
    this.#assertOpen();
    const until = BigInt(this.#clock.now() + lease.durationMs);
    return held.map(({ deliveryId }) => this.#outbox.extend(lease.token, deliveryId, until));
  }

  async releaseLeases(token: string, held: readonly DeliveryRef[], afterMs = 0): Promise<void> {
    this.#assertOpen();
    const dueAtMs = BigInt(this.#clock.now() + afterMs);
    for (const { deliveryId } of held) this.#outbox.release(token, deliveryId, dueAtMs);
  }

  async recordOutcomes(outcomes: readonly Outcome[]): Promise<boolean[]> {
    this.#assertOpen();
    // nothing expires before: what a stream took in time is recorded a moment later
    return outcomes.map((outcome) => {
      if (!this.#outbox.mayWrite(outcome)) return false;
      const written = this.#inboxes.get(outcome)?.record(outcome);
      if (written === undefined) return false;
      this.#outbox.settle(written, outcome.attempts, outcome.atMs);
      return true;
    });
  }

  async recordReceipts(receipts: readonly Receipt[]): Promise<(ReceivedDelivery | undefined)[]> {
    this.#assertOpen();
    return receipts.map((receipt) => {
      const deliveryId = receipt.deliveryId.toLowerCase();
      const ref = this.#outbox.find(deliveryId);
      if (ref?.tenantId !== receipt.tenantId || ref.id !== receipt.id.toLowerCase()) return undefined;
      const inbox = this.#inboxes.get(ref);
      const before = inbox?.delivery(ref.id, deliveryId);
      if (inbox === undefined || before?.channel !== receipt.channel) return undefined;
      const after = afterReceipt(before, receipt);
      if (after !== before) inbox.replace(ref.id, after);
      if (isKept(before, after)) this.#outbox.receive(after, receipt, after.status !== before.status);
      return { destination: before.destination };
    });
  }

  async advanceItems(limit: number): Promise<Advanced> {
    this.#assertOpen();
    const nowMs = BigInt(this.#clock.now());
    const moved = new Map<string, { owner: UserKey; appeared: string[]; removed: string[] }>();
    for (let done = 0; done < limit; done++) {
      const first = this.#dueItems.first();
      if (first === undefined || first.dueAtMs > nowMs) break;
      this.#advance(first.item, nowMs, moved);
    }
    const changes = [...moved.values()].map(({ owner, appeared, removed }): InboxMoved => {
      const inbox = this.#inboxes.get(owner);
      return {
        ...owner,
        appeared: appeared.flatMap((id) => {
          const row = inbox?.row(id);
          return inbox && row ? [inbox.show(row)] : [];
        }),
        removedIds: removed,
        summary: this.#summary(inbox),
      };
    });
    const next = this.#dueItems.first()?.dueAtMs ?? 0n;
    return {
      changes,
      more: next !== 0n && next <= nowMs,
      nextDueInMs: next > nowMs ? Number(next - nowMs) : undefined,
    };
  }

  async cancelNotification(cancel: Cancel): Promise<Cancelled> {
    this.#assertOpen();
    const { tenantId, notificationId, userIds } = cancel;
    const inboxes =
      userIds.length > 0
        ? userIds.map((userId) => this.#inboxes.get({ tenantId, userId }))
        : [...this.#inboxes.ofTenant(tenantId)];
    const changes: InboxMoved[] = [];
    let cancelled = 0;
    for (const inbox of new Set(inboxes)) {
      const row = inbox?.stored(notificationId);
      if (inbox === undefined || row === undefined) continue;
      const channels = new Set<string>();
      const deliveries = row.deliveries.map((delivery) => {
        const isFree = delivery.channel !== 'in_app' && !this.#outbox.isLeased(delivery.id);
        if (!isFree || delivery.status !== 'pending') return delivery;
        channels.add(delivery.channel);
        const stopped = { ...delivery, status: 'suppressed' as const, reason: 'cancelled', dueAtMs: 0n };
        this.#outbox.settle(stopped);
        return stopped;
      });
      const { inApp, left } = inbox.cancel(row, deliveries, cancel.retract, cancel.atMs);
      this.#scheduleItem(inbox.row(row.id));
      cancelled += channels.size + (inApp ? 1 : 0);
      if (left)
        changes.push({ ...inbox.owner, appeared: [], removedIds: [row.id], summary: this.#summary(inbox) });
    }
    return { cancelled, changes };
  }

  async retryDeliveries(retry: Retry): Promise<number> {
    this.#assertOpen();
    const chosen = this.#rowsOf(retry.tenantId).flatMap((row) =>
      row.deliveries
        .filter((delivery) => this.#mayRetry(delivery, retry))
        .map((delivery) => ({ row, delivery })),
    );
    const spacingMs = Math.min(retry.spacingMs, Math.floor(retry.longestMs / chosen.length));
    chosen.forEach(({ row, delivery }, i) => {
      const dueAtMs = retry.atMs + BigInt(i * spacingMs);
      const again = { ...delivery, status: 'pending' as const, reason: '', dueAtMs, firstDueAtMs: dueAtMs };
      this.#inboxes.get(row.owner)?.replace(row.id, again);
      this.#outbox.settle(again);
    });
    return chosen.length;
  }

  async listDeliveries(query: DeliveryQuery): Promise<DeliveryPage> {
    this.#assertOpen();
    return pageOfDeliveries(this.#rowsOf(query.tenantId), query);
  }

  async getDelivery(tenantId: string, deliveryId: string): Promise<DeliveryRecord> {
    this.#assertOpen();
    const record = findDelivery(this.#rowsOf(tenantId), deliveryId.toLowerCase());
    const { id } = record.delivery;
    return { ...record, log: this.#outbox.log(id), receipts: this.#outbox.receipts(id) };
  }

  async registerDevice(device: NewDevice): Promise<Device> {
    this.#assertOpen();
    const freed = this.#devices
      .replacedBy(device)
      .reduce((sum, replaced) => sum + estimateDeviceBytes({ ...replaced, atMs: 0n }), 0);
    this.#takeBytes(estimateDeviceBytes(device) - freed);
    return this.#devices.put(device);
  }

  async listDevices(owner: UserKey): Promise<Device[]> {
    this.#assertOpen();
    return this.#devices.list(owner);
  }

  async removeDevice(owner: UserKey, which: DeviceName | DeadToken): Promise<boolean> {
    this.#assertOpen();
    return this.#removeDevice(owner, which);
  }

  async putRecipients(recipients: readonly Recipient[], atMs: EpochMs): Promise<void> {
    this.#assertOpen();
    let bytes = 0;
    for (const recipient of recipients) {
      const before = this.#recipients.get(recipient);
      bytes += estimateRecipientBytes(recipient) - (before ? estimateRecipientBytes(before) : 0);
    }
    this.#takeBytes(bytes);
    for (const recipient of recipients) {
      const { tenantId, addresses } = recipient;
      this.#recipients.set(recipient, recipient);
      for (const [channel, address] of Object.entries(addresses))
        this.#dead.revive({ tenantId, channel: channel as Channel, address }, atMs);
    }
  }

  async getRecipient(owner: UserKey): Promise<Recipient> {
    this.#assertOpen();
    const recipient = this.#recipients.get(owner);
    if (recipient === undefined) throw noRecipient();
    return recipient;
  }

  async destinations(lookUps: readonly DestinationLookUp[]): Promise<KnownDestinations[]> {
    this.#assertOpen();
    return lookUps.map((lookUp) => ({
      addresses: this.#recipients.get(lookUp)?.addresses ?? {},
      devices: lookUp.devices ? this.#devices.list(lookUp) : [],
    }));
  }

  async eraseUser(owner: UserKey): Promise<number> {
    this.#assertOpen();
    let erased = 0;
    const inbox = this.#inboxes.get(owner);
    for (const row of [...(inbox?.rows() ?? [])]) {
      erased += 1 + row.deliveries.length - (row.inApp === undefined ? 0 : 1);
      this.#evict(row);
    }
    if (inbox !== undefined) {
      this.#room.release(inboxBytes);
      const { newestPosition, version } = inbox.summary;
      const floor = Math.max(newestPosition, version) + 1;
      this.#floors.set(owner.tenantId, Math.max(floor, this.#floors.get(owner.tenantId) ?? 0));
    }
    this.#inboxes.delete(owner);
    for (const { deviceType, deviceId } of this.#devices.list(owner))
      if (this.#removeDevice(owner, { deviceType, deviceId })) erased += 1;
    const recipient = this.#recipients.get(owner);
    if (recipient !== undefined) {
      this.#room.release(estimateRecipientBytes(recipient));
      this.#recipients.delete(owner);
      erased += 1;
    }
    return erased;
  }

  async markAddressesDead(batch: readonly DeadAddress[]): Promise<void> {
    this.#assertOpen();
    for (const address of batch) {
      if (this.#dead.adds(address)) this.#takeBytes(estimateDeadAddressBytes(address));
      this.#dead.mark(address);
    }
  }

  async deadAddresses(addresses: readonly Address[]): Promise<(Reason | undefined)[]> {
    this.#assertOpen();
    return addresses.map((address) => this.#dead.reasonOf(address));
  }

  async listDeadAddresses(query: DeadAddressQuery): Promise<DeadAddressPage> {
    this.#assertOpen();
    return this.#dead.list(query);
  }

  async reviveAddress(address: Address, atMs: EpochMs): Promise<boolean> {
    this.#assertOpen();
    return this.#dead.revive(address, atMs);
  }

  async ready(): Promise<boolean> {
    return !this.#closed;
  }

  /** Forgets everything. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#inboxes.clear();
    this.#floors.clear();
    this.#devices.clear();
    this.#recipients.clear();
    this.#dead.clear();
    this.#outbox.clear();
  }

  #create(row: NewNotification, lease: Lease | undefined): CreateOutcome {
    const nowMs = this.#clock.now();
    const dueAtMs = row.appearsAtMs || BigInt(nowMs + (lease?.durationMs ?? 0));
    let inbox = this.#inboxes.get(row);
    inbox?.expire(nowMs);
    const stored = inbox?.stored(row.content.notificationId);
    if (inbox !== undefined && stored !== undefined) {
      const adopted = inbox.adopt(stored, row, nowMs, BigInt(nowMs + (lease?.durationMs ?? 0)));
      const attempt = this.#hand(stored, adopted, stored.isScheduled ? undefined : lease);
      return { notification: inbox.show(stored), created: false, attempt, version: 0 };
    }
    const bytes = estimateRowBytes(row);
    const error = this.#makeRoom(inbox, bytes);
    if (error !== undefined) return { error };
    if (inbox === undefined) {
      const { tenantId, userId } = row;
      const floor = this.#floors.get(tenantId);
      inbox = new UserInbox({ tenantId, userId }, floor ?? this.#firstPosition, floor ?? 0, this.#room);
      this.#inboxes.set(row, inbox);
    }
    const added = inbox.add(row, ++this.#sequence, bytes, dueAtMs);
    if (added.dueAtMs !== 0n) this.#scheduleItem(added);
    const attempt = this.#hand(added, added.deliveries, row.appearsAtMs === 0n ? lease : undefined);
    return { notification: inbox.show(added), created: true, attempt, version: inbox.version };
  }

  /** Puts what can be sent into the outbox. @returns what the caller attempts, under its lease */
  #hand(row: Row, deliveries: readonly Delivery[], lease: Lease | undefined): string[] {
    const attempt: string[] = [];
    for (const delivery of deliveries) {
      if (delivery.channel === 'in_app') continue;
      const leaseToken = isSendable(delivery) ? lease?.token : undefined;
      this.#outbox.put({ ...row.owner, id: row.id }, delivery, leaseToken);
      if (leaseToken !== undefined) attempt.push(delivery.id);
    }
    return attempt;
  }

  #scheduleItem(row: Row | undefined): void {
    if (row !== undefined) this.#dueItems.set(row.id, { owner: row.owner, id: row.id }, row.dueAtMs);
  }

  #advance(
    { owner, id }: { readonly owner: UserKey; readonly id: string },
    nowMs: bigint,
    moved: Map<string, { owner: UserKey; appeared: string[]; removed: string[] }>,
  ): void {
    const key = userKey(owner);
    const inbox = this.#inboxes.get(owner);
    const row = inbox?.row(id);
    if (inbox === undefined || row === undefined) {
      this.#dueItems.set(id, { owner, id }, 0n);
      return;
    }
    const { expiresAtMs } = row.content;
    const isOver = expiresAtMs !== 0n && expiresAtMs <= nowMs;
    const isUnderWay = isOver && this.#expireDeliveries(inbox, row);
    const change = inbox.advance(id, nowMs);
    if (isUnderWay) inbox.lookAgain(id, nowMs + BigInt(expiryLookMs));
    this.#scheduleItem(inbox.row(id));
    if (change === undefined) return;
    const of = moved.get(key) ?? { owner, appeared: [], removed: [] };
    moved.set(key, of);
    (change === 'appeared' ? of.appeared : of.removed).push(id);
  }

  /** What is under way is not stopped. @returns whether something is */
  #expireDeliveries(inbox: UserInbox, row: Row): boolean {
    let isUnderWay = false;
    for (const delivery of row.deliveries) {
      if (delivery.channel === 'in_app' || delivery.status !== 'pending') continue;
      if (this.#outbox.isLeased(delivery.id)) {
        isUnderWay = true;
        continue;
      }
      const expired = { ...delivery, status: 'suppressed' as const, reason: 'expired', dueAtMs: 0n };
      inbox.replace(row.id, expired);
      this.#outbox.settle(expired);
    }
    return isUnderWay;
  }

  #mayRetry(delivery: Delivery, retry: Retry): boolean {
    const { status, channel, provider, destination } = delivery;
    if (status !== 'failed' || destination === '' || provider === '') return false;
    if ('ids' in retry) return retry.ids.some((id) => id.toLowerCase() === delivery.id);
    const failedAtMs = this.#outbox.settledAtMs(delivery.id);
    return (
      channel === retry.channel &&
      (retry.provider === '' || retry.provider === provider) &&
      failedAtMs >= retry.sinceMs &&
      (retry.untilMs === 0n || failedAtMs < retry.untilMs)
    );
  }

  #rowsOf(tenantId: string): Row[] {
    return [...this.#inboxes.ofTenant(tenantId)].flatMap((inbox) => [...inbox.rows()]);
  }

  #removeDevice(owner: UserKey, which: DeviceName | DeadToken): boolean {
    const removed = this.#devices.remove(owner, which);
    if (removed !== undefined) this.#room.release(estimateDeviceBytes({ ...removed, atMs: 0n }));
    return removed !== undefined;
  }

  #evict(row: Row): void {
    this.#inboxes.get(row.owner)?.evict(row);
    this.#dueItems.set(row.id, { owner: row.owner, id: row.id }, 0n);
    for (const { id } of row.deliveries) this.#outbox.drop(id);
  }

  /** Takes the memory for one more row, dropping rows at a limit. @returns why it cannot */
  #makeRoom(inbox: UserInbox | undefined, rowBytes: number): NotifyError | undefined {
    const bytes = inbox === undefined ? inboxBytes + rowBytes : rowBytes;
    if (!this.#room.fits(bytes)) return this.#storeFull();
    if (inbox !== undefined && inbox.size >= this.#limits.notificationsPerUser) {
      const oldest = inbox.oldestEvictable;
      if (oldest === undefined) return this.#inboxFull();
      this.#evict(oldest);
    }
    this.#room.take(bytes);
    return undefined;
  }

  /** @throws NotifyError resource_exhausted */
  #takeBytes(bytes: number): void {
    if (bytes > 0 && !this.#room.fits(bytes)) throw this.#storeFull();
    this.#room.take(bytes);
  }

  #inboxFull(): NotifyError {
    return new NotifyError(
      'resource_exhausted',
      `this inbox is full: the memory store keeps ${this.#limits.notificationsPerUser} notifications a user and drops only ` +
        'read ones; mark some as read or delete them, or use the postgres store (NOTIFY_STORE_DRIVER)',
      { retryAfterMs: fullRetryAfterMs },
    );
  }

  #storeFull(): NotifyError {
    return new NotifyError(
      'resource_exhausted',
      `the memory store is full: it keeps ${this.#limits.bytes} bytes and drops only read notifications; mark some as ` +
        'read or delete them, or use the postgres store (NOTIFY_STORE_DRIVER)',
      { retryAfterMs: fullRetryAfterMs },
    );
  }

  /** The user's inbox as of now; undefined where nothing was ever stored in it. A look alone stores nothing. */
  #inbox(owner: UserKey): UserInbox | undefined {
    this.#assertOpen();
    const inbox = this.#inboxes.get(owner);
    inbox?.expire(this.#clock.now());
    return inbox;
  }

  #summary(inbox: UserInbox | undefined): InboxSummary {
    return (
      inbox?.summary ?? {
        unreadCount: 0,
        unseenCount: 0,
        version: 0,
        newestPosition: this.#firstPosition,
        oldestResumable: this.#firstPosition,
      }
    );
  }

  #assertOpen(): void {
    if (this.#closed) throw new NotifyError('unavailable', 'the store is closed; try another server');
  }
}
