import { type Ambient, isUuid } from './ambient.ts';
import { fittingItems } from './answer-size.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { invalidArgument, notFound } from './errors.ts';
import type { InboxSummary, Notification, UserKey } from './glossary.ts';
import type { InboxNews } from './live/events.ts';
import type { LiveHub } from './live/hub.ts';
import { type PageLimit, pageLimit } from './page-limit.ts';
import { type InboxChange, type InboxChanged, type ListQuery, namedIds, type Store } from './store.ts';

/** What a recipient asks of the inbox. */
export interface InboxQuery extends Pick<ListQuery, 'unreadOnly' | 'types' | 'channels' | 'archived'> {
  readonly cursor: string;
  /** 0 or less: 20; above 100: 100. */
  readonly limit: number;
}

export interface InboxPage {
  readonly notifications: readonly Notification[];
  /** '' on the last page. */
  readonly nextCursor: string;
  readonly summary: InboxSummary;
}

const inboxPages: PageLimit = { usual: 20, most: 100 };
/** The store reads no more items of a page once their texts have come to this size: memory has an end. */
const pageBytes = 3 * 2 ** 20;

/** What a recipient does with the inbox. Each change reaches the user's live streams. */
export class Inbox {
  readonly #store: Store;
  readonly #hub: LiveHub;
  readonly #ambient: Ambient;

  constructor(store: Store, hub: LiveHub, ambient: Ambient) {
    this.#store = store;
    this.#hub = hub;
    this.#ambient = ambient;
  }

  /**
   * One page, newest first; of large items it has fewer than asked for.
   * @throws NotifyError invalid_argument for a bad cursor
   */
  async list(owner: UserKey, query: InboxQuery): Promise<InboxPage> {
    const before = decodeCursor(query.cursor);
    const limit = pageLimit(query.limit, inboxPages);
    const page = await this.#store.listNotifications(owner, { ...query, before, limit, maxBytes: pageBytes });
    const fit = fittingItems(page.notifications);
    const notifications = page.notifications.slice(0, fit);
    const last = notifications.at(-1);
    const more = page.more || fit < page.notifications.length;
    return {
      notifications,
      nextCursor: more && last ? encodeCursor(last.position) : '',
      summary: page.summary,
    };
  }

  /** @throws NotifyError not_found, for a malformed id too */
  async get(owner: UserKey, id: string): Promise<Notification> {
    return this.#store.getNotification(owner, known(id));
  }

  /** Marks one item as read; the first call stamps the time. @throws NotifyError not_found */
  async read(owner: UserKey, id: string): Promise<void> {
    const atMs = BigInt(this.#ambient.clock.now());
    await this.#change(owner, { kind: 'read', id: known(id), atMs }, (ids) => ({ readIds: ids }));
  }

  /** @throws NotifyError not_found */
  async unread(owner: UserKey, id: string): Promise<void> {
    await this.#change(owner, { kind: 'unread', id: known(id) }, (ids) => ({ unreadIds: ids }));
  }

  /** @throws NotifyError not_found */
  async archive(owner: UserKey, id: string): Promise<void> {
    const atMs = BigInt(this.#ambient.clock.now());
    await this.#change(owner, { kind: 'archive', id: known(id), atMs }, (ids) => ({ removedIds: ids }));
  }

  /** @throws NotifyError not_found */
  async unarchive(owner: UserKey, id: string): Promise<void> {
    const { changed, summary } = await this.#store.changeInbox(owner, { kind: 'unarchive', id: known(id) });
    if (changed === 0) return;
    const updated = [await this.#store.getNotification(owner, id)];
    this.#hub.inboxChanged(owner, { summary, updated });
  }

  /**
   * Hides an item until a time, or brings it back at once.
   * @param untilMs UTC epoch milliseconds; 0n: now
   * @throws NotifyError not_found; invalid_argument for a time that is over
   */
  async snooze(owner: UserKey, id: string, untilMs: bigint): Promise<void> {
    if (untilMs !== 0n && untilMs <= this.#ambient.clock.now())
      throw invalidArgument([
        {
          field: 'until_ms',
          description: 'must be a time in the future in UTC epoch milliseconds, or 0 to end the snooze',
        },
      ]);
    const change = { kind: 'snooze', id: known(id), untilMs } as const;
    if (untilMs !== 0n) {
      await this.#change(owner, change, (ids) => ({ removedIds: ids }));
      return;
    }
    const { changed } = await this.#store.changeInbox(owner, change);
    if (changed > 0) this.#hub.publish(await this.#store.getNotification(owner, change.id));
  }

  /** Hides an item for good. @throws NotifyError not_found */
  async delete(owner: UserKey, id: string): Promise<void> {
    const atMs = BigInt(this.#ambient.clock.now());
    await this.#change(owner, { kind: 'delete', id: known(id), atMs }, (ids) => ({ removedIds: ids }));
  }

  /**
   * Marks every in-app item up to a position as read.
   * @param upToPosition 0: everything
   * @returns how many were unread
   * @throws NotifyError invalid_argument for a negative position
   */
  async readUpTo(owner: UserKey, upToPosition: number): Promise<number> {
    const position = upToPosition === 0 ? Number.MAX_SAFE_INTEGER : positive(upToPosition);
    const atMs = BigInt(this.#ambient.clock.now());
    const { changed } = await this.#change(owner, { kind: 'read_up_to', position, atMs }, (ids, summary) => ({
      readIds: ids.length <= namedIds ? ids : [],
      readUpToPosition: Math.min(position, summary.newestPosition),
    }));
    return changed;
  }

  /** Everything up to a position has been shown. @throws NotifyError invalid_argument for a negative position */
  async seenUpTo(owner: UserKey, upToPosition: number): Promise<void> {
    await this.#change(owner, { kind: 'seen_up_to', position: positive(upToPosition) }, () => ({}));
  }

  async #change(
    owner: UserKey,
    change: InboxChange,
    news: (ids: readonly string[], summary: InboxSummary) => Omit<InboxNews, 'summary'>,
  ): Promise<InboxChanged> {
    const result = await this.#store.changeInbox(owner, change);
    if (result.changed > 0)
      this.#hub.inboxChanged(owner, { summary: result.summary, ...news(result.ids ?? [], result.summary) });
    return result;
  }
}

/** @throws NotifyError invalid_argument for none, not_found for an id that no notification can have */
function known(id: string): string {
  if (id.trim() === '') throw invalidArgument([{ field: 'id', description: 'must not be blank' }]);
  if (!isUuid(id)) throw notFound();
  return id.toLowerCase();
}

function positive(position: number): number {
  if (position < 0)
    throw invalidArgument([
      { field: 'up_to_position', description: 'must be a position of the inbox, or 0' },
    ]);
  return position;
}
