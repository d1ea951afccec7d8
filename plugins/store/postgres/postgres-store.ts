import type { Ambient } from '../../../src/core/ambient.ts';
import { isUuid } from '../../../src/core/ambient.ts';
import { notFound } from '../../../src/core/errors.ts';
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
import { changeInbox } from './changes.ts';
import { Coalescer } from './coalesce.ts';
import { createCalls } from './create.ts';
import type { Database } from './database.ts';
import { listDevices, registerDevice } from './devices.ts';
import { publicFailure } from './errors.ts';
import { getNotification, inboxSummary, listNotifications } from './listing.ts';
import { recordOutcomes } from './outcomes.ts';
import { settings } from './settings.ts';
import { SharedReads } from './shared-reads.ts';
import { notificationsSince } from './streaming.ts';

/** Notifications in Postgres, shared by any number of processes. What is answered is committed. */
export class PostgresStore implements Store {
  readonly name = 'postgres';
  readonly #db: Database;
  readonly #clock: Ambient['clock'];
  readonly #pages = new SharedReads<NotificationPage>();
  readonly #creates: Coalescer<readonly NewNotification[], CreateOutcome[]>;
  readonly #outcomes: Coalescer<readonly Outcome[], undefined>;

  /** @param db the store's own: it is closed with the store */
  constructor(db: Database, ambient: Pick<Ambient, 'clock'>) {
    this.#db = db;
    this.#clock = ambient.clock;
    const now = () => this.#clock.now();
    this.#creates = new Coalescer((calls) => createCalls(db, calls, now), {
      concurrency: settings.flushers,
      ahead: { weight: settings.aheadShare, afterMs: settings.aheadAfterMs },
      weigh: weightOf,
      batchWeight: 1,
    });
    this.#outcomes = new Coalescer(
      async (calls) => {
        await recordOutcomes(db, calls.flat());
        return calls.map(() => undefined);
      },
      { concurrency: 1, weigh: (call) => call.length, batchWeight: settings.rowsPerFlush },
    );
  }

  async createNotifications(batch: readonly NewNotification[]): Promise<CreateOutcome[]> {
    this.#db.assertOpen();
    if (batch.length === 0) return [];
    if (batch.length <= settings.rowsPerFlush) return this.#safe(this.#creates.submit(batch));
    const parts = inParts(batch);
    const write = (part: readonly NewNotification[]) => this.#safe(this.#creates.submit(part));
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

  async inboxSummary(owner: UserKey): Promise<InboxSummary> {
    return this.#safe(inboxSummary(this.#db, owner, this.#clock.now()));
  }

  async changeInbox(owner: UserKey, change: InboxChange): Promise<InboxChanged> {
    if ('id' in change && !isUuid(change.id)) throw notFound();
    return this.#safe(changeInbox(this.#db, owner, change, this.#clock.now()));
  }

  async recordOutcomes(outcomes: readonly Outcome[]): Promise<void> {
    this.#db.assertOpen();
    if (outcomes.length > 0) await this.#safe(this.#outcomes.submit(outcomes));
  }

  async registerDevice(device: NewDevice): Promise<Device> {
    return this.#safe(registerDevice(this.#db, device));
  }

  async listDevices(owner: UserKey): Promise<Device[]> {
    return this.#safe(listDevices(this.#db, owner));
  }

  ready(): Promise<boolean> {
    return this.#db.ready();
  }

  /** Writes what was accepted for writing, and closes the connections. */
  async close(): Promise<void> {
    await Promise.all([this.#creates.settled(), this.#outcomes.settled()]);
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
function weightOf(call: readonly NewNotification[]): number {
  let bytes = 0;
  let last: NewNotification['content'] | undefined;
  for (const { content } of call) {
    if (content === last) continue;
    bytes += content.body.length + (content.data?.length ?? 0);
    last = content;
  }
  return Math.max(call.length / settings.rowsPerFlush, bytes / settings.bytesPerFlush);
}
