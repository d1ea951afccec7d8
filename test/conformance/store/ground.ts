import assert from 'node:assert/strict';
import type {
  Attempt,
  Channel,
  Content,
  Delivery,
  EpochMs,
  Notification,
  UserKey,
} from '../../../src/core/glossary.ts';
import type { Lease, Outcome } from '../../../src/core/outbox.ts';
import { inAppOf } from '../../../src/core/status.ts';
import type {
  InboxChange,
  InboxChanged,
  ListQuery,
  NewDelivery,
  NewDevice,
  NewNotification,
  SinceQuery,
  Store,
  StoredOutcome,
  StreamPosition,
} from '../../../src/core/store.ts';
import type { FakeAmbient } from '../../support/ambient.ts';

/** What a test says of a notification; the rest is filled in. */
export interface Draft {
  /** The producer's notification_id; default a fresh one. */
  readonly key?: string;
  readonly content?: Partial<Omit<Content, 'notificationId'>>;
  readonly createdAtMs?: EpochMs;
  readonly appearsAtMs?: EpochMs;
  /** Default: in-app, pending. */
  readonly deliveries?: readonly NewDelivery[];
}

/**
 * What the tests of one driver stand on: one store that they share, and makers of users, rows and calls. Tests do
 * not meet in it, since each takes tenants of its own; so a driver may keep its database for the whole suite. The
 * clock is shared too, and only ever goes forward.
 */
export class Ground {
  readonly ambient: FakeAmbient;
  readonly #store: () => Store;
  #count = 0;

  /** @param store or a way to it, where it opens later */
  constructor(store: Store | (() => Store), ambient: FakeAmbient) {
    this.ambient = ambient;
    this.#store = typeof store === 'function' ? store : () => store;
  }

  get store(): Store {
    return this.#store();
  }

  get now(): EpochMs {
    return BigInt(this.ambient.clock.now());
  }

  /** A text that was not used before. */
  fresh(word: string): string {
    return `${word}-${++this.#count}`;
  }

  /** A user of a tenant that nobody else has. */
  user(): UserKey {
    return { tenantId: this.fresh('tenant'), userId: 'ada' };
  }

  inApp(owner: UserKey, over: Partial<NewDelivery> = {}): NewDelivery {
    const usual = { channel: 'in_app', destination: owner.userId, provider: 'in_app_realtime' } as const;
    return { id: this.ambient.ids.next(), ...usual, status: 'pending', reason: '', ...over };
  }

  email(over: Partial<NewDelivery> = {}): NewDelivery {
    const usual = { channel: 'email', destination: 'ada@example.org', provider: 'smtp' } as const;
    return { id: this.ambient.ids.next(), ...usual, status: 'pending', reason: '', ...over };
  }

  /** An email that waits for an address. */
  unaddressed(over: Partial<NewDelivery> = {}): NewDelivery {
    return this.email({ destination: '', reason: 'no_destination', ...over });
  }

  draft(owner: UserKey, draft: Draft = {}): NewNotification {
    return {
      ...owner,
      id: this.ambient.ids.next(),
      content: {
        notificationId: draft.key ?? this.fresh('note'),
        type: 'comment',
        subjectRef: 'doc/1',
        subjectType: 'comment',
        title: 'Grace replied',
        body: 'Looks good to me.',
        urgency: undefined,
        data: undefined,
        actionUrl: undefined,
        iconUrl: undefined,
        actions: [],
        expiresAtMs: 0n,
        ...draft.content,
      },
      createdAtMs: draft.createdAtMs ?? this.now,
      appearsAtMs: draft.appearsAtMs ?? 0n,
      deliveries: draft.deliveries ?? [this.inApp(owner)],
    };
  }

  /** Stores rows that the store must have room for, for a caller who attempts at once what can be. */
  create(...batch: NewNotification[]): Promise<StoredOutcome[]> {
    return this.createFor(this.lease(), ...batch);
  }

  /** The same with a lease of the test's own, or with none. */
  async createFor(lease: Lease | undefined, ...batch: NewNotification[]): Promise<StoredOutcome[]> {
    const outcomes = await this.store.createNotifications(batch, lease);
    assert.equal(outcomes.length, batch.length, 'one outcome per row');
    return outcomes.map((outcome) => {
      if ('error' in outcome) throw outcome.error;
      return outcome;
    });
  }

  /** Stores one row. */
  async createOne(row: NewNotification): Promise<StoredOutcome> {
    const [outcome] = await this.create(row);
    assert.ok(outcome);
    return outcome;
  }

  /** Stores one new notification. */
  async add(owner: UserKey, draft: Draft = {}): Promise<Notification> {
    const outcome = await this.createOne(this.draft(owner, draft));
    assert.ok(outcome.created);
    return outcome.notification;
  }

  /** Stores some new notifications, oldest first, in one batch. */
  async addMany(owner: UserKey, count: number, draft: Draft = {}): Promise<Notification[]> {
    const rows = Array.from({ length: count }, () => this.draft(owner, draft));
    return (await this.create(...rows)).map(({ notification }) => notification);
  }

  /** One page with nothing filtered out but what is archived. */
  list(owner: UserKey, query: Partial<ListQuery> = {}) {
    const all = {
      before: undefined,
      limit: 100,
      maxBytes: Number.MAX_SAFE_INTEGER,
      unreadOnly: false,
      types: [],
      channels: [],
      archived: false,
    };
    return this.store.listNotifications(owner, { ...all, ...query });
  }

  /** The ids of every page, newest first. */
  async listAll(owner: UserKey, query: Partial<ListQuery> = {}): Promise<string[]> {
    const ids: string[] = [];
    let before = query.before;
    for (;;) {
      const page = await this.list(owner, { ...query, before });
      ids.push(...page.notifications.map(({ id }) => id));
      if (!page.more) return ids;
      const last = page.notifications.at(-1)?.position;
      assert.ok(last !== undefined, 'a page that more rows follow is not empty');
      assert.ok(before === undefined || last < before, 'a page goes on where the one before ended');
      before = last;
    }
  }

  since(owner: UserKey, query: Partial<SinceQuery> = {}) {
    const all = { after: 0, limit: 1_000, maxBytes: 2 ** 40, untakenAtMs: undefined };
    return this.store.notificationsSince(owner, { ...all, ...query });
  }

  /** What follows positions of several streams. */
  after(
    streams: readonly StreamPosition[],
    limits: { readonly limit?: number; readonly maxBytes?: number; readonly maxBytesOfAll?: number } = {},
  ) {
    const all = { limit: 1_000, maxBytes: 2 ** 40, maxBytesOfAll: 2 ** 40 };
    return this.store.notificationsAfter(streams, { ...all, ...limits });
  }

  /** The ids of every page of a stream, oldest first. The last page says that it reached the newest position. */
  async sinceAll(owner: UserKey, query: Partial<SinceQuery> & { limit: number }): Promise<string[]> {
    const ids: string[] = [];
    let after = query.after ?? 0;
    for (;;) {
      const page = await this.since(owner, { ...query, after });
      ids.push(...page.notifications.map(({ id }) => id));
      if (!page.more) {
        assert.ok(page.notifications.length < query.limit);
        assert.equal(page.through, (await this.store.inboxSummary(owner)).newestPosition);
        return ids;
      }
      assert.equal(page.through, page.notifications.at(-1)?.position, 'a full page goes up to its last item');
      assert.ok(page.through > after, 'a page goes on where the one before ended');
      after = page.through;
    }
  }

  /** The ids that a stream which opens now would replay. */
  async replayed(owner: UserKey): Promise<string[]> {
    return (await this.since(owner, { untakenAtMs: this.now })).notifications.map(({ id }) => id);
  }

  change(owner: UserKey, change: InboxChange): Promise<InboxChanged> {
    return this.store.changeInbox(owner, change);
  }

  read(owner: UserKey, { id }: { id: string }, atMs = this.now): Promise<InboxChanged> {
    return this.change(owner, { kind: 'read', id, atMs });
  }

  archive(owner: UserKey, { id }: { id: string }): Promise<InboxChanged> {
    return this.change(owner, { kind: 'archive', id, atMs: this.now });
  }

  delete(owner: UserKey, { id }: { id: string }): Promise<InboxChanged> {
    return this.change(owner, { kind: 'delete', id, atMs: this.now });
  }

  /** What became of one of a notification's deliveries, as an outcome to record. */
  outcome(notification: Notification, channel: Channel, over: Partial<Outcome> = {}): Outcome {
    return {
      tenantId: notification.tenantId,
      userId: notification.userId,
      id: notification.id,
      deliveryId: deliveryOf(notification, channel).id,
      status: 'delivered',
      reason: '',
      providerMessageId: '',
      atMs: this.now,
      attempts: channel === 'in_app' ? [] : [this.attempt()],
      leaseToken: undefined,
      dueAtMs: 0n,
      ...over,
    };
  }

  attempt(over: Partial<Attempt> = {}): Attempt {
    return {
      startedAtMs: this.now,
      durationMs: 12,
      provider: 'smtp',
      status: 'delivered',
      reason: '',
      detail: '',
      ...over,
    };
  }

  /** A lease of a process of its own. */
  lease(durationMs = 60_000): Lease {
    return { token: this.ambient.ids.random(), durationMs };
  }

  /** Records that a stream took an item. */
  async take(notification: Notification, over: Partial<Outcome> = {}): Promise<void> {
    await this.store.recordOutcomes([this.outcome(notification, 'in_app', over)]);
  }

  device(owner: UserKey, over: Partial<NewDevice> = {}): NewDevice {
    return {
      ...owner,
      id: this.ambient.ids.next(),
      deviceType: 'browser',
      deviceId: '',
      token: this.fresh('token'),
      atMs: this.now,
      ...over,
    };
  }
}

export function deliveryOf(notification: Notification, channel: Channel): Delivery {
  const delivery =
    channel === 'in_app'
      ? inAppOf(notification.deliveries)
      : notification.deliveries.find((candidate) => candidate.channel === channel);
  assert.ok(delivery, `a delivery on ${channel}`);
  return delivery;
}

/** Waits for a rejection with not_found. */
export const isNotFound = (answer: Promise<unknown>): Promise<void> =>
  assert.rejects(answer, { name: 'NotifyError', code: 'not_found' });

/** The element at an index that must be there. */
export function at<T>(items: readonly T[], index: number): T {
  const item = items.at(index);
  assert.ok(item !== undefined, `an element at ${index}`);
  return item;
}

/** So many calls at once. */
export const parallel = <T>(count: number, call: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => call(i)));
