import type { Claim, Claimed, DeliveryRef, Lease } from '../../../src/core/outbox.ts';
import { lostBy } from '../deliveries.ts';
import { changeDelivery } from './row-deliveries.ts';
import type { Tables } from './tables.ts';

/** Leases what is due, see Outbox.claimDeliveries. */
export function claimDeliveries(tables: Tables, claim: Claim): Claimed {
  const nowMs = tables.clock.now();
  const leasedUntilMs = BigInt(nowMs + claim.lease.durationMs);
  const { claimed, nextDueInMs } = tables.outbox.claim(claim, nowMs);
  const deliveries = claimed.flatMap(({ crashes, ...ref }) => {
    const inbox = tables.inboxes.get(ref);
    const row = inbox?.row(ref.id);
    if (inbox === undefined || row === undefined) return [];
    const notification = inbox.show(row);
    changeDelivery(tables, ref, { dueAtMs: leasedUntilMs });
    return [{ notification, deliveryId: ref.deliveryId, crashes }];
  });
  return { deliveries, nextDueInMs };
}

/** See Outbox.renewLeases. */
export function renewLeases(
  tables: Tables,
  lease: Lease,
  held: readonly DeliveryRef[],
  { goingOn }: { readonly goingOn: boolean },
): boolean[] {
  const { clock, outbox } = tables;
  const dueAtMs = BigInt(clock.now() + lease.durationMs);
  return held.map((ref) => {
    if (!outbox.extend(lease.token, ref.deliveryId, dueAtMs)) return false;
    changeDelivery(tables, ref, { dueAtMs });
    return !(goingOn && outbox.losses(ref.deliveryId).length > 0);
  });
}

/** See Outbox.releaseLeases. */
export function releaseLeases(
  tables: Tables,
  token: string,
  held: readonly DeliveryRef[],
  afterMs: number,
): void {
  const { clock, outbox } = tables;
  const nowMs = BigInt(clock.now());
  const dueAtMs = nowMs + BigInt(afterMs);
  for (const ref of held) {
    if (!outbox.extend(token, ref.deliveryId, dueAtMs)) continue;
    const [loss] = outbox.losses(ref.deliveryId);
    const released = changeDelivery(tables, ref, loss === undefined ? { dueAtMs } : lostBy(loss));
    if (released !== undefined && loss !== undefined) outbox.settle(released, [], nowMs);
    else outbox.free(ref.deliveryId);
  }
}
