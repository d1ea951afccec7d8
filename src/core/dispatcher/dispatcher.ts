import type { Ambient } from '../ambient.ts';
import type { Channel } from '../glossary.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Outbox } from '../outbox.ts';
import { announce } from './announce.ts';
import type { Attempts } from './attempts.ts';
import type { DispatcherSettings } from './settings.ts';

/** What an operator sees of the dispatcher. */
export interface DispatcherObserver {
  /** The store cannot be asked; said once, and again when it can. */
  storeAway(error: unknown): void;
  storeBack(): void;
}

/**
 * Drains the outbox: asks the store what is due, has it attempted, and shows items whose time has come. One per process; any
 * number of them share a store.
 *
 *     poll: advance items → claim deliveries → hand each to Attempts ─┐
 *       ▲  something more is due: at once                              │
 *       │  nothing: at the next due time, or after the poll interval   │
 *       └──── woken by a hint, or by an attempt that made room ◀───────┘
 */
export class Dispatcher {
  readonly #outbox: Outbox;
  readonly #hub: LiveHub;
  readonly #attempts: Attempts;
  readonly #ambient: Ambient;
  readonly #settings: DispatcherSettings;
  readonly #observer: DispatcherObserver;
  #polling: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;
  /** Something asked for a look while one was under way. */
  #wanted = false;
  /** Channels of which the last claim may have left something behind for want of room. */
  #hungry: ReadonlySet<Channel> = new Set();
  #isAway = false;
  /** When the store last answered, while it is there. */
  #seenAtMs: number;
  /** Leases that have run out are left to their holders. */
  #isGrace = false;
  #cancelGrace: (() => void) | undefined;

  constructor(
    parts: { outbox: Outbox; hub: LiveHub; attempts: Attempts; ambient: Ambient },
    settings: DispatcherSettings,
    observer: DispatcherObserver,
  ) {
    this.#outbox = parts.outbox;
    this.#hub = parts.hub;
    this.#attempts = parts.attempts;
    this.#ambient = parts.ambient;
    this.#settings = settings;
    this.#observer = observer;
    this.#seenAtMs = parts.ambient.clock.now();
    parts.attempts.onFreed(() => {
      if (this.#hasRoom()) this.wake();
    });
  }

  start(): void {
    // whether the store was away before we came is not known
    this.#beginGrace();
    this.wake();
  }

  /** Looks at the outbox at once: something may be due. */
  wake(): void {
    if (this.#stopped) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#polling) this.#wanted = true;
    else this.#polling = this.#poll();
  }

  /** Takes nothing on any more. @param withinMs see Attempts.stop */
  async stop(withinMs: number): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelGrace?.();
    await this.#polling;
    await this.#attempts.stop(withinMs);
  }

  async #poll(): Promise<void> {
    let pauseMs = 0;
    do {
      this.#wanted = false;
      pauseMs = await this.#look();
    } while (!this.#stopped && (pauseMs === 0 || this.#wanted));
    this.#polling = undefined;
    if (!this.#stopped) this.#cancelTimer = this.#ambient.clock.after(pauseMs, () => this.wake());
  }

  /** @returns how long nothing is to be done, in milliseconds */
  async #look(): Promise<number> {
    const { clock } = this.#ambient;
    const { pollMs, itemsPerPoll } = this.#settings;
    try {
      if (this.#isAway) await this.#askAgain();
      const items = await this.#outbox.advanceItems(itemsPerPoll);
      announce(this.#hub, items.changes);
      const room = this.#attempts.room();
      const hungry = new Set<Channel>();
      for (const [channel, places] of room) if (places === 0) hungry.add(channel);
      const { deliveries, nextDueInMs } = await this.#outbox.claimDeliveries({
        lease: this.#attempts.lease,
        room,
        suspect: !this.#attempts.holdsSuspect,
        takeOver: !this.#isGrace,
      });
      this.#isBack();
      this.#seenAtMs = clock.now();
      const leaseToken = this.#attempts.lease.token;
      const jobs = deliveries.flatMap(({ notification, deliveryId, crashes }) => {
        const delivery = notification.deliveries.find(({ id }) => id === deliveryId);
        return delivery === undefined ? [] : [{ notification, delivery, leaseToken, crashes }];
      });
      for (const { delivery } of jobs) hungry.add(delivery.channel);
      this.#attempts.runDue(jobs);
      this.#hungry = hungry;
      if (items.more || this.#hasRoom()) return 0;
      // replicas that came up together do not ask together
      const usual = pollMs * (0.8 + 0.2 * this.#ambient.random());
      return Math.max(1, Math.ceil(Math.min(usual, nextDueInMs ?? usual, items.nextDueInMs ?? usual)));
    } catch (error) {
      if (!this.#isAway) this.#observer.storeAway(error);
      this.#isAway = true;
      return pollMs;
    }
  }

  /** Says first that what we hold is still ours: leases may have run out while nobody could renew them. */
  async #askAgain(): Promise<void> {
    await this.#attempts.renew();
    const awayMs = this.#ambient.clock.now() - this.#seenAtMs;
    // holders renew three times in a lease; a clock that went back tells nothing
    if (awayMs < 0 || awayMs > this.#settings.leaseMs / 3) this.#beginGrace();
  }

  /** The store has answered. */
  #isBack(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#observer.storeBack();
  }

  /**
   * Leases ran out because nobody could renew them. However long ago that was, their holders are alive as far as anybody knows,
   * with messages that they have sent and could not say so: they get time to.
   */
  #beginGrace(): void {
    this.#cancelGrace?.();
    this.#isGrace = true;
    this.#cancelGrace = this.#ambient.clock.after(this.#settings.graceMs, () => {
      this.#isGrace = false;
      this.wake();
    });
  }

  /**
   * Whether another claim is worth its while: a few at a time would cost as much as many. A channel that nothing is due on has room
   * always, and says nothing.
   */
  #hasRoom(): boolean {
    if (this.#hungry.size === 0) return false;
    const room = this.#attempts.room();
    for (const channel of this.#hungry)
      if ((room.get(channel) ?? 0) * 2 >= this.#settings.heldPerChannel) return true;
    return false;
  }
}
