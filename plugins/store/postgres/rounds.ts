import type { DeliveryRef } from '../../../src/core/outbox.ts';

/** What names a delivery's row. */
type Named = Pick<DeliveryRef, 'tenantId' | 'id' | 'deliveryId'>;

/**
 * Several changes of one delivery are written one after the other: the first of each, then the second of each. Within a round rows
 * are met in the order of their keys, so that no two calls wait for each other.
 */
export function inRounds<T extends Named>(changes: readonly T[]): T[][] {
  const counts = new Map<string, number>();
  const rounds: T[][] = [];
  for (const change of changes) {
    const round = counts.get(change.deliveryId) ?? 0;
    counts.set(change.deliveryId, round + 1);
    rounds[round] ??= [];
    rounds[round].push(change);
  }
  for (const round of rounds) round.sort(byKey);
  return rounds;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byKey = (a: Named, b: Named): number =>
  compare(a.tenantId, b.tenantId) || compare(a.id, b.id) || compare(a.deliveryId, b.deliveryId);
