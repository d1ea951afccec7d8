import type { Notification } from '../glossary.ts';
import type { Outcome } from '../outbox.ts';
import { inAppOf } from '../status.ts';
import type { Store } from '../store.ts';
import type { LiveObserver } from './settings.ts';

/** Items that streams have taken: recorded as delivered in batches, and told to whoever waits for it. */
export class TakenItems {
  readonly #store: Pick<Store, 'recordOutcomes'>;
  readonly #observer: LiveObserver;
  readonly #tell: (ids: readonly string[]) => void;
  /** Notify calls that wait for an item to be taken, by the notification's id. */
  readonly #waiting = new Map<string, () => void>();
  #outcomes: Outcome[] = [];
  #recording: Promise<void> | undefined;

  /** @param tell tells the other replicas */
  constructor(
    store: Pick<Store, 'recordOutcomes'>,
    observer: LiveObserver,
    tell: (ids: readonly string[]) => void,
  ) {
    this.#store = store;
    this.#observer = observer;
    this.#tell = tell;
  }

  /** Runs `task` once when a stream has taken the item. @returns gives up waiting */
  when(id: string, task: () => void): () => void {
    this.#waiting.set(id, task);
    return () => this.#waiting.delete(id);
  }

  /** Items were taken, here or at another replica, and that is recorded. */
  heard(ids: readonly string[]): void {
    for (const id of ids) {
      this.#waiting.get(id)?.();
      this.#waiting.delete(id);
    }
  }

  /** An item's bytes have left. */
  add(notification: Notification): void {
    const delivery = inAppOf(notification.deliveries);
    if (delivery === undefined) return;
    this.#observer.delivered(Number(delivery.deliveredAtMs - notification.createdAtMs));
    this.#outcomes.push({
      tenantId: notification.tenantId,
      userId: notification.userId,
      id: notification.id,
      deliveryId: delivery.id,
      status: 'delivered',
      reason: '',
      providerMessageId: '',
      atMs: delivery.deliveredAtMs,
      attempts: [],
      leaseToken: undefined,
      dueAtMs: 0n,
    });
    // one batch is written while the next one gathers
    this.#recording ??= this.#record();
  }

  /** Resolves when all that was taken is recorded. */
  async settled(): Promise<void> {
    await this.#recording;
  }

  async #record(): Promise<void> {
    while (this.#outcomes.length > 0) {
      await Promise.resolve(); // what is written in this turn goes into one batch
      const batch = this.#outcomes;
      this.#outcomes = [];
      try {
        await this.#store.recordOutcomes(batch);
      } catch (error) {
        // they stay pending, and the next stream is sent them again: a repeat that clients merge by id
        this.#observer.failed('record delivered', error);
      }
      const ids = batch.map(({ id }) => id);
      this.heard(ids);
      this.#tell(ids);
    }
    this.#recording = undefined;
  }
}
