import type { Ambient } from '../ambient.ts';
import type { Channel } from '../glossary.ts';
import type { DeliveryRef, Lease } from '../outbox.ts';
import type { Store } from '../store.ts';
import type { Job } from './outcome.ts';

/** A delivery that this process holds. */
export interface Held {
  readonly job: Job;
  /** From the outbox, not from a call. */
  readonly isClaimed: boolean;
  /** An attempt has begun: it is not handed back any more. */
  isUnderWay: boolean;
  /** Nobody else is given it before. */
  leasedUntilMs: number;
  /** Somebody else may have been given it. */
  isLost: boolean;
}

/** How long something waits that the store did not take, in milliseconds. */
export const storePauseMs = 1_000;

/** The share of a lease that counts: what it began with was a moment before we were told. */
const leaseShare = 0.9;

/** The leases of this process: renews them while it holds them, and hands back what it will not use. */
export class Leases {
  /** One token for the life of the process. */
  readonly lease: Lease;
  readonly #outbox: Pick<Store, 'releaseLeases' | 'renewLeases'>;
  readonly #ambient: Pick<Ambient, 'clock'>;
  readonly #failed: (what: string, error: unknown) => void;
  readonly #held = new Map<string, Held>();
  /** Told when a delivery is let go of. */
  #freed: () => void = () => {};
  #cancelRenewal: (() => void) | undefined;
  /** Under way because something waits for it. */
  #renewing: Promise<void> | undefined;

  /** @param failed told of what is tried again */
  constructor(
    outbox: Pick<Store, 'releaseLeases' | 'renewLeases'>,
    lease: Lease,
    ambient: Pick<Ambient, 'clock'>,
    failed: (what: string, error: unknown) => void,
  ) {
    this.#outbox = outbox;
    this.lease = lease;
    this.#ambient = ambient;
    this.#failed = failed;
  }

  /** How many deliveries are held. */
  get size(): number {
    return this.#held.size;
  }

  get jobs(): Job[] {
    return [...this.#held.values()].map(({ job }) => job);
  }

  /** Whether one of them has crashed a process twice. */
  get holdsSuspect(): boolean {
    for (const { job } of this.#held.values()) if (job.crashes > 1) return true;
    return false;
  }

  /** How many are held of each channel, and how many of them were claimed. */
  countByChannel(): Map<Channel, { all: number; claimed: number }> {
    const counts = new Map<Channel, { all: number; claimed: number }>();
    for (const { job, isClaimed } of this.#held.values()) {
      const { channel } = job.delivery;
      let count = counts.get(channel);
      if (count === undefined) {
        count = { all: 0, claimed: 0 };
        counts.set(channel, count);
      }
      count.all += 1;
      if (isClaimed) count.claimed += 1;
    }
    return counts;
  }

  /** Calls `task` whenever a delivery is let go of. */
  onFreed(task: () => void): void {
    this.#freed = task;
  }

  /** Notes a lease that the store has given. @returns undefined: it is held already, by one that ran out meanwhile */
  hold(job: Job, isClaimed: boolean): Held | undefined {
    const { id } = job.delivery;
    if (this.#held.has(id)) return undefined;
    const held = { job, isClaimed, isUnderWay: false, leasedUntilMs: this.#leasedUntilMs(), isLost: false };
    this.#held.set(id, held);
    this.#renewLater();
    return held;
  }

  /** Whether it may be attempted, as far as this process knows. */
  holds(held: Held): boolean {
    return !held.isLost && this.#held.get(held.job.delivery.id) === held;
  }

  /** Lets go of what has been written. */
  drop({ job }: Held): void {
    this.#held.delete(job.delivery.id);
    this.#freed();
  }

  /**
   * Hands back what waits for its turn among some deliveries.
   * @param afterMs as of Outbox.releaseLeases
   * @returns whether there was something
   */
  async release(jobs: readonly Job[], afterMs = 0): Promise<boolean> {
    const waiting = jobs.filter(({ delivery }) => this.#held.get(delivery.id)?.isUnderWay === false);
    for (const { delivery } of waiting) this.#held.delete(delivery.id);
    if (waiting.length === 0) return false;
    await this.#outbox.releaseLeases(this.lease.token, waiting.map(refOf), afterMs);
    this.#freed();
    return true;
  }

  /**
   * Asks for a lease again that may have run out while its delivery waited: this process stood still, or was cut off from the
   * store, and somebody else may have been given it. Until the store answers nothing is sent.
   * @returns whether it is held
   */
  async confirm(held: Held): Promise<boolean> {
    const { clock } = this.#ambient;
    while (clock.now() > held.leasedUntilMs && this.holds(held)) {
      this.#renewing ??= this.renew().finally(() => {
        this.#renewing = undefined;
      });
      await this.#renewing.catch(() => new Promise<void>((resolve) => clock.after(storePauseMs, resolve)));
    }
    return this.holds(held);
  }

  /**
   * Asks the store whether a delivery is still to be sent by another provider: a receipt may have settled it, or said that it is lost, or
   * its user been erased, while one was asked. Where the store cannot be asked, it is.
   */
  async isStillWanted(held: Held): Promise<boolean> {
    const still = await this.#outbox
      .renewLeases(this.lease, [refOf(held.job)], { goingOn: true })
      .catch(() => [true]);
    if (still[0] !== true) held.isLost = true;
    return this.holds(held);
  }

  /** Renews all leases, and lets go of those that are lost and have not begun. */
  async renew(): Promise<void> {
    const held = [...this.#held.values()];
    if (held.length === 0) return;
    const leasedUntilMs = this.#leasedUntilMs();
    let still: boolean[];
    try {
      still = await this.#outbox.renewLeases(
        this.lease,
        held.map(({ job }) => refOf(job)),
      );
    } catch (error) {
      // well before the leases are over
      this.#renewLater(this.lease.durationMs / 12);
      throw error;
    }
    this.#renewLater();
    held.forEach((one, i) => {
      const { id } = one.job.delivery;
      if (still[i] === true) one.leasedUntilMs = leasedUntilMs;
      else one.isLost = true;
      if (one.isLost && !one.isUnderWay && this.#held.get(id) === one) this.#held.delete(id);
    });
  }

  /** Waits until nothing is held any more, and stops renewing. */
  async stop(): Promise<void> {
    while (this.#held.size > 0)
      await new Promise<void>((resolve) => {
        this.#freed = resolve;
      });
    this.#cancelRenewal?.();
  }

  #leasedUntilMs(): number {
    return this.#ambient.clock.now() + this.lease.durationMs * leaseShare;
  }

  #renewLater(inMs = this.lease.durationMs / 3): void {
    this.#cancelRenewal ??= this.#ambient.clock.after(inMs, () => {
      this.#cancelRenewal = undefined;
      this.renew().catch((error: unknown) => this.#failed('renew leases; it is tried again', error));
    });
  }
}

const refOf = ({ notification, delivery }: Job): DeliveryRef => ({
  tenantId: notification.tenantId,
  userId: notification.userId,
  id: notification.id,
  deliveryId: delivery.id,
});
