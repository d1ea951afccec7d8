import type { Ambient } from '../ambient.ts';
import type { Outcome } from '../outbox.ts';
import type { Store } from '../store.ts';
import { storePauseMs } from './leases.ts';

/** What an operator sees of the writing. */
export interface WriterObserver {
  /** An attempt took longer than its lease, and somebody else has been given the delivery: it may go out twice. */
  leaseLost(deliveryId: string): void;
  failed(what: string, error: unknown): void;
}

/** Writes outcomes, however long the store is away: nobody else knows them. */
export class OutcomeWriter {
  readonly #outbox: Pick<Store, 'recordOutcomes'>;
  readonly #ambient: Pick<Ambient, 'clock'>;
  readonly #observer: WriterObserver;
  readonly #givenUp: AbortSignal;

  /** @param givenUp aborted when there is no more time to try it again */
  constructor(
    outbox: Pick<Store, 'recordOutcomes'>,
    ambient: Pick<Ambient, 'clock'>,
    observer: WriterObserver,
    givenUp: AbortSignal,
  ) {
    this.#outbox = outbox;
    this.#ambient = ambient;
    this.#observer = observer;
    this.#givenUp = givenUp;
  }

  async write(outcome: Outcome): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const [written] = await this.#outbox.recordOutcomes([outcome]);
        if (written !== true && outcome.attempts.length > 0) this.#observer.leaseLost(outcome.deliveryId);
        return;
      } catch (error) {
        if (tries === 1) this.#observer.failed('record an outcome; it is tried again', error);
        if (this.#givenUp.aborted) return;
        await new Promise<void>((resolve) => this.#ambient.clock.after(storePauseMs, resolve));
      }
    }
  }
}
