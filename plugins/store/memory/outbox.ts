import type { Attempt, Channel, Delivery } from '../../../src/core/glossary.ts';
import type { Claim, DeliveryRef, Outcome } from '../../../src/core/outbox.ts';
import type { KeptReceipt } from '../../../src/core/receipts/receipt.ts';
import type { Loss } from '../losses.ts';
import { DueTimes } from './due.ts';

/** What the outbox knows of a delivery beside what its notification shows. */
interface Entry extends DeliveryRef {
  readonly channel: Channel;
  dueAtMs: bigint;
  leaseToken: string | undefined;
  crashes: number;
  /** When its last outcome was written. */
  settledAtMs: bigint;
  readonly log: Attempt[];
  readonly receipts: KeptReceipt[];
  /** Said under the present lease, and waiting for its outcome. */
  losses: readonly Loss[];
}

/** Those that crashed their holder twice are leased one at a time. */
const suspectAfter = 2;

/** The deliveries of the memory store that providers send: who holds them, and when they are due. */
export class MemoryOutbox {
  readonly #entries = new Map<string, Entry>();
  /** By channel and tenant, so that each tenant gets its share; the one that was given something the longest ago is the first. */
  readonly #due = new Map<Channel, Map<string, DueTimes<Entry>>>();

  /** Takes a delivery in, or notes its new due time and who holds it until then. */
  put(of: Omit<DeliveryRef, 'deliveryId'>, delivery: Delivery, leaseToken: string | undefined): void {
    let entry = this.#entries.get(delivery.id);
    if (entry === undefined) {
      const { tenantId, userId, id } = of;
      const { channel } = delivery;
      entry = {
        tenantId,
        userId,
        id,
        deliveryId: delivery.id,
        channel,
        dueAtMs: 0n,
        leaseToken,
        crashes: 0,
        settledAtMs: 0n,
        log: [],
        receipts: [],
        losses: [],
      };
      this.#entries.set(delivery.id, entry);
    }
    entry.leaseToken = leaseToken;
    this.#setDue(entry, delivery.dueAtMs);
  }

  /** Forgets a delivery whose notification has been dropped. */
  drop(deliveryId: string): void {
    const entry = this.#entries.get(deliveryId);
    if (entry === undefined) return;
    this.#setDue(entry, 0n);
    this.#entries.delete(deliveryId);
  }

  find(deliveryId: string): DeliveryRef | undefined {
    return this.#entries.get(deliveryId);
  }

  log(deliveryId: string): readonly Attempt[] {
    return [...(this.#entries.get(deliveryId)?.log ?? [])];
  }

  receipts(deliveryId: string): readonly KeptReceipt[] {
    return [...(this.#entries.get(deliveryId)?.receipts ?? [])];
  }

  /** What waits for the outcome of the present lease. */
  losses(deliveryId: string): readonly Loss[] {
    return this.#entries.get(deliveryId)?.losses ?? [];
  }

  isLeased(deliveryId: string): boolean {
    return this.#entries.get(deliveryId)?.leaseToken !== undefined;
  }

  /** Whether a token may say what became of a delivery. */
  mayWrite({ deliveryId, leaseToken }: Pick<Outcome, 'deliveryId' | 'leaseToken'>): boolean {
    return leaseToken === undefined || this.#entries.get(deliveryId)?.leaseToken === leaseToken;
  }

  /** An outcome ends the lease. */
  settle(delivery: Delivery, attempts: readonly Attempt[] = [], atMs = 0n): void {
    const entry = this.#entries.get(delivery.id);
    if (entry === undefined) return;
    entry.log.push(...attempts);
    entry.crashes = 0;
    entry.leaseToken = undefined;
    entry.losses = [];
    entry.settledAtMs = atMs;
    this.#setDue(entry, delivery.dueAtMs);
  }

  /**
   * A receipt took a delivery out of the outbox; a lease stays with its holder, who still has an outcome to tell.
   * @param moved whether it gave the delivery its status
   */
  receive(delivery: Delivery, receipt: KeptReceipt, moved: boolean): void {
    const entry = this.#entries.get(delivery.id);
    if (entry === undefined) return;
    keep(entry, receipt);
    if (moved) entry.settledAtMs = receipt.atMs;
    this.#setDue(entry, delivery.dueAtMs);
  }

  /** A receipt of a loss waits for the outcome of the present lease. */
  withhold(deliveryId: string, receipt: KeptReceipt): void {
    const entry = this.#entries.get(deliveryId);
    if (entry === undefined) return;
    keep(entry, receipt);
    entry.losses = [...entry.losses, receipt];
  }

  /** When its last outcome was written; 0n: there is none. */
  settledAtMs(deliveryId: string): bigint {
    return this.#entries.get(deliveryId)?.settledAtMs ?? 0n;
  }

  /** Leases what is due, see Outbox.claimDeliveries. @returns with the crashes so far; and what is due next */
  claim(
    { lease, room, suspect, takeOver }: Claim,
    nowMs: number,
  ): { claimed: readonly (DeliveryRef & { crashes: number })[]; nextDueInMs: number | undefined } {
    const claimed: Entry[] = [];
    const leaseEndMs = BigInt(nowMs + lease.durationMs);
    let mayTakeSuspect = suspect;
    for (const [channel, places] of room) {
      let left = places;
      const ofChannel = this.#due.get(channel) ?? new Map<string, DueTimes<Entry>>();
      // one of each tenant in turn
      for (let found = true; found && left > 0; ) {
        found = false;
        for (const [tenantId, due] of [...ofChannel]) {
          const entry = left > 0 ? takeable(due, nowMs, takeOver) : undefined;
          if (entry === undefined) continue;
          found = true;
          const crashes = entry.crashes + (entry.leaseToken === undefined ? 0 : 1);
          if (crashes >= suspectAfter && !mayTakeSuspect) {
            // looked at again a moment later: it would stand in the way of all others
            this.#setDue(entry, BigInt(nowMs + 1));
            continue;
          }
          if (crashes >= suspectAfter) mayTakeSuspect = false;
          entry.crashes = crashes;
          entry.leaseToken = lease.token;
          entry.losses = [];
          this.#setDue(entry, leaseEndMs);
          ofChannel.delete(tenantId);
          ofChannel.set(tenantId, due);
          claimed.push(entry);
          left -= 1;
        }
      }
    }
    const next = this.#nextDue(room, BigInt(nowMs));
    return { claimed, nextDueInMs: next === 0n ? undefined : Number(next) - nowMs };
  }

  /** Moves a lease's end. @returns whether the token still holds it, and there is something left to attempt */
  extend(token: string, deliveryId: string, dueAtMs: bigint): boolean {
    const entry = this.#entries.get(deliveryId);
    if (entry?.leaseToken !== token || entry.dueAtMs === 0n) return false;
    this.#setDue(entry, dueAtMs);
    return true;
  }

  /** Makes a held delivery anybody's. */
  free(deliveryId: string): void {
    const entry = this.#entries.get(deliveryId);
    if (entry !== undefined) entry.leaseToken = undefined;
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
    this.#due.clear();
  }

  #setDue(entry: Entry, dueAtMs: bigint): void {
    if (entry.dueAtMs === dueAtMs) return;
    entry.dueAtMs = dueAtMs;
    const ofChannel = this.#due.get(entry.channel) ?? new Map<string, DueTimes<Entry>>();
    this.#due.set(entry.channel, ofChannel);
    const due = ofChannel.get(entry.tenantId) ?? new DueTimes<Entry>();
    ofChannel.set(entry.tenantId, due);
    due.set(entry.deliveryId, entry, dueAtMs);
    if (due.size === 0) ofChannel.delete(entry.tenantId);
  }

  #nextDue(room: ReadonlyMap<Channel, number>, nowMs: bigint): bigint {
    let next = 0n;
    for (const channel of room.keys())
      for (const due of this.#due.get(channel)?.values() ?? []) {
        const at = due.first()?.dueAtMs ?? 0n;
        if (at > nowMs && (next === 0n || at < next)) next = at;
      }
    return next;
  }
}

/** Adds a receipt to the log, without what its delivery is known by. */
function keep(
  entry: Entry,
  { atMs, provider, providerMessageId = '', kind, reason, detail }: KeptReceipt,
): void {
  const id = providerMessageId === '' ? {} : { providerMessageId };
  entry.receipts.push({ atMs, provider, ...id, kind, reason, detail });
}

/** The first that is due and not somebody's, or no longer. */
function takeable(due: DueTimes<Entry>, nowMs: number, takeOver: boolean): Entry | undefined {
  const first = due.first();
  if (first === undefined || first.dueAtMs > nowMs) return undefined;
  return takeOver || first.item.leaseToken === undefined ? first.item : undefined;
}
