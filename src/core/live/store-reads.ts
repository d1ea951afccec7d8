import pLimit from 'p-limit';
import type { Clock } from '../ambient.ts';
import { isUnavailable } from '../errors.ts';
import type { EpochMs, InboxSummary, Notification, UserKey } from '../glossary.ts';
import type { SincePage, Store, StreamPosition } from '../store.ts';
import { userKey } from '../user-key.ts';
import type { ItemEvent } from './events.ts';
import {
  bufferLimitBytes,
  bytesPerRead,
  itemsPerRead,
  readsAtOnce,
  replayPage,
  storeRetries,
  storeRetryMs,
  streamsPerRead,
  userReadsAtOnce,
} from './settings.ts';

/** What a stream has to send next. */
export interface ItemPage extends Omit<SincePage, 'notifications'> {
  readonly events: readonly ItemEvent[];
}

/** A position after which somebody waits for what follows. */
interface Wanted extends StreamPosition {
  readonly page: Promise<ItemPage>;
  resolve(page: ItemPage): void;
  reject(error: unknown): void;
}

/**
 * What the sessions of this process read from the store: never more at a time than leaves it to others as well, however many
 * sessions there are. Those that read on are gathered while others are being read, many users by one call, and the sessions of a
 * user that are at one position share a page.
 *
 * A store that is unavailable is asked again for a while: it is no other for a stream that would open in the place of this one.
 */
export class StoreReads {
  readonly #store: Pick<Store, 'inboxSummary' | 'notificationsSince' | 'notificationsAfter'>;
  readonly #clock: Clock;
  readonly #itemEvent: (notification: Notification) => ItemEvent;
  readonly #inTurn = pLimit(userReadsAtOnce);
  /** By user and position, in the order in which they were asked for. */
  #wanted = new Map<string, Wanted>();
  #underWay = 0;

  constructor(
    store: Pick<Store, 'inboxSummary' | 'notificationsSince' | 'notificationsAfter'>,
    clock: Clock,
    itemEvent: (notification: Notification) => ItemEvent,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#itemEvent = itemEvent;
  }

  /** What follows a position. Nobody gets a page from a read that began before the question. */
  after(owner: UserKey, position: number): Promise<ItemPage> {
    const key = `${position}:${userKey(owner)}`;
    let wanted = this.#wanted.get(key);
    if (wanted === undefined) {
      const { promise, resolve, reject } = Promise.withResolvers<ItemPage>();
      const { tenantId, userId } = owner;
      wanted = { tenantId, userId, after: position, page: promise, resolve, reject };
      this.#wanted.set(key, wanted);
      if (this.#underWay < readsAtOnce) void this.#readOn();
    }
    return wanted.page;
  }

  /** What follows a position and no stream had taken at a time. */
  async untaken(owner: UserKey, after: number, untakenAtMs: EpochMs): Promise<ItemPage> {
    const query = { after, limit: replayPage, maxBytes: bufferLimitBytes, untakenAtMs };
    return this.#shown(await this.#patiently(() => this.#store.notificationsSince(owner, query)));
  }

  summary(owner: UserKey): Promise<InboxSummary> {
    return this.#patiently(() => this.#store.inboxSummary(owner));
  }

  /** Reads of one user, in their turn; what fails is not asked again. */
  inTurn<T>(read: () => Promise<T>): Promise<T> {
    return this.#inTurn(read);
  }

  async #patiently<T>(read: () => Promise<T>): Promise<T> {
    return this.#retrying(() => this.#inTurn(read));
  }

  async #readOn(): Promise<void> {
    this.#underWay += 1;
    await Promise.resolve(); // what is asked for in this turn is read together
    while (this.#wanted.size > 0) await this.#readPages(this.#next());
    this.#underWay -= 1;
  }

  #next(): Wanted[] {
    const next: Wanted[] = [];
    for (const [key, wanted] of this.#wanted) {
      if (next.length === streamsPerRead) break;
      next.push(wanted);
      this.#wanted.delete(key);
    }
    return next;
  }

  async #readPages(wanted: readonly Wanted[]): Promise<void> {
    const limits = {
      limit: Math.min(replayPage, Math.ceil(itemsPerRead / wanted.length)),
      maxBytes: bufferLimitBytes,
      maxBytesOfAll: bytesPerRead,
    };
    try {
      const pages = await this.#retrying(() => this.#store.notificationsAfter(wanted, limits));
      for (const [i, { resolve }] of wanted.entries()) resolve(this.#shown(pages[i] as SincePage));
    } catch (error) {
      if (isUnavailable(error)) {
        // the others have waited for the same store
        for (const { reject } of [...wanted, ...this.#wanted.values()]) reject(error);
        this.#wanted.clear();
      } else if (wanted.length === 1) wanted[0]?.reject(error);
      // one that cannot be read is no reason for the others
      else for (const one of wanted) await this.#readPages([one]);
    }
  }

  async #retrying<T>(read: () => Promise<T>): Promise<T> {
    for (let left = storeRetries; ; left -= 1) {
      try {
        return await read();
      } catch (error) {
        if (left === 0 || !isUnavailable(error)) throw error;
      }
      await new Promise<void>((resolve) => this.#clock.after(storeRetryMs, resolve));
    }
  }

  /** One event for all who share the page: it is encoded once for them. */
  #shown({ notifications, ...page }: SincePage): ItemPage {
    return { ...page, events: notifications.map(this.#itemEvent) };
  }
}
