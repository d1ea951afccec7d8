import type { Delivery, Notification } from '../../../src/core/glossary.ts';
import type { CreateOutcome } from '../../../src/core/store.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { adoptDestinations, isSendable } from '../deliveries.ts';
import { plainArray, textArray } from './arrays.ts';
import type { Draft } from './drafts.ts';
import { byKey } from './key-lookup.ts';
import { type Counters, type Item, itemJson, toNotification } from './rows.ts';
import type { Row, Statement, Transaction } from './statement.ts';

const byKeys: Statement = {
  name: 'by_keys',
  text: `
SELECT k.ord, n.*
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (tenant_id, user_id, notification_id, ord)
CROSS JOIN LATERAL (
  ${byKey('k', `${itemJson} AS item, n.deleted_at_ms, n.due_at_ms`)}
) n`,
};

/** A delivery that has moved on meanwhile takes nothing. */
const adopt: Statement = {
  name: 'adopt',
  text: `
UPDATE notify.deliveries d
SET destination = k.destination, provider = k.provider, reason = k.reason, due_at_ms = k.due_at_ms,
  first_due_at_ms = k.first_due_at_ms, lease_token = k.lease_token, updated_at_ms = $10
FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::uuid[])
  AS k (tenant_id, item_id, id, destination, provider, reason, due_at_ms, first_due_at_ms, lease_token)
WHERE d.tenant_id = k.tenant_id AND d.item_id = k.item_id AND d.id = k.id AND d.status = 'pending' AND d.reason = 'no_destination'
RETURNING d.id`,
};

/** A delivery with the destination that it took. */
interface Adopted {
  readonly tenantId: string;
  readonly itemId: string;
  readonly delivery: Delivery;
  readonly leaseToken: string | undefined;
}

/** Fills in the outcomes that are still missing: those of rows that are stored already. */
export async function answerRepeats(
  tx: Transaction,
  batch: readonly Draft[],
  outcomes: (CreateOutcome | undefined)[],
  users: ReadonlyMap<string, Counters>,
  nowMs: number,
): Promise<void> {
  const repeats = batch.flatMap((draft, i) => (outcomes[i] === undefined ? [{ ...draft, i }] : []));
  const found = await tx.run(byKeys, [
    textArray(repeats.map(({ row }) => row.tenantId)),
    textArray(repeats.map(({ row }) => row.userId)),
    textArray(repeats.map(({ row }) => row.content.notificationId)),
  ]);
  /** By notification, so that what one repeat brings is there for the next. */
  const current = new Map<string, Notification>();
  const adopted = new Map<string, Adopted>();
  for (const stored of found) {
    const repeat = repeats[Number(stored.ord) - 1];
    if (repeat === undefined) continue;
    const { row, i, lease } = repeat;
    const seenPosition = users.get(userKey(row))?.seenPosition ?? 0;
    const item = JSON.parse(stored.item ?? '') as Item;
    const known = current.get(item[0]) ?? toNotification(row, item, seenPosition);
    const appearsAtMs = appearanceOf(stored, known);
    const dueAtMs = appearsAtMs === 0n ? repeat.dueAtMs : appearsAtMs;
    const deliveries = mayAdopt(stored, known, nowMs)
      ? adoptDestinations(known.deliveries, row.deliveries, {
          dueAtMs,
          firstDueAtMs: appearsAtMs === 0n ? BigInt(nowMs) : appearsAtMs,
        })
      : known.deliveries;
    const taken = deliveries.filter((delivery, at) => delivery !== known.deliveries[at]);
    const notification = taken.length > 0 ? { ...known, deliveries } : known;
    const leaseToken = appearsAtMs === 0n ? lease?.token : undefined;
    for (const delivery of taken)
      adopted.set(delivery.id, { delivery, itemId: known.id, tenantId: row.tenantId, leaseToken });
    current.set(known.id, notification);
    outcomes[i] = {
      notification,
      created: false,
      attempt: leaseToken === undefined ? [] : taken.filter(isSendable).map(({ id }) => id),
      appearsAtMs,
      version: 0,
    };
  }
  if (adopted.size === 0) return;
  const stored = await storeAdopted(tx, [...adopted.values()], nowMs);
  for (const { i } of repeats) {
    const outcome = outcomes[i];
    if (outcome !== undefined && 'attempt' in outcome)
      outcomes[i] = { ...outcome, attempt: outcome.attempt.filter((id) => stored.has(id)) };
  }
}

/** Nothing is sent any more for an item that was deleted or has expired. */
const mayAdopt = (stored: Row, { expiresAtMs }: Notification, nowMs: number): boolean =>
  stored.deleted_at_ms == null && (expiresAtMs === 0n || expiresAtMs > nowMs);

/** When an item that was stored for later appears; 0n: it has, or never will. */
const appearanceOf = (stored: Row, { position, snoozedUntilMs }: Notification): bigint =>
  position === 0 && snoozedUntilMs === 0n && stored.due_at_ms != null ? BigInt(stored.due_at_ms) : 0n;

/** @returns the ids of those that still waited for a destination */
async function storeAdopted(
  tx: Transaction,
  adopted: readonly Adopted[],
  nowMs: number,
): Promise<Set<string | null | undefined>> {
  const rows = await tx.run(adopt, [
    textArray(adopted.map(({ tenantId }) => tenantId)),
    plainArray(adopted.map(({ itemId }) => itemId)),
    plainArray(adopted.map(({ delivery }) => delivery.id)),
    textArray(adopted.map(({ delivery }) => delivery.destination)),
    textArray(adopted.map(({ delivery }) => delivery.provider)),
    textArray(adopted.map(({ delivery }) => delivery.reason)),
    plainArray(adopted.map(({ delivery }) => delivery.dueAtMs || undefined)),
    plainArray(adopted.map(({ delivery }) => delivery.firstDueAtMs || undefined)),
    plainArray(adopted.map(({ leaseToken, delivery }) => (isSendable(delivery) ? leaseToken : undefined))),
    nowMs,
  ]);
  return new Set(rows.map(({ id }) => id));
}
