import type { Ambient, Clock } from '../ambient.ts';
import { NotifyError } from '../errors.ts';
import type { Notification, UserKey } from '../glossary.ts';
import type { Outcome } from '../outbox.ts';
import { inAppOf } from '../status.ts';
import type { Store } from '../store.ts';
import { userKey } from '../user-key.ts';
import type { Hint, InboxNews, ItemEvent, LiveEvent } from './events.ts';
import { HeartbeatWheel } from './heartbeat-wheel.ts';
import { isStreamed, Session, type SessionHost, type StreamStart } from './session.ts';
import { drainSpacingMs, type LiveObserver, type LiveSettings } from './settings.ts';
import type { StreamSink } from './sink.ts';

/** Who opens a stream, and how. */
export interface StreamRequest {
  readonly owner: UserKey;
  readonly deviceType: string;
  readonly start: StreamStart;
  /** UTC epoch milliseconds of the token's end; undefined: none. */
  readonly tokenExpiresAtMs: number | undefined;
}

/** A stream that must not open now, as a value: a browser needs another answer for it than an RPC client. */
export interface Refusal {
  readonly reason: 'too_many_streams' | 'shutdown';
  readonly error: NotifyError;
}

/** Every live stream of this process, by tenant and user. The store is the truth: the hub keeps no items. */
export class LiveHub implements SessionHost {
  readonly store: Store;
  readonly clock: Clock;
  readonly observer: LiveObserver;
  readonly settings: LiveSettings;
  readonly #ambient: Ambient;
  readonly #users = new Map<string, Set<Session>>();
  readonly #sessions = new Map<string, Session>();
  readonly #wheel: HeartbeatWheel<Session>;
  /** Notify calls that wait for an item to be taken, by the notification's id. */
  readonly #waiting = new Map<string, () => void>();
  #outcomes: Outcome[] = [];
  #recording: Promise<void> | undefined;
  #draining = false;
  #empty: (() => void) | undefined;

  constructor(store: Store, ambient: Ambient, settings: LiveSettings, observer: LiveObserver) {
    this.store = store;
    this.clock = ambient.clock;
    this.settings = settings;
    this.observer = observer;
    this.#ambient = ambient;
    this.#wheel = new HeartbeatWheel(ambient.clock, settings.heartbeatIntervalMs, (session) =>
      this.#beat(session),
    );
  }

  /** Why a stream of this user cannot open now; undefined when it can. */
  refusal(owner: UserKey): Refusal | undefined {
    if (this.#draining)
      return {
        reason: 'shutdown',
        error: new NotifyError('unavailable', 'this server is stopping; open the stream again', {
          retryAfterMs: 1_000,
        }),
      };
    if ((this.#users.get(userKey(owner))?.size ?? 0) >= this.settings.maxStreamsPerUser)
      return {
        reason: 'too_many_streams',
        error: new NotifyError(
          'resource_exhausted',
          `this user already has ${this.settings.maxStreamsPerUser} live streams; close one, or raise NOTIFY_LIVE_MAX_STREAMS_PER_USER`,
          { retryAfterMs: 600_000 },
        ),
      };
    return undefined;
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
    session.onEnd(this.#wheel.add(session));
    this.#endInTime(session, request.tokenExpiresAtMs);
    this.observer.opened(session);
    this.run(session, session.run(request.start, BigInt(this.clock.now())));
    return session;
  }

  /** Whether a user has a session here. */
  holds(owner: UserKey): boolean {
    return this.#users.has(userKey(owner));
  }

  /** Tells a user's sessions of an item that became visible. Call it once the item is committed. */
  publish(notification: Notification): void {
    const sessions = this.#users.get(userKey(notification));
    if (sessions === undefined || notification.position === 0) return;
    const event = isStreamed(notification) ? this.itemEvent(notification) : undefined;
    for (const session of sessions) session.announce(notification.position, event);
  }

  /** Runs `task` once when a stream has taken the item. @returns gives up waiting */
  whenTaken(id: string, task: () => void): () => void {
    this.#waiting.set(id, task);
    return () => this.#waiting.delete(id);
  }

  /** Tells a user's sessions what a call changed in the inbox. */
  inboxChanged(owner: UserKey, change: InboxNews): void {
    for (const session of this.#users.get(userKey(owner)) ?? []) session.inboxChanged(change);
  }

  /**
   * Sends a hint to every session of some users, and again every retry interval until acknowledged.
   * @returns how many sessions it went to
   */
  publishHint(owners: readonly UserKey[], hint: Hint): number {
    const sessions = owners.flatMap((owner) => [...(this.#users.get(userKey(owner)) ?? [])]);
    for (const session of sessions) session.hint(hint);
    const { retryIntervalMs, retryMaxAttempts } = this.settings;
    this.#redeliver(sessions, hint.idempotencyKey, retryIntervalMs > 0 ? retryMaxAttempts : 0);
    return sessions.length;
  }

  /** Stops a hint's redelivery to one session of this user. Unknown pairs are fine. */
  acknowledgeHint(owner: UserKey, sessionId: string, idempotencyKey: string): void {
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
    await this.#recording;
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

  /** An item's bytes have left: records it as delivered, in batches. */
  taken(notification: Notification): void {
    const delivery = inAppOf(notification.deliveries);
    if (delivery === undefined) return;
    this.observer.delivered(Number(delivery.deliveredAtMs - notification.createdAtMs));
    this.#outcomes.push({
      tenantId: notification.tenantId,
      userId: notification.userId,
      id: notification.id,
      deliveryId: delivery.id,
      status: 'delivered',
      reason: '',
      providerMessageId: '',
      atMs: delivery.deliveredAtMs,
      attempt: undefined,
      leaseToken: undefined,
      dueAtMs: 0n,
    });
    // one batch is written while the next one gathers
    this.#recording ??= this.#record();
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
    this.observer.closed(session, reason);
    if (this.#sessions.size === 0) this.#empty?.();
  }

  async #record(): Promise<void> {
    while (this.#outcomes.length > 0) {
      await Promise.resolve(); // what is written in this turn goes into one batch
      const batch = this.#outcomes;
      this.#outcomes = [];
      try {
        await this.store.recordOutcomes(batch);
      } catch (error) {
        // they stay pending, and the next stream is sent them again: a repeat that clients merge by id
        this.observer.failed('record delivered', error);
      }
      for (const { id } of batch) {
        this.#waiting.get(id)?.();
        this.#waiting.delete(id);
      }
    }
    this.#recording = undefined;
  }

  #beat(session: Session): void {
    this.store.inboxSummary(session.owner).then(
      ({ version }) => session.heartbeat(this.heartbeatEvent(version)),
      (error: unknown) => this.observer.failed('heartbeat', error),
    );
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
    const aged = maxAgeMs > 0 ? maxAgeMs * (0.8 + 0.2 * this.#ambient.random()) : Number.POSITIVE_INFINITY;
    const expired =
      endAtTokenExpiry && tokenExpiresAtMs !== undefined
        ? Math.max(0, tokenExpiresAtMs - this.clock.now())
        : Number.POSITIVE_INFINITY;
    if (aged === Number.POSITIVE_INFINITY && expired === Number.POSITIVE_INFINITY) return;
    session.onEnd(
      this.clock.after(Math.min(aged, expired), () =>
        expired <= aged ? session.end('token_expired', true) : session.end('max_age', true),
      ),
    );
  }
}
