import type { Clock } from '../ambient.ts';
import type { Hint, LiveEvent } from './events.ts';
import type { Session } from './session.ts';
import { type LiveSettings, pendingHintsPerSession } from './settings.ts';

/** Hints that sessions were sent and have not acknowledged: they are sent again every retry interval. */
export class PendingHints {
  readonly #clock: Clock;
  readonly #settings: Pick<LiveSettings, 'retryIntervalMs' | 'retryMaxAttempts'>;
  /** By session, and in there by idempotency key; most sessions never have one. */
  readonly #waiting = new Map<Session, Map<string, LiveEvent>>();

  constructor(clock: Clock, settings: Pick<LiveSettings, 'retryIntervalMs' | 'retryMaxAttempts'>) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Sends a hint to some sessions until each acknowledges. One for which it waits already is not sent it twice. */
  publish(sessions: readonly Session[], hint: Hint): void {
    // one that waits for it already is sent it again by the publication that came first
    const fresh = sessions.filter((session) => this.#add(session, hint));
    const { retryIntervalMs, retryMaxAttempts } = this.#settings;
    this.#redeliver(fresh, hint.idempotencyKey, retryIntervalMs > 0 ? retryMaxAttempts : 0);
  }

  /** Stops the redelivery of a hint to a session. Unknown ones are fine. */
  acknowledge(session: Session, idempotencyKey: string): void {
    const hints = this.#waiting.get(session);
    if (hints?.delete(idempotencyKey) && hints.size === 0) this.#waiting.delete(session);
  }

  /** A session has ended. */
  forget(session: Session): void {
    this.#waiting.delete(session);
  }

  /** Sends a hint and keeps it for redelivery. @returns whether it is new to the session */
  #add(session: Session, hint: Hint): boolean {
    const hints = this.#waiting.get(session) ?? new Map<string, LiveEvent>();
    if (session.ended || hints.has(hint.idempotencyKey)) return false;
    this.#waiting.set(session, hints);
    if (hints.size >= pendingHintsPerSession) {
      const oldest = hints.keys().next();
      if (!oldest.done) hints.delete(oldest.value);
    }
    const event: LiveEvent = { kind: 'data_change', hint };
    hints.set(hint.idempotencyKey, event);
    session.offer(event);
    return true;
  }

  #redeliver(sessions: readonly Session[], idempotencyKey: string, left: number): void {
    if (sessions.length === 0 || left <= 0) {
      for (const session of sessions) this.acknowledge(session, idempotencyKey);
      return;
    }
    this.#clock.after(this.#settings.retryIntervalMs, () => {
      const waiting = sessions.filter((session) => this.#again(session, idempotencyKey));
      this.#redeliver(waiting, idempotencyKey, left - 1);
    });
  }

  /** Sends a hint again if it still waits. @returns whether it does */
  #again(session: Session, idempotencyKey: string): boolean {
    const event = this.#waiting.get(session)?.get(idempotencyKey);
    if (event === undefined) return false;
    session.offer(event);
    return true;
  }
}
