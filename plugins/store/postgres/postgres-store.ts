import type {
  Address,
  DeadAddress,
  DeadAddressPage,
  DeadAddressQuery,
  DestinationLookUp,
  KnownDestinations,
  Recipient,
} from '../../../src/core/addresses.ts';
import { isUuid } from '../../../src/core/ambient.ts';
import type { DeliveryPage, DeliveryQuery, DeliveryRecord } from '../../../src/core/delivery-log.ts';
import { notFound } from '../../../src/core/errors.ts';
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
import { userKey } from '../../../src/core/user-key.ts';
import { advanceItems } from './advance.ts';
import { cancelNotification } from './cancel.ts';
import { changeInbox } from './changes.ts';
import { Claims } from './claims.ts';
import { Coalescer } from './coalesce.ts';
import { createCalls } from './create.ts';
import type { Database } from './database.ts';
import { databaseNow, type StoreClock } from './database-clock.ts';
import { findDead, listDeadAddresses, markAddressesDead, revive } from './dead-addresses.ts';
import { getDelivery, listDeliveries } from './delivery-log.ts';
import { listDevices, registerDevice, removeDevice } from './devices.ts';
import type { CreateCall } from './drafts.ts';
import { eraseUser } from './erase.ts';
import { publicFailure } from './errors.ts';
import { changedInboxes, getNotification, inboxSummary, listNotifications } from './listing.ts';
import { recordOutcomes } from './outcomes.ts';
import { recordReceipts } from './receipts.ts';
import { destinations, getRecipient, putRecipients } from './recipients.ts';
import { retryDeliveries } from './retry.ts';
import { settings } from './settings.ts';
import { SharedReads } from './shared-reads.ts';
import type { Statement } from './statement.ts';
import { notificationsAfter, notificationsSince } from './streaming.ts';

const time: Statement = { name: 'time', text: `SELECT ${databaseNow} AS now_ms` };

/** Notifications in Postgres, shared by any number of processes. What is answered is committed. */
export class PostgresStore implements Store {
  readonly name = 'postgres';
  readonly #db: Database;
  readonly #clock: StoreClock;
  readonly #claims: Claims;
  readonly #pages = new SharedReads<NotificationPage>();
  readonly #creates: Coalescer<CreateCall, CreateOutcome[]>;
  readonly #outcomes: Coalescer<readonly Outcome[], boolean[]>;
  readonly #receipts: Coalescer<readonly Receipt[], (ReceivedDelivery | undefined)[]>;
  readonly #destinations: Coalescer<readonly DestinationLookUp[], KnownDestinations[]>;
  readonly #dead: Coalescer<readonly Address[], (Reason | undefined)[]>;

  /** @param db the store's own: it is closed with the store */
  constructor(db: Database, clock: StoreClock) {
    this.#db = db;
    this.#clock = clock;
    this.#claims = new Claims(db, clock);
    const now = () => this.#clock.now();
    this.#creates = new Coalescer((calls) => createCalls(db, calls, now), {
      concurrency: settings.flushers,
      ahead: { weight: settings.aheadShare, afterMs: settings.aheadAfterMs },
      weigh: weightOf,
      batchWeight: 1,
    });
    const writes = { concurrency: 1, size: settings.rowsPerFlush };
    this.#outcomes = inBatches((rows: readonly Outcome[]) => recordOutcomes(db, rows), writes);
    this.#receipts = inBatches((rows: readonly Receipt[]) => recordReceipts(db, rows), writes);
    const reads = { concurrency: settings.flushers, size: settings.lookUpsPerRead };
    this.#destinations = inBatches((rows: readonly DestinationLookUp[]) => destinations(db, rows), reads);
    this.#dead = inBatches((rows: readonly Address[]) => findDead(db, rows), reads);
  }

  /** By the database's clock, as of the last answer of it. */
  now(): number {
    return this.#clock.now();
  }

  /** Learns the time from the database. */
  async askTime(): Promise<void> {
    const askedAtMs = this.#clock.ask();
    const [row] = await this.#safe(this.#db.read(time, []));
    this.#clock.correct(Number(row?.now_ms), askedAtMs);
  }

  async createNotifications(batch: readonly NewNotification[], lease?: Lease): Promise<CreateOutcome[]> {
    this.#db.assertOpen();
    if (batch.length === 0) return [];
    const write = (rows: readonly NewNotification[]) => this.#safe(this.#creates.submit({ rows, lease }));
    if (batch.length <= settings.rowsPerFlush) return write(batch);
    const parts = inParts(batch);
    if (hasDistinctUsers(batch)) return (await Promise.all(parts.map(write))).flat();
    // one after the other, since a later row may be a repeat of an earlier one, or the same user's next
    const outcomes: CreateOutcome[] = [];
    for (const part of parts) outcomes.push(...(await write(part)));
    return outcomes;
  }

  async getNotification(owner: UserKey, id: string): Promise<Notification> {
    if (!isUuid(id)) throw notFound();
    return this.#safe(getNotification(this.#db, owner, id, this.#clock.now()));
  }

  async listNotifications(owner: UserKey, query: ListQuery): Promise<NotificationPage> {
    const { before, limit, unreadOnly, archived, types, channels } = query;
    const { tenantId, userId } = owner;
    const key = JSON.stringify([tenantId, userId, before, limit, unreadOnly, archived, types, channels]);
    return this.#safe(
      this.#pages.read(key, () => listNotifications(this.#db, owner, query, this.#clock.now())),
    );
  }

  async notificationsSince(owner: UserKey, query: SinceQuery): Promise<SincePage> {
    return this.#safe(notificationsSince(this.#db, owner, query, this.#clock.now()));
  }

  async notificationsAfter(
    streams: readonly StreamPosition[],
    limits: PageLimits & { readonly maxBytesOfAll: number },
  ): Promise<SincePage[]> {
    if (streams.length === 0) return [];
    return this.#safe(notificationsAfter(this.#db, streams, limits, this.#clock.now()));
  }

  async inboxSummary(owner: UserKey): Promise<InboxSummary> {
    return this.#safe(inboxSummary(this.#db, owner, this.#clock.now()));
  }

  async changedInboxes(known: readonly KnownInbox[]): Promise<(InboxSummary | undefined)[]> {
    return known.length === 0 ? [] : this.#safe(changedInboxes(this.#db, known));
  }

  async changeInbox(owner: UserKey, change: InboxChange): Promise<InboxChanged> {
    if ('id' in change && !isUuid(change.id)) throw notFound();
    return this.#safe(changeInbox(this.#db, owner, change, this.#clock.now()));
  }

  async claimDeliveries(claim: Claim): Promise<Claimed> {
    return this.#safe(this.#claims.claim(claim));
  }

  async renewLeases(
    lease: Lease,
    held: readonly DeliveryRef[],
    { goingOn } = { goingOn: false },
  ): Promise<boolean[]> {
    return this.#safe(this.#claims.renew(lease, held, goingOn));
  }

  async releaseLeases(token: string, held: readonly DeliveryRef[], afterMs = 0): Promise<void> {
    await this.#safe(this.#claims.release(token, held, afterMs));
  }

  async recordOutcomes(outcomes: readonly Outcome[]): Promise<boolean[]> {
    this.#db.assertOpen();
    return outcomes.length > 0 ? this.#safe(this.#outcomes.submit(outcomes)) : [];
  }

  async recordReceipts(receipts: readonly Receipt[]): Promise<(ReceivedDelivery | undefined)[]> {
    this.#db.assertOpen();
    return receipts.length > 0 ? this.#safe(this.#receipts.submit(receipts)) : [];
  }

  async advanceItems(limit: number): Promise<Advanced> {
    return this.#safe(advanceItems(this.#db, this.#clock, limit));
  }

  async cancelNotification(cancel: Cancel): Promise<Cancelled> {
    return this.#safe(cancelNotification(this.#db, cancel));
  }

  async retryDeliveries(retry: Retry): Promise<number> {
    return this.#safe(retryDeliveries(this.#db, retry));
  }

  async listDeliveries(query: DeliveryQuery): Promise<DeliveryPage> {
    return this.#safe(listDeliveries(this.#db, query));
  }

  async getDelivery(tenantId: string, deliveryId: string): Promise<DeliveryRecord> {
    return this.#safe(getDelivery(this.#db, tenantId, deliveryId));
  }

  async registerDevice(device: NewDevice): Promise<Device> {
    return this.#safe(registerDevice(this.#db, device));
  }

  async listDevices(owner: UserKey): Promise<Device[]> {
    return this.#safe(listDevices(this.#db, owner));
  }

  async removeDevice(owner: UserKey, which: DeviceName | DeadToken): Promise<boolean> {
    return this.#safe(removeDevice(this.#db, owner, which));
  }

  async putRecipients(recipients: readonly Recipient[], atMs: EpochMs): Promise<void> {
    if (recipients.length > 0) await this.#safe(putRecipients(this.#db, recipients, atMs));
  }

  async getRecipient(owner: UserKey): Promise<Recipient> {
    return this.#safe(getRecipient(this.#db, owner));
  }

  async destinations(lookUps: readonly DestinationLookUp[]): Promise<KnownDestinations[]> {
    return lookUps.length === 0 ? [] : this.#safe(this.#destinations.submit(lookUps));
  }

  async eraseUser(owner: UserKey): Promise<number> {
    return this.#safe(eraseUser(this.#db, owner));
  }

  async markAddressesDead(batch: readonly DeadAddress[]): Promise<void> {
    await this.#safe(markAddressesDead(this.#db, batch));
  }

  async deadAddresses(addresses: readonly Address[]): Promise<(Reason | undefined)[]> {
    return addresses.length === 0 ? [] : this.#safe(this.#dead.submit(addresses));
  }

  async listDeadAddresses(query: DeadAddressQuery): Promise<DeadAddressPage> {
    return this.#safe(listDeadAddresses(this.#db, query));
  }

  async reviveAddress(address: Address, atMs: EpochMs): Promise<boolean> {
    return (await this.#safe(this.#db.transaction((tx) => revive(tx, [address], atMs)))) > 0;
  }

  ready(): Promise<boolean> {
    return this.#db.ready();
  }

  /** Writes what was accepted for writing, and closes the connections. */
  async close(): Promise<void> {
    await Promise.all([this.#creates.settled(), this.#outcomes.settled(), this.#receipts.settled()]);
    await this.#db.close();
  }

  /** Nothing that Postgres says leaves the store as it was said. */
  async #safe<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw publicFailure(error);
    }
  }
}

/** Calls with rows of one kind, done together; each is answered for its own rows. */
function inBatches<In, Out>(
  work: (rows: readonly In[]) => Promise<readonly Out[]>,
  { concurrency, size }: { readonly concurrency: number; readonly size: number },
): Coalescer<readonly In[], Out[]> {
  return new Coalescer(
    async (calls) => {
      const done = await work(calls.flat());
      let to = 0;
      return calls.map((call) => {
        to += call.length;
        return done.slice(to - call.length, to);
      });
    },
    { concurrency, weigh: (call) => call.length, batchWeight: size },
  );
}

/** Parts of about the same size, none larger than a batch. */
function inParts(batch: readonly NewNotification[]): NewNotification[][] {
  const size = Math.ceil(batch.length / Math.ceil(batch.length / settings.rowsPerFlush));
  const parts: NewNotification[][] = [];
  for (let from = 0; from < batch.length; from += size) parts.push(batch.slice(from, from + size));
  return parts;
}

const hasDistinctUsers = (batch: readonly NewNotification[]): boolean =>
  new Set(batch.map((row) => userKey(row))).size === batch.length;

/** The share of a batch that a call takes, by rows or by the length of its texts, whichever is more. */
function weightOf({ rows }: CreateCall): number {
  let bytes = 0;
  let last: NewNotification['content'] | undefined;
  for (const { content } of rows) {
    if (content === last) continue;
    bytes += content.body.length + (content.data?.length ?? 0);
    last = content;
  }
  return Math.max(rows.length / settings.rowsPerFlush, bytes / settings.bytesPerFlush);
}
