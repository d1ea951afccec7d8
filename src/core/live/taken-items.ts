import type { Clock } from '../ambient.ts';
import { isUnavailable } from '../errors.ts';
import type { EpochMs, Notification } from '../glossary.ts';
import type { Outcome } from '../outbox.ts';
import { inAppOf } from '../status.ts';
import type { Store } from '../store.ts';
import {
  type LiveObserver,
  longestStoreRetryMs,
  storeRetryMs,
  takenPerWrite,
  takenTries,
  unrecordedItems,
} from './settings.ts';

interface TakenItem extends Outcome {
  readonly createdAtMs: EpochMs;
}

/** Items that streams have taken: recorded as delivered in batches, and then told to whoever waits for it. */
export class TakenItems {
  readonly #store: Pick<Store, 'recordOutcomes'>;
  readonly #clock: Clock;
  readonly #observer: LiveObserver;
  readonly #tell: (ids: readonly string[]) => void;
  /** Notify calls that wait for an item to be taken, by the notification's id. */
  readonly #waiting = new Map<string, () => void>();
  /** What is still to be recorded, by the notification's id: an item that two tabs show is taken once. */
  readonly #items = new Map<string, TakenItem>();
  #recording: Promise<void> | undefined;
  #isStopping = false;
  /** Ends a pause between two tries. */
  #wake: (() => void) | undefined;

  /** @param tell tells the other replicas */
  constructor(
    store: Pick<Store, 'recordOutcomes'>,
    clock: Clock,
    observer: LiveObserver,
    tell: (ids: readonly string[]) => void,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#observer = observer;
    this.#tell = tell;
  }

  /** Runs `task` once when a stream has taken the item, and that is recorded. @returns gives up waiting */
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

  /** An item's bytes have left. This is when it is delivered: a stream that opened while they were on their way is sent it too. */
  add(notification: Notification): void {
    const { tenantId, userId, id, createdAtMs } = notification;
    const delivery = inAppOf(notification.deliveries);
    if (delivery === undefined || this.#items.has(id)) return;
    // beyond, they stay pending, as those do that could not be recorded
    if (this.#items.size >= unrecordedItems) return;
    this.#items.set(id, {
      tenantId,
      userId,
      id,
      createdAtMs,
      deliveryId: delivery.id,
      status: 'delivered',
      reason: '',
      providerMessageId: '',
      atMs: BigInt(this.#clock.now()),
      attempts: [],
      leaseToken: undefined,
      dueAtMs: 0n,
    });
    // one batch is written while the next one gathers
    this.#recording ??= this.#record();
  }

  /** Resolves when all that was taken is recorded, as far as the store takes it now. */
  async settled(): Promise<void> {
    this.#isStopping = true;
    this.#wake?.();
    await this.#recording;
  }

  async #record(): Promise<void> {
    for (let failures = 0; this.#items.size > 0; ) {
      await Promise.resolve(); // what is written in this turn goes into one batch
      const batch = this.#next();
      try {
        const isNew = await this.#store.recordOutcomes(batch);
        failures = 0;
        this.#recorded(batch, isNew);
      } catch (error) {
        failures += 1;
        if (failures === 1) this.#observer.failed('record delivered', error);
        // what is given up stays pending, and the next stream is sent it again: a repeat that clients merge by id
        if (this.#isStopping) this.#items.clear();
        else if (failures < takenTries || isUnavailable(error)) await this.#pause(failures);
        else {
          this.#forget(batch);
          failures = 0;
        }
      }
    }
    this.#recording = undefined;
  }

  #next(): TakenItem[] {
    const next: TakenItem[] = [];
    for (const item of this.#items.values()) {
      if (next.length === takenPerWrite) break;
      next.push(item);
    }
    return next;
  }

  #recorded(items: readonly TakenItem[], isNew: readonly boolean[]): void {
    this.#forget(items);
    for (const [i, { atMs, createdAtMs }] of items.entries())
      if (isNew[i]) this.#observer.delivered(Number(atMs - createdAtMs));
    const ids = items.map(({ id }) => id);
    this.heard(ids);
    this.#tell(ids);
  }

  #forget(items: readonly TakenItem[]): void {
    for (const { id } of items) this.#items.delete(id);
  }

  async #pause(failures: number): Promise<void> {
    const pauseMs = Math.min(longestStoreRetryMs, storeRetryMs * 2 ** (failures - 1));
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(pauseMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
