import type { AddressBook, DeadAddress } from '../addresses.ts';
import { NotifyError } from '../errors.ts';
import type { Callback, ReceiptReader } from './reader.ts';
import type { Receipt, ReceiptLog } from './receipt.ts';

/** By the provider's name; several where a provider serves several channels. */
export type ReceiptReaders = ReadonlyMap<string, readonly ReceiptReader[]>;

/** What is needed of the store. */
export type ReceivingStore = ReceiptLog & Pick<AddressBook, 'markAddressesDead'> & { now(): number };

export interface ReceiptObserver {
  /** One was written, or would have changed nothing. */
  recorded(provider: string, kind: Receipt['kind']): void;
  /** It names no delivery that is here: of another installation, or one that was erased. */
  unknown(provider: string): void;
  /** A callback was not let in: its signature is missing, wrong or old. */
  refused(provider: string, why: string): void;
}

/** Receipts that are written together: a callback may hold thousands. */
const batchSize = 500;

/** Takes what providers say of deliveries. */
export class Receipts {
  readonly #store: ReceivingStore;
  readonly #readers: ReceiptReaders;
  readonly #observer: ReceiptObserver;

  constructor(store: ReceivingStore, readers: ReceiptReaders, observer: ReceiptObserver) {
    this.#store = store;
    this.#readers = readers;
    this.#observer = observer;
  }

  /** @throws NotifyError not_found where a provider's receipts are not set up */
  assertSetUp(provider: string): void {
    if (!this.#readers.has(provider)) throw notSetUp();
  }

  /**
   * Checks a callback and writes what it says. When this rejects with `unavailable`, the provider is to say it again.
   * @throws NotifyError as of ReceiptReader; not_found where the provider's receipts are not set up
   */
  async accept(provider: string, callback: Callback): Promise<void> {
    const receipts = await this.#read(provider, callback);
    for (let from = 0; from < receipts.length; from += batchSize)
      await this.#write(receipts.slice(from, from + batchSize));
  }

  async #read(provider: string, callback: Callback): Promise<readonly Receipt[]> {
    let refusal = notSetUp();
    for (const reader of this.#readers.get(provider) ?? [])
      try {
        return await reader.read(callback);
      } catch (error) {
        const isRefusal = error instanceof NotifyError && refusals.includes(error.code);
        if (!isRefusal) throw error;
        // another reader may know the signature
        refusal = error;
      }
    if (refusal.code !== 'not_found') this.#observer.refused(provider, refusal.message);
    throw refusal;
  }

  async #write(receipts: readonly Receipt[]): Promise<void> {
    const nowMs = BigInt(this.#store.now());
    // nothing has happened later than now, whatever a provider's clock says
    const batch = receipts.map((receipt) =>
      receipt.atMs > nowMs || receipt.atMs <= 0n ? { ...receipt, atMs: nowMs } : receipt,
    );
    const received = await this.#store.recordReceipts(batch);
    const dead: DeadAddress[] = [];
    batch.forEach(({ provider, kind, ...receipt }, i) => {
      const delivery = received[i];
      if (delivery === undefined) this.#observer.unknown(provider);
      else this.#observer.recorded(provider, kind);
      if (delivery === undefined || receipt.dead === undefined || delivery.destination === '') return;
      const { tenantId, channel, atMs } = receipt;
      // where the delivery went, and not what the callback says
      dead.push({ tenantId, channel, address: delivery.destination, reason: receipt.dead, atMs });
    });
    if (dead.length > 0) await this.#store.markAddressesDead(dead);
  }
}

const notSetUp = () => new NotifyError('not_found', 'the receipts of this provider are not set up here');

const refusals: readonly string[] = ['unauthenticated', 'permission_denied'];
