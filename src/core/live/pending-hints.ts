import type { Clock } from '../ambient.ts';
import type { Hint, LiveEvent } from './events.ts';
import type { Session } from './session.ts';
import { type LiveSettings, pendingHintsPerSession } from './settings.ts';

/** A hint, as it was published once. */
interface Publication {
  /** One object for all sessions, so that it is serialized once. */
  readonly event: LiveEvent;
  /** Who has not acknowledged it, and how often each is still to be sent it. */
  readonly left: Map<Session, number>;
  /** Cancels the next repeat. */
  cancel: (() => void) | undefined;
}

/**
 * Hints that sessions have not acknowledged: they are sent again every retry interval. One that a session could not be sent, because
 * its stream is opening or its reader is slow, is sent once it can be, and that is the first time.
 */
export class PendingHints {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  /** How often a session is sent a hint that it does not acknowledge. */
  readonly #sends: number;
  /** By session, and in there by idempotency key; most sessions never have one. */
  readonly #waiting = new Map<Session, Map<string, Publication>>();

  constructor(clock: Clock, settings: Pick<LiveSettings, 'retryIntervalMs' | 'retryMaxAttempts'>) {
    this.#clock = clock;
    this.#intervalMs = settings.retryIntervalMs;
    this.#sends = 1 + (settings.retryIntervalMs > 0 ? settings.retryMaxAttempts : 0);
  }

  /** Sends a hint to some sessions until each acknowledges. One for which it waits already is not sent it twice. */
  publish(sessions: readonly Session[], hint: Hint): void {
    const publication: Publication = {
      event: { kind: 'data_change', hint },
      left: new Map(),
      cancel: undefined,
    };
    for (const session of sessions) this.#keep(session, hint.idempotencyKey, publication);
    this.#send(publication, hint.idempotencyKey);
  }

  /** Sends a session what it could not be sent before, as far as its reader takes it. */
  resume(session: Session): void {
    for (const [key, publication] of this.#waiting.get(session) ?? [])
      if (publication.left.get(session) === this.#sends && !this.#offer(session, key, publication)) return;
  }

  /** Stops the redelivery of a hint to a session. Unknown ones are fine. */
  acknowledge(session: Session, idempotencyKey: string): void {
    const hints = this.#waiting.get(session);
    const publication = hints?.get(idempotencyKey);
    if (hints === undefined || publication === undefined) return;
    hints.delete(idempotencyKey);
    if (hints.size === 0) this.#waiting.delete(session);
    leave(publication, session);
  }

  /** A session has ended. */
  forget(session: Session): void {
    for (const publication of this.#waiting.get(session)?.values() ?? []) leave(publication, session);
    this.#waiting.delete(session);
  }

  #keep(session: Session, key: string, publication: Publication): void {
    const hints = this.#waiting.get(session) ?? new Map<string, Publication>();
    // one that waits for it already is sent it again by the publication that came first
    if (session.ended || hints.has(key)) return;
    const oldest = hints.size < pendingHintsPerSession ? undefined : hints.keys().next().value;
    if (oldest !== undefined) this.acknowledge(session, oldest);
    hints.set(key, publication);
    this.#waiting.set(session, hints);
    publication.left.set(session, this.#sends);
  }

  /** Sends a hint to all who have not acknowledged it, now and every interval until none is left. */
  #send(publication: Publication, key: string): void {
    for (const session of publication.left.keys()) this.#offer(session, key, publication);
    publication.cancel =
      publication.left.size > 0 && this.#sends > 1
        ? this.#clock.after(this.#intervalMs, () => this.#send(publication, key))
        : undefined;
  }

  /** @returns whether the session could be sent it */
  #offer(session: Session, key: string, publication: Publication): boolean {
    if (!session.offer(publication.event)) return false;
    const left = (publication.left.get(session) ?? 0) - 1;
    if (left > 0) publication.left.set(session, left);
    else this.acknowledge(session, key);
    return true;
  }
}

/** One session is sent it no more. After the last one nothing is kept for it: not the sessions, not the timer. */
function leave(publication: Publication, session: Session): void {
  publication.left.delete(session);
  if (publication.left.size > 0) return;
  publication.cancel?.();
  publication.cancel = undefined;
}
