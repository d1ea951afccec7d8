import { deadReason, markedChannels } from '../addresses.ts';
import type { Ambient } from '../ambient.ts';
import { codes, deadDestination, type Providers, thoseFor } from '../channel.ts';
import type { Channel, DeliveryStatus } from '../glossary.ts';
import type { Lease, Outcome } from '../outbox.ts';
import type { Store } from '../store.ts';
import type { AttemptResult } from './attempt.ts';
import { Lane, type LaneObserver, type Wish } from './lane.ts';
import { type Held, Leases } from './leases.ts';
import { type Job, outcomeOf, verdictOf } from './outcome.ts';
import { OutcomeWriter } from './outcome-writer.ts';
import { Refusals } from './refusals.ts';
import { type DispatcherSettings, limitsOf, placesOf, shareOf } from './settings.ts';
import { commonMs } from './spans.ts';

/** What an operator sees. */
export interface AttemptObserver extends LaneObserver {
  attempted(attempt: {
    readonly tenantId: string;
    readonly userId: string;
    readonly deliveryId: string;
    /** Whether the delivery had been attempted before, and was due again. */
    readonly isRetry: boolean;
    readonly channel: string;
    readonly provider: string;
    /** delivered, pending (will be tried again, perhaps by the next provider at once) or failed. */
    readonly status: string;
    /** The provider that is asked next, at once; undefined: none is. */
    readonly next: string | undefined;
    readonly durationMs: number;
    /** For the log only. */
    readonly error: unknown;
  }): void;
  /** An attempt took longer than its lease, and somebody else has been given the delivery: it may go out twice. */
  leaseLost(deliveryId: string): void;
  /** Deliveries were handed back: they are due for whoever has room. */
  handedBack(): void;
  failed(what: string, error: unknown): void;
}

/** What is needed of the store. */
export type DispatchedStore = Pick<
  Store,
  'recordOutcomes' | 'releaseLeases' | 'renewLeases' | 'removeDevice' | 'markAddressesDead' | 'deadAddresses'
>;

interface ClaimedTogether {
  /** Those whose address has died since they were accepted, by id; undefined: none can have. */
  readonly dead: Promise<ReadonlySet<string>> | undefined;
}

/**
 * The deliveries that this process holds, from lease to outcome: asks one provider of the channel after the other until one has
 * decided, each in a lane of its own, and writes what became of it.
 *
 *     lease ──▶ first lane ── taken, or refused for good ──────────────────────────▶ outcome
 *                 │ its provider is down, or failed for the moment                      ▲
 *                 └──▶ next lane ──▶ … none is left: due again after a pause ───────────┘
 *                                      └── none was even asked: handed back, for later where its server is slow
 */
export class Attempts {
  readonly #outbox: DispatchedStore;
  readonly #ambient: Ambient;
  readonly #settings: DispatcherSettings;
  readonly #observer: AttemptObserver;
  readonly #leases: Leases;
  readonly #writer: OutcomeWriter;
  readonly #refusals: Refusals;
  readonly #lanes = new Map<Channel, readonly Lane[]>();
  readonly #abort = new AbortController();
  #isStopping = false;

  constructor(
    parts: { outbox: DispatchedStore; providers: Providers; ambient: Ambient },
    settings: DispatcherSettings,
    observer: AttemptObserver,
  ) {
    const { outbox, providers, ambient } = parts;
    this.#outbox = outbox;
    this.#ambient = ambient;
    this.#settings = settings;
    this.#observer = observer;
    const lease = { token: ambient.ids.random(), durationMs: settings.leaseMs };
    this.#leases = new Leases(outbox, lease, ambient, (what, error) => observer.failed(what, error));
    this.#writer = new OutcomeWriter(outbox, ambient, observer, this.#abort.signal);
    this.#refusals = new Refusals((jobs, afterMs) =>
      this.#handBack(jobs, afterMs).catch((error: unknown) => observer.failed('release leases', error)),
    );
    for (const [channel, all] of providers)
      this.#lanes.set(
        channel,
        all.map((one) => {
          const places = placesOf(settings, one, all.length === 1);
          const { circuit } = settings;
          return new Lane(one, { limits: limitsOf(settings, one), places, circuit }, ambient, observer);
        }),
      );
  }

  /** Who attempts: one for the life of the process. */
  get lease(): Lease {
    return this.#leases.lease;
  }

  /** How many deliveries are held. */
  get size(): number {
    return this.#leases.size;
  }

  /** Whether one of them has crashed a process twice. */
  get holdsSuspect(): boolean {
    return this.#leases.holdsSuspect;
  }

  /**
   * How many more of each channel may be claimed: as many as some provider of it can be asked for. What waits for slow servers is held
   * beside, and calls that notify thousands leave a share.
   */
  room(): Map<Channel, number> {
    const { heldPerChannel, servers } = this.#settings;
    const held = this.#leases.countByChannel();
    const room = new Map<Channel, number>();
    for (const [channel, lanes] of this.#lanes) {
      const { all, claimed } = held.get(channel) ?? { all: 0, claimed: 0 };
      const places = sum(lanes, (lane) => lane.places);
      const slow = sum(lanes, (lane) => lane.slowWaiting);
      const free = heldPerChannel - Math.max(0, all - slow);
      const ofClaims =
        Math.min(heldPerChannel, shareOf(heldPerChannel, servers)) - Math.max(0, claimed - slow);
      room.set(channel, Math.min(places, Math.max(0, free, ofClaims)));
    }
    return room;
  }

  /** Calls `task` whenever a delivery is let go of. */
  onFreed(task: () => void): void {
    this.#leases.onFreed(task);
  }

  /**
   * Takes a leased delivery to an outcome and writes that.
   * @param claimed where it comes from the outbox, with others
   * @returns the outcome; undefined where it was handed back without one. Never rejects
   */
  async run(job: Job, claimed?: ClaimedTogether): Promise<Outcome | undefined> {
    const { channel, destination } = job.delivery;
    const lanes = thoseFor(this.#lanes.get(channel) ?? [], destination);
    const held = lanes.length === 0 ? undefined : this.#leases.hold(job, claimed !== undefined);
    const dead = held && (await claimed?.dead);
    const outcome = held && (await this.#attempt(held, lanes, dead?.has(job.delivery.id)));
    if (held === undefined || outcome === undefined) return undefined;
    const written = this.#writer.write(outcome);
    void written.finally(() => this.#leases.drop(held));
    await written.catch(() => {});
    return outcome;
  }

  /**
   * The same for deliveries that were accepted a while ago: those whose address has died since are suppressed. Where that cannot be asked
   * they are sent. All are held at once
   */
  runDue(jobs: readonly Job[]): void {
    const marked = jobs.filter(({ delivery }) => markedChannels.has(delivery.channel));
    const claimed = { dead: marked.length === 0 ? undefined : this.#deadAmong(marked) };
    for (const job of jobs) void this.run(job, claimed);
  }

  /** Hands back what waits for its turn among some deliveries: it is due for anybody. */
  async release(jobs: readonly Job[]): Promise<void> {
    await this.#handBack(jobs, 0);
  }

  /** Says that what is held is still ours. @throws what the store throws */
  renew(): Promise<void> {
    return this.#leases.renew();
  }

  /**
   * Hands back everything that waits, and lets what is under way end.
   * @param withinMs what has not ended by then is aborted; its outcome is written as of any transient failure
   */
  async stop(withinMs: number): Promise<void> {
    this.#isStopping = true;
    const cancel = this.#ambient.clock.after(withinMs, () => this.#abort.abort());
    await this.release(this.#leases.jobs).catch((error: unknown) =>
      this.#observer.failed('release leases', error),
    );
    await this.#leases.stop();
    cancel();
  }

  /** Asks one lane after the other. @returns undefined where it was handed back */
  async #attempt(held: Held, lanes: readonly Lane[], isDead = false): Promise<Outcome | undefined> {
    const { job } = held;
    const { notification, delivery } = job;
    const results: AttemptResult[] = [];
    let verdict: Outcome | undefined;
    let putOffMs: number | undefined;
    const wish: Wish = {
      isOnlyWay: lanes.length === 1,
      putOff: (afterMs) => {
        putOffMs = afterMs;
      },
      // one that has failed already waits for no other provider when we stop
      isWanted: () => this.#leases.holds(held) && !(this.#isStopping && held.isUnderWay),
      mayBegin: async () => {
        if (!(await this.#leases.confirm(held)) || !wish.isWanted()) return false;
        if (results.length > 0 && !(await this.#leases.isStillWanted(held))) return false;
        verdict = this.#verdictOf(job, results, isDead);
        return verdict === undefined;
      },
      begins: (provider) => {
        held.isUnderWay = true;
        const before = results.at(-1);
        if (before !== undefined) this.#tell(job, before, 'pending', provider);
      },
    };
    for (const lane of lanes) {
      const result = await lane.attempt(notification, delivery, wish, this.#abort.signal);
      if (result !== undefined) results.push(result);
      const isDecided = result !== undefined && result.failure?.retryable !== true;
      if (isDecided || verdict !== undefined || !wish.isWanted()) break;
    }
    const last = results.at(-1);
    if (last === undefined) {
      if (!wish.isWanted()) return undefined;
      // no provider is needed to see that it has expired
      verdict ??= this.#verdictOf(job, results, isDead);
      if (verdict === undefined && putOffMs !== undefined) this.#refusals.add(job, putOffMs);
      else if (verdict === undefined) this.#refuse(job, lanes);
      return verdict;
    }
    await this.#forgetDevice(job, last);
    await this.#markDead(job, last);
    const outcome = verdict ?? this.#outcomeOf(job, results, lanes);
    this.#tell(job, last, outcome.status === 'suppressed' ? 'failed' : outcome.status);
    return outcome;
  }

  #verdictOf(job: Job, results: readonly AttemptResult[], isDead: boolean): Outcome | undefined {
    const { crashLimit } = this.#settings;
    return verdictOf(job, results, { crashLimit, isDead }, this.#ambient.clock.now());
  }

  #outcomeOf(job: Job, results: readonly AttemptResult[], lanes: readonly Lane[]): Outcome {
    const ambient = this.#ambient;
    const { retry } = this.#settings;
    const nowMs = ambient.clock.now();
    const random = () => ambient.random();
    // nobody asks how long the others were down where one has taken it
    if (results.at(-1)?.failure === undefined) return outcomeOf(job, results, retry, nowMs, random);
    return outcomeOf(job, results, retry, nowMs, random, {
      providers: lanes.length,
      downMs: commonMs(lanes.map((lane) => lane.downSince(Number(job.delivery.firstDueAtMs)))),
      probeAtMs: nextProbe(lanes),
    });
  }

  /** @param next the provider that is asked now, since this one failed */
  #tell({ notification, delivery }: Job, result: AttemptResult, status: DeliveryStatus, next?: string): void {
    const { provider, durationMs, failure } = result;
    this.#observer.attempted({
      tenantId: notification.tenantId,
      userId: notification.userId,
      deliveryId: delivery.id,
      isRetry: delivery.attempts > 0,
      channel: delivery.channel,
      provider,
      status,
      next,
      durationMs,
      error: failure?.cause,
    });
  }

  /** Its push service does not know the device any more: the next notification does not try it. */
  async #forgetDevice(
    { notification, delivery }: Job,
    { failure, startedAtMs }: AttemptResult,
  ): Promise<void> {
    if (failure === undefined || !deadDestination.has(failure.code)) return;
    const dead = { token: delivery.destination, triedAtMs: BigInt(startedAtMs) };
    await this.#outbox
      .removeDevice(notification, dead)
      .catch((error: unknown) => this.#observer.failed('forget a dead device', error));
  }

  /** Nobody is reached there any more: the next notification is not sent there. */
  async #markDead({ notification, delivery }: Job, { failure, startedAtMs }: AttemptResult): Promise<void> {
    const { channel, destination: address } = delivery;
    if (failure?.code !== codes.destinationGone || !markedChannels.has(channel)) return;
    const dead = { tenantId: notification.tenantId, channel, address, reason: deadReason };
    await this.#outbox
      .markAddressesDead([{ ...dead, atMs: BigInt(startedAtMs) }])
      .catch((error: unknown) => this.#observer.failed('mark a dead address', error));
  }

  async #deadAmong(jobs: readonly Job[]): Promise<ReadonlySet<string>> {
    const addresses = jobs.map(({ notification: { tenantId }, delivery }) => ({
      tenantId,
      channel: delivery.channel,
      address: delivery.destination,
    }));
    try {
      const reasons = await this.#outbox.deadAddresses(addresses);
      return new Set(jobs.filter((_, i) => reasons[i] !== undefined).map(({ delivery }) => delivery.id));
    } catch (error) {
      this.#observer.failed('look for dead addresses', error);
      return new Set();
    }
  }

  /**
   * Hands a delivery back that nobody can be asked to send. Where the channel has another provider, for other destinations, more of
   * the channel goes on being claimed: what is refused comes back when its own is probed.
   */
  #refuse(job: Job, lanes: readonly Lane[]): void {
    const ofChannel = this.#lanes.get(job.delivery.channel) ?? lanes;
    // one of its own that is up again takes it at once
    const probeAtMs = ofChannel.some((lane) => lane.places > 0) ? nextProbe(lanes) : undefined;
    const { pauseMs } = this.#settings.circuit;
    const probeInMs = probeAtMs === undefined ? 0 : probeAtMs - this.#ambient.clock.now();
    this.#refusals.add(job, probeAtMs === undefined ? 0 : Math.max(pauseMs, probeInMs));
  }

  async #handBack(jobs: readonly Job[], afterMs: number): Promise<void> {
    if ((await this.#leases.release(jobs, afterMs)) && afterMs === 0) this.#observer.handedBack();
  }
}

/** When the first of them is probed; undefined while one of them is up. */
function nextProbe(lanes: readonly Lane[]): number | undefined {
  let next = Number.POSITIVE_INFINITY;
  for (const { probeAtMs } of lanes) {
    if (probeAtMs === undefined) return undefined;
    next = Math.min(next, probeAtMs);
  }
  return next;
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);
