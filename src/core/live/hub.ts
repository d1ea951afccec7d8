import { type Ambient, type Clock, isUuid } from '../ambient.ts';
import type { Notification, UserKey } from '../glossary.ts';
import { limits } from '../notifier/validate.ts';
import type { Store } from '../store.ts';
import { failureEnding } from './endings.ts';
import type { Hint, InboxNews, ItemEvent, LiveEvent } from './events.ts';
import { HeartbeatWheel } from './heartbeat-wheel.ts';
import { isStreamed, itemEvent } from './item-event.ts';
import { endInTime } from './lifetime.ts';
import { Pace } from './pace.ts';
import { noPeers, type Peers } from './peers.ts';
import { PendingHints } from './pending-hints.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { Session, type SessionHost } from './session.ts';
import { Sessions } from './sessions.ts';
import { drainSpacingMs, type LiveObserver, type LiveSettings } from './settings.ts';
import type { StreamSink } from './sink.ts';
import { StoreChecks } from './store-checks.ts';
import { StoreReads } from './store-reads.ts';
import type { StreamStart } from './stream-start.ts';
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
  readonly reads: StoreReads;
  /** What many items at a time are published by. */
  readonly pace = new Pace();
  readonly clock: Clock;
  readonly observer: LiveObserver;
  readonly settings: LiveSettings;
  readonly #ambient: Ambient;
  readonly #peers: Peers;
  readonly #sessions = new Sessions();
  readonly #wheel: HeartbeatWheel<Session>;
  readonly #taken: TakenItems;
  readonly #checks: StoreChecks;
  readonly #hints: PendingHints;
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
    this.reads = new StoreReads(store, ambient.clock, (notification) => this.itemEvent(notification));
    this.clock = ambient.clock;
    this.settings = settings;
    this.observer = observer;
    this.#ambient = ambient;
    this.#peers = peers;
    this.#taken = new TakenItems(store, ambient.clock, observer, (ids) => peers.taken(ids));
    this.#checks = new StoreChecks(store, ambient.clock, observer, this.#sessions.byId);
    this.#hints = new PendingHints(ambient.clock, settings);
    // the heartbeat is also the last resort against whatever was missed: each session is checked once an interval
    this.#wheel = new HeartbeatWheel(ambient.clock, settings.heartbeatIntervalMs, (sessions) =>
      this.#checks.some(sessions, (session, version) => session.heartbeat(this.heartbeatEvent(version))),
    );
  }

  /** Why a stream of this user cannot open now; undefined when it can. */
  refusal(owner: UserKey): Refusal | undefined {
    return refusalOf(
      {
        isStopping: this.#draining,
        ofUser: this.#sessions.of(owner)?.size ?? 0,
        ofUserElsewhere: this.#peers.sessions(owner),
        ofTenant: this.#sessions.countOfTenant(owner.tenantId),
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
    this.#sessions.add(session);
    this.#peers.opened(owner);
    // a replica that stored something in this moment did not know of the session yet, and said nothing
    if (this.#peers !== noPeers) this.#checks.soon(session);
    session.onEnd(this.#wheel.add(session));
    endInTime(session, request.tokenExpiresAtMs, this.settings, this.#ambient);
    this.observer.opened(session);
    this.run(session, session.run(request.start, BigInt(this.clock.now())));
    return session;
  }

  /** Whether a user has a session here, or at another replica. */
  holds(owner: UserKey): boolean {
    return this.#sessions.of(owner) !== undefined || this.#peers.sessions(owner) > 0;
  }

  /**
   * Tells a user's sessions of an item that became visible. Call it once the item is committed.
   * @param version of the inbox with it; undefined where the item is known to be as it is stored now
   */
  publish(notification: Notification, version?: number): void {
    if (notification.position > 0) this.#peers.itemStored(notification, notification.position);
    const sessions = this.#sessions.of(notification);
    if (sessions === undefined || notification.position === 0) return;
    const event = isStreamed(notification) ? this.itemEvent(notification) : undefined;
    for (const session of sessions) session.announce(notification.position, event, version);
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
   * @param position that a stream of the inbox as it is now may resume from; 0 is from its start
   */
  userErased(owner: UserKey, position: number): void {
    this.#peers.userErased(owner, position);
    this.heardErased(owner, position);
  }

  /** The same was done at another replica. */
  heardErased(owner: UserKey, position: number): void {
    for (const session of [...(this.#sessions.of(owner) ?? [])]) session.erased(position);
  }

  /** Another replica has stored something of a user. */
  heardItem(owner: UserKey, position: number): void {
    for (const session of this.#sessions.of(owner) ?? []) session.hear(position);
  }

  /** Another replica has changed a user's inbox. */
  heardInbox(owner: UserKey, change: InboxNews): void {
    for (const session of this.#sessions.of(owner) ?? []) session.inboxChanged(change);
  }

  /**
   * Sends a hint to every session of some users, and again every retry interval until acknowledged.
   * @returns how many sessions it went to
   */
  publishHint(owners: readonly UserKey[], hint: Hint): number {
    return this.#peers.hint(owners, hint) + this.heardHint(owners, hint);
  }

  /** The same for the sessions of this replica. @returns to how many it went */
  heardHint(owners: readonly UserKey[], hint: Hint): number {
    const sessions = owners.flatMap((owner) => [...(this.#sessions.of(owner) ?? [])]);
    this.#hints.publish(sessions, hint);
    return sessions.length;
  }

  /** Stops a hint's redelivery to one session of this user. Unknown pairs are fine. */
  acknowledgeHint(owner: UserKey, sessionId: string, idempotencyKey: string): void {
    // a session's id is a UUID, and a hint's key has its limit: anything else is nobody's, and may be too long to be told
    const mayBeElsewhere = isUuid(sessionId) && Buffer.byteLength(idempotencyKey) <= limits.idBytes;
    if (mayBeElsewhere && !this.#sessions.byId.has(sessionId))
      this.#peers.acknowledged(owner, sessionId, idempotencyKey);
    this.heardAck(owner, sessionId, idempotencyKey);
  }

  /** A recipient has acknowledged a hint at another replica. */
  heardAck(owner: UserKey, sessionId: string, idempotencyKey: string): void {
    const session = this.#sessions.byId.get(sessionId);
    if (session?.tenantId === owner.tenantId && session.userId === owner.userId)
      this.#hints.acknowledge(session, idempotencyKey);
  }

  /**
   * Ends every stream, spread over a window, and refuses new ones.
   * @param longestMs the window is never longer than this
   */
  async drain(longestMs: number): Promise<void> {
    this.#draining = true;
    const windowMs = Math.min(longestMs, this.#sessions.size * drainSpacingMs);
    for (const session of [...this.#sessions.byId.values()])
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
    return itemEvent(notification, this.clock.now());
  }

  taken(notification: Notification): void {
    this.#taken.add(notification);
  }

  /** Lets a session's work go on by itself; what goes wrong there ends that session only. */
  run(session: Session, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.observer.failed('stream', error);
      session.end('overloaded', true, failureEnding(error, this.#ambient.random()));
    });
  }

  resumeHints(session: Session): void {
    this.#hints.resume(session);
  }

  closed(session: Session, reason: string): void {
    this.#sessions.delete(session);
    this.#hints.forget(session);
    this.#peers.closed(session);
    this.observer.closed(session, reason);
    if (this.#sessions.size === 0) this.#empty?.();
  }
}
