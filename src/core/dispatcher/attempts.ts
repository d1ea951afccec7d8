import pLimit from 'p-limit';
import { deadReason, markedChannels } from '../addresses.ts';
import type { Ambient } from '../ambient.ts';
import { type ChannelProvider, codes, deadDestination } from '../channel.ts';
import type { Channel } from '../glossary.ts';
import type { DeliveryRef, Lease, Outcome } from '../outbox.ts';
import type { Store } from '../store.ts';
import { attemptDelivery } from './attempt.ts';
import { Circuit, type Leave } from './circuit.ts';
import { type Job, outcomeOf, verdictOf } from './outcome.ts';
import type { DispatcherSettings } from './settings.ts';
import { signOf } from './sign.ts';
import { TokenBucket } from './token-bucket.ts';

/** Which providers are active, by channel. In-app always is: the inbox. */
export type Providers = ReadonlyMap<Channel, ChannelProvider>;

/** What an operator sees. */
export interface AttemptObserver {
  attempted(attempt: {
    readonly channel: string;
    readonly provider: string;
    /** delivered, pending (will be tried again) or failed. */
    readonly status: string;
    readonly durationMs: number;
    /** For the log only. */
    readonly error: unknown;
  }): void;
  /** A provider is away or rejects our credentials: nothing is sent by it but a probe from time to time. Said once. */
  providerDown(down: {
    readonly channel: string;
    readonly provider: string;
    readonly reason: string;
    readonly probeInMs: number;
  }): void;
  /** It has answered again. */
  providerUp(up: { readonly channel: string; readonly provider: string }): void;
  /** An attempt took longer than its lease, and somebody else has been given the delivery: it may go out twice. */
  leaseLost(deliveryId: string): void;
  /** Deliveries were handed back: they are due for whoever has room. */
  handedBack(): void;
  failed(what: string, error: unknown): void;
}

/** What is needed of the store. */
export type DispatchedStore = Pick<
  Store,
  'recordOutcomes' | 'releaseLeases' | 'renewLeases' | 'removeDevice' | 'markAddressesDead'
>;

/** How attempts on a channel are held back. */
interface Lane {
  readonly limit: ReturnType<typeof pLimit>;
  /** Undefined: as fast as they come. */
  readonly bucket: TokenBucket | undefined;
  /** Undefined: the provider is many servers. */
  readonly circuit: Circuit | undefined;
}

/** A delivery that this process holds. */
interface Held {
  readonly job: Job;
  isUnderWay: boolean;
  /** Nobody else is given it before. */
  leasedUntilMs: number;
}

/** How long something waits that the store did not take, in milliseconds. */
const storePauseMs = 1_000;

/** The share of a lease that counts: what it began with was a moment before we were told. */
const leaseShare = 0.9;

/**
 * The deliveries that this process holds, from lease to outcome: attempts each once, with bounded concurrency per provider, writes
 * what became of it, and renews the leases meanwhile.
 */
export class Attempts {
  /** One lease token for the life of the process. */
  readonly lease: Lease;
  readonly #outbox: DispatchedStore;
  readonly #providers: Providers;
  readonly #ambient: Ambient;
  readonly #settings: DispatcherSettings;
  readonly #observer: AttemptObserver;
  readonly #lanes = new Map<Channel, Lane>();
  readonly #held = new Map<string, Held>();
  readonly #abort = new AbortController();
  /** Handed back together, since a circuit that opens meets many at once. */
  #refused: Job[] = [];
  /** Told when a delivery is let go of. */
  #freed: () => void = () => {};
  #cancelRenewal: (() => void) | undefined;
  /** Under way because something waits for it. */
  #renewing: Promise<void> | undefined;

  constructor(
    parts: { outbox: DispatchedStore; providers: Providers; ambient: Ambient },
    settings: DispatcherSettings,
    observer: AttemptObserver,
  ) {
    this.#outbox = parts.outbox;
    this.#providers = parts.providers;
    this.#ambient = parts.ambient;
    this.#settings = settings;
    this.#observer = observer;
    this.lease = { token: parts.ambient.ids.random(), durationMs: settings.leaseMs };
    for (const [channel, provider] of parts.providers) {
      const rate = settings.rates[channel];
      const { clock } = parts.ambient;
      this.#lanes.set(channel, {
        limit: pLimit(settings.attemptsPerProvider),
        bucket: rate === undefined ? undefined : new TokenBucket(rate, clock),
        circuit: provider.isManyServers === true ? undefined : new Circuit(settings.circuit, clock),
      });
    }
  }

  /** How many deliveries are held. */
  get size(): number {
    return this.#held.size;
  }

  /** Whether one of them has crashed a process twice. */
  get holdsSuspect(): boolean {
    for (const { job } of this.#held.values()) if (job.crashes > 1) return true;
    return false;
  }

  /** How many more of each channel may be held. */
  room(): Map<Channel, number> {
    const room = new Map<Channel, number>();
    for (const channel of this.#providers.keys()) room.set(channel, this.#settings.heldPerChannel);
    for (const { job } of this.#held.values()) {
      const { channel } = job.delivery;
      room.set(channel, Math.max(0, (room.get(channel) ?? 0) - 1));
    }
    for (const [channel, places] of room)
      room.set(channel, Math.min(places, this.#lanes.get(channel)?.circuit?.places ?? places));
    return room;
  }

  /** Calls `task` whenever a delivery is let go of. */
  onFreed(task: () => void): void {
    this.#freed = task;
  }

  /**
   * Takes a leased delivery to an outcome and writes that.
   * @returns the outcome; undefined where it was handed back without one. Never rejects
   */
  async run(job: Job): Promise<Outcome | undefined> {
    const { delivery } = job;
    // a lease of our own that ran out while we were attempting
    if (this.#held.has(delivery.id)) return undefined;
    const provider = this.#providers.get(delivery.channel);
    const lane = this.#lanes.get(delivery.channel);
    if (provider === undefined || lane === undefined) return undefined;
    const held: Held = { job, isUnderWay: false, leasedUntilMs: this.#leasedUntilMs() };
    this.#held.set(delivery.id, held);
    this.#renewLater();
    const outcome = await lane.limit(async () => {
      const isHeld = () => this.#held.get(delivery.id) === held;
      const isShut = () => lane.circuit?.places === 0;
      // nobody takes a turn to be refused
      if (!isShut()) await lane.bucket?.turn(() => isHeld() && !isShut());
      await this.#renewIfOver(held);
      // handed back or lost while it waited for its turn
      if (!isHeld()) return undefined;
      const leave = lane.circuit === undefined ? neverRefused : lane.circuit.begin();
      if (leave === undefined) {
        this.#refuse(job);
        return undefined;
      }
      held.isUnderWay = true;
      return this.#attempt(provider, job, lane.circuit, leave);
    });
    if (outcome === undefined) return undefined;
    const written = this.#write(outcome);
    void written.finally(() => {
      this.#held.delete(delivery.id);
      this.#freed();
    });
    await written.catch(() => {});
    return outcome;
  }

  /** Hands back what waits for its turn among some deliveries: it is due for anybody. */
  async release(jobs: readonly Job[]): Promise<void> {
    const waiting = jobs.filter(({ delivery }) => this.#held.get(delivery.id)?.isUnderWay === false);
    for (const { delivery } of waiting) this.#held.delete(delivery.id);
    if (waiting.length === 0) return;
    await this.#outbox.releaseLeases(this.lease.token, waiting.map(refOf));
    this.#observer.handedBack();
    this.#freed();
  }

  /** Hands a delivery back that must not be attempted now; with it those that are refused in the same moment. */
  #refuse(job: Job): void {
    if (this.#refused.push(job) > 1) return;
    queueMicrotask(() => {
      const jobs = this.#refused;
      this.#refused = [];
      this.release(jobs).catch((error: unknown) => this.#observer.failed('release leases', error));
    });
  }

  /**
   * Hands back everything that waits, and lets what is under way end.
   * @param withinMs what has not ended by then is aborted; its outcome is written as of any transient failure
   */
  async stop(withinMs: number): Promise<void> {
    const cancel = this.#ambient.clock.after(withinMs, () => this.#abort.abort());
    const jobs = [...this.#held.values()].map(({ job }) => job);
    await this.release(jobs).catch((error: unknown) => this.#observer.failed('release leases', error));
    while (this.#held.size > 0)
      await new Promise<void>((resolve) => {
        this.#freed = resolve;
      });
    cancel();
    this.#cancelRenewal?.();
  }

  async #attempt(
    provider: ChannelProvider,
    job: Job,
    circuit: Circuit | undefined,
    leave: Leave,
  ): Promise<Outcome> {
    const ambient = this.#ambient;
    const settings = this.#settings;
    const verdict = verdictOf(job, settings.crashLimit, ambient.clock.now());
    if (verdict !== undefined) {
      circuit?.end(leave, job.delivery.id, 'none');
      return verdict;
    }
    const result = await attemptDelivery(provider, job.notification, job.delivery, ambient, {
      timeoutMs: settings.attemptTimeoutMs,
      signal: this.#abort.signal,
    });
    if (result.failure !== undefined && deadDestination.has(result.failure.code))
      await this.#forgetDevice(job, result.startedAtMs);
    if (result.failure?.code === codes.destinationGone) await this.#markDead(job, result.startedAtMs);
    // what the sandbox keeps, the provider never saw
    const sign = result.diverted === 'sandbox_captured' ? 'none' : signOf(result.failure);
    const news = circuit?.end(leave, job.delivery.id, sign);
    const { channel } = job.delivery;
    if (circuit !== undefined && news === 'opened')
      this.#observer.providerDown({
        channel,
        provider: provider.name,
        reason: result.failure?.code ?? '',
        probeInMs: circuit.probeAtMs - ambient.clock.now(),
      });
    if (news === 'closed') this.#observer.providerUp({ channel, provider: provider.name });
    const isDown = circuit?.isOpen === true && (sign === 'away' || sign === 'locked');
    const outcome = outcomeOf(job, result, settings.retry, ambient.clock.now(), () => ambient.random(), {
      downMs: circuit?.openMsSince(Number(job.delivery.firstDueAtMs)) ?? 0,
      probeAtMs: isDown ? circuit.probeAtMs : undefined,
    });
    this.#observer.attempted({
      channel,
      provider: result.provider,
      status: outcome.status,
      durationMs: result.durationMs,
      error: result.failure?.cause,
    });
    return outcome;
  }

  /** Its push service does not know the device any more: the next notification does not try it. */
  async #forgetDevice({ notification, delivery }: Job, startedAtMs: number): Promise<void> {
    const dead = { token: delivery.destination, triedAtMs: BigInt(startedAtMs) };
    await this.#outbox
      .removeDevice(notification, dead)
      .catch((error: unknown) => this.#observer.failed('forget a dead device', error));
  }

  /** Nobody is reached there any more: the next notification is not sent there. */
  async #markDead({ notification, delivery }: Job, startedAtMs: number): Promise<void> {
    const { channel, destination: address } = delivery;
    if (!markedChannels.has(channel)) return;
    const dead = { tenantId: notification.tenantId, channel, address, reason: deadReason };
    await this.#outbox
      .markAddressesDead([{ ...dead, atMs: BigInt(startedAtMs) }])
      .catch((error: unknown) => this.#observer.failed('mark a dead address', error));
  }

  /**
   * Writes an outcome, however long the store is away: nobody else knows it.
   */
  async #write(outcome: Outcome): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const [written] = await this.#outbox.recordOutcomes([outcome]);
        if (written !== true && outcome.attempt !== undefined) this.#observer.leaseLost(outcome.deliveryId);
        return;
      } catch (error) {
        if (tries === 1) this.#observer.failed('record an outcome; it is tried again', error);
        if (this.#abort.signal.aborted) return;
        await new Promise<void>((resolve) => this.#ambient.clock.after(storePauseMs, resolve));
      }
    }
  }

  #leasedUntilMs(): number {
    return this.#ambient.clock.now() + this.#settings.leaseMs * leaseShare;
  }

  /**
   * Asks for a lease again that may have run out while its delivery waited: this process stood still, or was cut off from the
   * store, and somebody else may have been given it. Until the store answers nothing is sent.
   */
  async #renewIfOver(held: Held): Promise<void> {
    const { clock } = this.#ambient;
    const { id } = held.job.delivery;
    while (clock.now() > held.leasedUntilMs && this.#held.get(id) === held) {
      this.#renewing ??= this.renew().finally(() => {
        this.#renewing = undefined;
      });
      await this.#renewing.catch(() => new Promise<void>((resolve) => clock.after(storePauseMs, resolve)));
    }
  }

  #renewLater(inMs = this.#settings.leaseMs / 3): void {
    this.#cancelRenewal ??= this.#ambient.clock.after(inMs, () => {
      this.#cancelRenewal = undefined;
      this.renew().catch((error: unknown) => this.#observer.failed('renew leases; it is tried again', error));
    });
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
      this.#renewLater(this.#settings.leaseMs / 12);
      throw error;
    }
    this.#renewLater();
    held.forEach((one, i) => {
      const { id } = one.job.delivery;
      if (still[i] === true) one.leasedUntilMs = leasedUntilMs;
      else if (!one.isUnderWay && this.#held.get(id) === one) this.#held.delete(id);
    });
  }
}

/** For providers without a circuit. */
const neverRefused: Leave = { isProbe: false };

const refOf = ({ notification, delivery }: Job): DeliveryRef => ({
  tenantId: notification.tenantId,
  userId: notification.userId,
  id: notification.id,
  deliveryId: delivery.id,
});
