import { type Ambient, type Clock, isUuid } from '../ambient.ts';
import type { Notification, UserKey } from '../glossary.ts';
import { inAppOf } from '../status.ts';
import type { Store } from '../store.ts';
import { userKey } from '../user-key.ts';
import type { Hint, InboxNews, ItemEvent, LiveEvent } from './events.ts';
import { HeartbeatWheel } from './heartbeat-wheel.ts';
import { noPeers, type Peers } from './peers.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { isStreamed, Session, type SessionHost, type StreamStart } from './session.ts';
import {
  ageSteps,
  bufferLimitBytes,
  drainSpacingMs,
  type LiveObserver,
  type LiveSettings,
  replayPage,
} from './settings.ts';
import type { StreamSink } from './sink.ts';
import { StoreChecks } from './store-checks.ts';
import { TakenItems } from './taken-items.ts';

/** Who opens a stream, and how. */
export interface StreamRequest {
  readonly owner: UserKey;
  readonly deviceType: string;
  readonly start: StreamStart;
  /** UTC epoch milliseconds of the token's end; undefined: none. */
  readonly tokenExpiresAtMs: number | undefined;
}

/**
 * Every live stream of this process, by tenant and user. The store is the truth: the hub keeps no items, and what other replicas
 * say only makes it look there sooner.
 */
export class LiveHub implements SessionHost {
  readonly store: Store;
  readonly clock: Clock;
  readonly observer: LiveObserver;
  readonly settings: LiveSettings;
  readonly #ambient: Ambient;
  readonly #peers: Peers;
  readonly #users = new Map<string, Set<Session>>();
  readonly #sessions = new Map<string, Session>();
  /** How many sessions each tenant has here. */
  readonly #tenants = new Map<string, number>();
  readonly #wheel: HeartbeatWheel<Session>;
  readonly #taken: TakenItems;
  readonly #checks: StoreChecks;
  #draining = false;
  #empty: (() => void) | undefined;

  constructor(
    store: Store,
    ambient: Ambient,
    settings: LiveSettings,
    observer: LiveObserver,
    peers: Peers = noPeers,
  ) {
    this.store = store;
    this.clock = ambient.clock;
    this.settings = settings;
    this.observer = observer;
    this.#ambient = ambient;
    this.#peers = peers;
    this.#taken = new TakenItems(store, observer, (ids) => peers.taken(ids));
    this.#checks = new StoreChecks(store, ambient.clock, observer, this.#sessions);
    // the heartbeat is also the last resort against whatever was missed: each session is checked once an interval
    this.#wheel = new HeartbeatWheel(ambient.clock, settings.heartbeatIntervalMs, (sessions) => {
      void this.#checks.some(sessions, (session, version) => session.heartbeat(this.heartbeatEvent(version)));
    });
  }

  /** Why a stream of this user cannot open now; undefined when it can. */
  refusal(owner: UserKey): Refusal | undefined {
    return refusalOf(
      {
        isStopping: this.#draining,
        ofUser: (this.#users.get(userKey(owner))?.size ?? 0) + this.#peers.sessions(owner),
        ofTenant: this.#tenants.get(owner.tenantId) ?? 0,
        ofProcess: this.#sessions.size,
      },
      this.settings,
    );
  }

  /**
   * Starts a session on an open response. Ask `refusal` first.
   * The transport calls `gone` on the session when the peer closes.
   */
  open(request: StreamRequest, sink: StreamSink): Session {
    const { owner } = request;
    const session = new Session(this, sink, this.#ambient.ids.random(), owner, request.deviceType);
    const key = userKey(owner);
    const sessions = this.#users.get(key);
    if (sessions) sessions.add(session);
    else this.#users.set(key, new Set([session]));
    this.#sessions.set(session.id, session);
    this.#countTenant(owner.tenantId, 1);
    this.#peers.opened(owner);
    // a replica that stored something in this moment did not know of the session yet, and said nothing
    if (this.#peers !== noPeers) this.#checks.soon(session);
    session.onEnd(this.#wheel.add(session));
    this.#endInTime(session, request.tokenExpiresAtMs);
    this.observer.opened(session);
    this.run(session, session.run(request.start, BigInt(this.clock.now())));
    return session;
  }

  /** Whether a user has a session here, or at another replica. */
  holds(owner: UserKey): boolean {
    return this.#users.has(userKey(owner)) || this.#peers.sessions(owner) > 0;
  }

  /** Tells a user's sessions of an item that became visible. Call it once the item is committed. */
  publish(notification: Notification): void {
    if (notification.position > 0) this.#peers.itemStored(notification, notification.position);
    const sessions = this.#users.get(userKey(notification));
    if (sessions === undefined || notification.position === 0) return;
    const event = isStreamed(notification) ? this.itemEvent(notification) : undefined;
    for (const session of sessions) session.announce(notification.position, event);
  }

  /** Runs `task` once when a stream has taken the item. @returns gives up waiting */
  whenTaken(id: string, task: () => void): () => void {
    return this.#taken.when(id, task);
  }

  /** Tells a user's sessions what a call changed in the inbox. */
  inboxChanged(owner: UserKey, change: InboxNews): void {
    this.#peers.inboxChanged(owner, change);
    this.heardInbox(owner, change);
  }

  /**
   * Ends a user's streams after everything about the user was erased.
   * @param position the first one that a stream of the inbox as it is now may resume from
   */
  userErased(owner: UserKey, position: number): void {
    this.#peers.userErased(owner, position);
    this.heardErased(owner, position);
  }

  /** The same was done at another replica. */
  heardErased(owner: UserKey, position: number): void {
    for (const session of [...(this.#users.get(userKey(owner)) ?? [])]) session.erased(position);
  }

  /** Another replica has stored something of a user: it is read once, however many sessions there are. */
  heardItem(owner: UserKey, position: number): void {
    const sessions = this.#users.get(userKey(owner));
    if (sessions === undefined) return;
    const [only] = sessions;
    if (sessions.size === 1) only?.hear(position);
    else
      this.#readFor(owner, position).catch((error: unknown) => {
        this.observer.failed('read what another replica stored', error);
        for (const session of sessions) session.hear(position);
      });
  }

  /** Another replica has changed a user's inbox. */
  heardInbox(owner: UserKey, change: InboxNews): void {
    for (const session of this.#users.get(userKey(owner)) ?? []) session.inboxChanged(change);
  }

  /**
   * Sends a hint to every session of some users, and again every retry interval until acknowledged.
   * @returns how many sessions it went to
   */
  publishHint(owners: readonly UserKey[], hint: Hint): number {
    this.#peers.hint(owners, hint);
    const elsewhere = owners.reduce((sum, owner) => sum + this.#peers.sessions(owner), 0);
    return elsewhere + this.heardHint(owners, hint);
  }

  /** The same for the sessions of this replica. @returns to how many it went */
  heardHint(owners: readonly UserKey[], hint: Hint): number {
    const sessions = owners.flatMap((owner) => [...(this.#users.get(userKey(owner)) ?? [])]);
    // one that waits for it already is sent it again by the publication that came first
    const fresh = sessions.filter((session) => session.hint(hint));
    const { retryIntervalMs, retryMaxAttempts } = this.settings;
    this.#redeliver(fresh, hint.idempotencyKey, retryIntervalMs > 0 ? retryMaxAttempts : 0);
    return sessions.length;
  }

  /** Stops a hint's redelivery to one session of this user. Unknown pairs are fine. */
  acknowledgeHint(owner: UserKey, sessionId: string, idempotencyKey: string): void {
    // a session's id is a UUID: anything else is nobody's, and may be too long to be told
    if (!this.#sessions.has(sessionId) && isUuid(sessionId))
      this.#peers.acknowledged(owner, sessionId, idempotencyKey);
    this.heardAck(owner, sessionId, idempotencyKey);
  }

  /** A recipient has acknowledged a hint at another replica. */
  heardAck(owner: UserKey, sessionId: string, idempotencyKey: string): void {
    const session = this.#sessions.get(sessionId);
    if (session?.tenantId === owner.tenantId && session.userId === owner.userId)
      session.acknowledge(idempotencyKey);
  }

  /**
   * Ends every stream, spread over a window, and refuses new ones.
   * @param longestMs the window is never longer than this
   */
  async drain(longestMs: number): Promise<void> {
    this.#draining = true;
    const windowMs = Math.min(longestMs, this.#sessions.size * drainSpacingMs);
    for (const session of [...this.#sessions.values()])
      session.onEnd(this.clock.after(this.#ambient.random() * windowMs, () => session.end('shutdown', true)));
    if (this.#sessions.size > 0)
      await new Promise<void>((resolve) => {
        this.#empty = resolve;
      });
    await this.#taken.settled();
  }

  /** Streams of another replica have taken items. */
  heardTaken(ids: readonly string[]): void {
    this.#taken.heard(ids);
  }

  /** Looks whether the store has anything that a session here has not been sent: something may have been missed. */
  checkAll(): void {
    this.#checks.all();
  }

  heartbeatEvent(inboxVersion: number): LiveEvent {
    return { kind: 'heartbeat', timestampMs: this.clock.now(), inboxVersion };
  }

  /** An item as a stream shows it: what reaches a client has been delivered by that. */
  itemEvent(notification: Notification): ItemEvent {
    if (inAppOf(notification.deliveries)?.status !== 'pending')
      return { kind: 'notification', notification, first: false };
    const deliveredAtMs = BigInt(this.clock.now());
    const deliveries = notification.deliveries.map((delivery) =>
      delivery.channel === 'in_app'
        ? {
            ...delivery,
            status: 'delivered' as const,
            reason: '',
            deliveredAtMs,
          }
        : delivery,
    );
    return { kind: 'notification', notification: { ...notification, deliveries }, first: true };
  }

  taken(notification: Notification): void {
    this.#taken.add(notification);
  }

  /** Lets a session's work go on by itself; what goes wrong there ends that session only. */
  run(session: Session, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.observer.failed('stream', error);
      session.end('overloaded', true);
    });
  }

  closed(session: Session, reason: string): void {
    const key = userKey(session);
    const sessions = this.#users.get(key);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#users.delete(key);
    this.#sessions.delete(session.id);
    this.#countTenant(session.tenantId, -1);
    this.#peers.closed(session);
    this.observer.closed(session, reason);
    if (this.#sessions.size === 0) this.#empty?.();
  }

  #countTenant(tenantId: string, step: number): void {
    const count = (this.#tenants.get(tenantId) ?? 0) + step;
    if (count > 0) this.#tenants.set(tenantId, count);
    else this.#tenants.delete(tenantId);
  }

  /** Reads what is new for all sessions of a user, once, and hands it to each. */
  async #readFor(owner: UserKey, position: number): Promise<void> {
    const sessions = [...(this.#users.get(userKey(owner)) ?? [])];
    const live = sessions.filter(({ isLive }) => isLive);
    const after = Math.min(...live.map(({ sentPosition }) => sentPosition));
    if (live.length > 0 && after < position) {
      const query = { after, limit: replayPage, maxBytes: bufferLimitBytes, untakenAtMs: undefined };
      const page = await this.store.notificationsSince(owner, query);
      let last = after;
      for (const notification of page.notifications) {
        const event = this.itemEvent(notification);
        for (const session of live) session.announce(notification.position, event, last);
        last = notification.position;
      }
      if (!page.more) for (const session of live) session.announce(page.through, undefined, last);
    }
    // those that were not ready for it, or for which it was too much, read on by themselves
    for (const session of sessions) session.hear(position);
  }

  #redeliver(sessions: readonly Session[], idempotencyKey: string, left: number): void {
    if (sessions.length === 0 || left <= 0) {
      for (const session of sessions) session.acknowledge(idempotencyKey);
      return;
    }
    this.clock.after(this.settings.retryIntervalMs, () => {
      const waiting = sessions.filter((session) => session.sendHint(idempotencyKey));
      this.#redeliver(waiting, idempotencyKey, left - 1);
    });
  }

  /** Ends a session at its age limit or with its token, whichever comes first. */
  #endInTime(session: Session, tokenExpiresAtMs: number | undefined): void {
    const { maxAgeMs, endAtTokenExpiry } = this.settings;
    const never = Number.POSITIVE_INFINITY;
    // in steps: Node keeps a list for each length of a timer, and ten thousand lists of one would cost more than the timers
    const jitter = Math.floor(this.#ambient.random() * ageSteps) / ageSteps;
    const aged = maxAgeMs > 0 ? maxAgeMs * (0.8 + 0.2 * jitter) : never;
    const expired =
      endAtTokenExpiry && tokenExpiresAtMs !== undefined
        ? Math.max(0, tokenExpiresAtMs - this.clock.now())
        : never;
    if (aged === never && expired === never) return;
    const reason = expired <= aged ? 'token_expired' : 'max_age';
    session.onEnd(this.clock.after(Math.min(aged, expired), () => session.end(reason, true)));
  }
}
