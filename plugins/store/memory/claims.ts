import type { Claim, Claimed, DeliveryRef, Lease } from '../../../src/core/outbox.ts';
import type { Tables } from './tables.ts';

/** Leases what is due, see Outbox.claimDeliveries. */
export function claimDeliveries({ clock, inboxes, outbox }: Tables, claim: Claim): Claimed {
  const { claimed, nextDueInMs } = outbox.claim(claim, clock.now());
  const deliveries = claimed.flatMap(({ crashes, ...ref }) => {
    const inbox = inboxes.get(ref);
    const row = inbox?.row(ref.id);
    if (inbox === undefined || row === undefined) return [];
    return [{ notification: inbox.show(row), deliveryId: ref.deliveryId, crashes }];
  });
  return { deliveries, nextDueInMs };
}

/** See Outbox.renewLeases. */
export function renewLeases(
  { clock, outbox }: Tables,
  lease: Lease,
  held: readonly DeliveryRef[],
): boolean[] {
  const until = BigInt(clock.now() + lease.durationMs);
  return held.map(({ deliveryId }) => outbox.extend(lease.token, deliveryId, until));
}

/** See Outbox.releaseLeases. */
export function releaseLeases(
  { clock, outbox }: Tables,
  token: string,
  held: readonly DeliveryRef[],
  afterMs: number,
): void {
  const dueAtMs = BigInt(clock.now() + afterMs);
  for (const { deliveryId } of held) outbox.release(token, deliveryId, dueAtMs);
}
