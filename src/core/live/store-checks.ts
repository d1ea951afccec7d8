import type { Clock } from '../ambient.ts';
import type { InboxSummary, KnownInbox } from '../glossary.ts';
import type { Store } from '../store.ts';
import type { Session } from './session.ts';
import { checkBatch, checkSpacingMs, checksPerTurn, type LiveObserver, settleMs } from './settings.ts';

/** Looks at the store for what sessions have not been sent, whatever was lost on the way. */
export class StoreChecks {
  readonly #store: Pick<Store, 'changedInboxes'>;
  readonly #clock: Clock;
  readonly #observer: LiveObserver;
  readonly #sessions: ReadonlyMap<string, Session>;
  #opened: Session[] = [];
  /** Of a look at all sessions: `again` when it was asked for while one was under way, which may have been too early. */
  #checking: 'no' | 'due' | 'running' | 'again' = 'no';

  /** @param sessions all that are open */
  constructor(
    store: Pick<Store, 'changedInboxes'>,
    clock: Clock,
    observer: LiveObserver,
    sessions: ReadonlyMap<string, Session>,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#observer = observer;
    this.#sessions = sessions;
  }

  /** For all sessions, soon: what asks for it in one moment is done at once. */
  all(): void {
    if (this.#sessions.size === 0) return;
    if (this.#checking === 'running') this.#checking = 'again';
    if (this.#checking !== 'no') return;
    this.#checking = 'due';
    this.#clock.after(checkSpacingMs, () => void this.#everybody());
  }

  /** For one that has just opened, once more when all replicas know of it, together with all that opened within that time. */
  soon(session: Session): void {
    this.#opened.push(session);
    if (this.#opened.length > 1) return;
    this.#clock.after(settleMs, () => {
      const sessions = this.#opened.filter(({ ended }) => !ended);
      this.#opened = [];
      for (let from = 0; from < sessions.length; from += checkBatch)
        void this.some(sessions.slice(from, from + checkBatch));
    });
  }

  /**
   * For some sessions, by one statement: each is handed what it has not been sent. What goes wrong with one ends that one only,
   * and the promise never rejects.
   * @param then told of each, with its inbox's version
   */
  async some(
    sessions: readonly Session[],
    then: (session: Session, version: number) => void = () => {},
  ): Promise<void> {
    const known = sessions.map(knownTo);
    const changed = await this.#changed(known);
    for (const [i, session] of sessions.entries()) {
      // each is an event to write, and others wait for their turn meanwhile
      if (i > 0 && i % checksPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
      const summary = changed[i];
      this.#alone(session, () => {
        // positions never go back: this is another inbox, and we were not told
        if (summary && summary.newestPosition < (known[i]?.newestPosition ?? 0))
          session.erased(summary.oldestResumable);
        else if (summary) session.check(summary);
        then(session, summary?.version ?? session.inboxVersion);
      });
    }
  }

  /** Nothing while the store is away: a stream has to show that it lives also then, or proxies would cut it. */
  async #changed(known: readonly KnownInbox[]): Promise<readonly (InboxSummary | undefined)[]> {
    try {
      return await this.#store.changedInboxes(known);
    } catch (error) {
      this.#observer.failed('heartbeat', error);
      return [];
    }
  }

  /** Does something with one session of many. */
  #alone(session: Session, task: () => void): void {
    if (session.ended) return;
    try {
      task();
    } catch (error) {
      this.#observer.failed('stream', error);
      session.end('overloaded', true);
    }
  }

  /** One batch after the other, and never two looks at once: a backplane that keeps losing things must not wear the store out. */
  async #everybody(): Promise<void> {
    this.#checking = 'running';
    const all = [...this.#sessions.values()];
    for (let from = 0; from < all.length; from += checkBatch)
      await this.some(all.slice(from, from + checkBatch));
    const again = (this.#checking as string) === 'again';
    this.#checking = 'no';
    if (again) this.all();
  }
}

const knownTo = ({ tenantId, userId, inboxVersion, sentPosition }: Session): KnownInbox => ({
  tenantId,
  userId,
  version: inboxVersion,
  newestPosition: sentPosition,
});
