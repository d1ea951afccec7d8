import type { Ambient } from '../../../src/core/ambient.ts';
import { NotifyError, notFound } from '../../../src/core/errors.ts';
import type { Device, InboxSummary, Notification, UserKey } from '../../../src/core/glossary.ts';
import type {
  CreateOutcome,
  InboxChange,
  InboxChanged,
  ListQuery,
  NewDevice,
  NewNotification,
  NotificationPage,
  Outcome,
  SincePage,
  SinceQuery,
  Store,
} from '../../../src/core/store.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { isSendable } from '../deliveries.ts';
import { DeviceTable } from './device-table.ts';
import { estimateDeviceBytes, estimateRowBytes, inboxBytes } from './estimate.ts';
import { Room } from './room.ts';
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
 * Positions start at the time of construction in microseconds. So those of an earlier run are all older than
 * `oldestResumable`, and a client that comes back with one is told to reset.
 */
export class MemoryStore implements Store {
  readonly name = 'memory';
  readonly #clock: Ambient['clock'];
  readonly #limits: MemoryStoreLimits;
  readonly #firstPosition: number;
  readonly #room: Room;
  readonly #inboxes = new Map<string, UserInbox>();
  readonly #devices = new DeviceTable();
  #sequence = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    this.#clock = options.ambient.clock;
    this.#limits = options.limits;
    this.#firstPosition = this.#clock.now() * 1_000;
    this.#room = new Room(options.limits.bytes, (row) => this.#inboxes.get(userKey(row.owner))?.evict(row));
  }

  /** Estimated bytes in use. */
  get usedBytes(): number {
    return this.#room.usedBytes;
  }

  async createNotifications(batch: readonly NewNotification[]): Promise<CreateOutcome[]> {
    this.#assertOpen();
    return batch.map((row) => this.#create(row));
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
    return (
      this.#inbox(owner)?.since(query) ?? { notifications: [], through: this.#firstPosition, more: false }
    );
  }

  async inboxSummary(owner: UserKey): Promise<InboxSummary> {
    return this.#summary(this.#inbox(owner));
  }

  async changeInbox(owner: UserKey, change: InboxChange): Promise<InboxChanged> {
    const inbox = this.#inbox(owner);
    if (inbox === undefined) {
      if ('id' in change) throw notFound();
      return { changed: 0, ids: [], summary: this.#summary(undefined) };
    }
    const changed = inbox.change(change);
    inbox.expire(this.#clock.now()); // an item marked unread may have expired meanwhile
    return { ...changed, summary: inbox.summary };
  }

  async recordOutcomes(outcomes: readonly Outcome[]): Promise<void> {
    this.#assertOpen();
    // nothing expires before: what a stream took in time is recorded a moment later
    for (const outcome of outcomes) this.#inboxes.get(userKey(outcome))?.record(outcome);
  }

  async registerDevice(device: NewDevice): Promise<Device> {
    this.#assertOpen();
    const freed = this.#devices
      .replacedBy(device)
      .reduce((sum, replaced) => sum + estimateDeviceBytes({ ...replaced, atMs: 0n }), 0);
    const bytes = estimateDeviceBytes(device) - freed;
    if (bytes > 0 && !this.#room.fits(bytes)) throw this.#storeFull();
    this.#room.take(bytes);
    return this.#devices.put(device);
  }

  async listDevices(owner: UserKey): Promise<Device[]> {
    this.#assertOpen();
    return this.#devices.list(owner);
  }

  async ready(): Promise<boolean> {
    return !this.#closed;
  }

  /** Forgets everything. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#inboxes.clear();
    this.#devices.clear();
  }

  #create(row: NewNotification): CreateOutcome {
    const key = userKey(row);
    const nowMs = this.#clock.now();
    let inbox = this.#inboxes.get(key);
    inbox?.expire(nowMs);
    const stored = inbox?.stored(row.content.notificationId);
    if (inbox !== undefined && stored !== undefined) {
      const attempt = inbox.adopt(stored, row, nowMs);
      return { notification: inbox.show(stored), created: false, attempt, version: 0 };
    }
    const bytes = estimateRowBytes(row);
    const error = this.#makeRoom(inbox, bytes);
    if (error !== undefined) return { error };
    if (inbox === undefined) {
      inbox = new UserInbox({ tenantId: row.tenantId, userId: row.userId }, this.#firstPosition, this.#room);
      this.#inboxes.set(key, inbox);
    }
    const added = inbox.add(row, ++this.#sequence, bytes);
    const attempt = added.deliveries.filter(isSendable).map((delivery) => delivery.id);
    return { notification: inbox.show(added), created: true, attempt, version: inbox.version };
  }

  /** Takes the memory for one more row, dropping rows at a limit. @returns why it cannot */
  #makeRoom(inbox: UserInbox | undefined, rowBytes: number): NotifyError | undefined {
    const bytes = inbox === undefined ? inboxBytes + rowBytes : rowBytes;
    if (!this.#room.fits(bytes)) return this.#storeFull();
    if (inbox !== undefined && inbox.size >= this.#limits.notificationsPerUser) {
      const oldest = inbox.oldestEvictable;
      if (oldest === undefined) return this.#inboxFull();
      inbox.evict(oldest);
    }
    this.#room.take(bytes);
    return undefined;
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
    const inbox = this.#inboxes.get(userKey(owner));
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
