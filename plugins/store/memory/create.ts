import type { NotifyError } from '../../../src/core/errors.ts';
import type { Delivery, EpochMs } from '../../../src/core/glossary.ts';
import type { Lease } from '../../../src/core/outbox.ts';
import type { CreateOutcome, NewNotification } from '../../../src/core/store.ts';
import { adoptDestinations, isSendable } from '../deliveries.ts';
import { estimateDestinationBytes, estimateRowBytes, inboxBytes } from './estimate.ts';
import { expireItems } from './expiry.ts';
import { inboxFull, storeFull } from './full.ts';
import type { Row } from './row.ts';
import type { Tables } from './tables.ts';
import type { UserInbox } from './user-inbox.ts';

/**
 * Stores a row whose key is new, or answers what is stored, see Store.createNotifications.
 * @param rowsPerUser a user's limit
 */
export function createRow(
  tables: Tables,
  row: NewNotification,
  lease: Lease | undefined,
  rowsPerUser: number,
): CreateOutcome {
  const nowMs = tables.clock.now();
  const leaseEndMs = BigInt(nowMs + (lease?.durationMs ?? 0));
  let inbox = tables.inboxes.get(row);
  if (inbox !== undefined) expireItems(inbox, nowMs);
  const stored = inbox?.stored(row.content.notificationId);
  if (inbox !== undefined && stored !== undefined) {
    const adopted = adopt(inbox, stored, row, nowMs, leaseEndMs);
    const attempt = hand(tables, stored, adopted, stored.isScheduled ? undefined : lease);
    const { appearsAtMs } = stored;
    return { notification: inbox.show(stored), created: false, attempt, appearsAtMs, version: 0 };
  }
  const bytes = estimateRowBytes(row);
  const error = makeRoom(tables, inbox, bytes, rowsPerUser);
  if (error !== undefined) return { error };
  inbox ??= tables.newInbox(row);
  const added = inbox.add(row, tables.nextSequence(), bytes, row.appearsAtMs || leaseEndMs);
  if (added.dueAtMs !== 0n) tables.schedule(added);
  const attempt = hand(tables, added, added.deliveries, row.appearsAtMs === 0n ? lease : undefined);
  const { appearsAtMs } = added;
  return { notification: inbox.show(added), created: true, attempt, appearsAtMs, version: inbox.version };
}

/**
 * Gives deliveries that wait for a destination those that a repeat of the call brings.
 * @param dueAtMs of newDelivery, where the item is not for later
 * @returns the deliveries that took one
 */
function adopt(
  inbox: UserInbox,
  row: Row,
  repeat: NewNotification,
  nowMs: number,
  dueAtMs: EpochMs,
): readonly Delivery[] {
  const { expiresAtMs } = row.content;
  if (row.deletedAtMs !== 0n || (expiresAtMs !== 0n && expiresAtMs <= nowMs)) return [];
  const deliveries = adoptDestinations(
    row.deliveries,
    repeat.deliveries,
    row.isScheduled
      ? { dueAtMs: row.dueAtMs, firstDueAtMs: row.dueAtMs }
      : { dueAtMs, firstDueAtMs: BigInt(nowMs) },
  );
  const adopted = deliveries.filter((delivery, i) => delivery !== row.deliveries[i]);
  if (adopted.length === 0) return [];
  inbox.setDeliveries(row, deliveries, false);
  inbox.grow(row, estimateDestinationBytes(adopted));
  return adopted;
}

/** Puts what can be sent into the outbox. @returns what the caller attempts, under its lease */
function hand(
  { outbox }: Tables,
  row: Row,
  deliveries: readonly Delivery[],
  lease: Lease | undefined,
): string[] {
  const attempt: string[] = [];
  for (const delivery of deliveries) {
    if (delivery.channel === 'in_app') continue;
    const leaseToken = isSendable(delivery) ? lease?.token : undefined;
    outbox.put({ ...row.owner, id: row.id }, delivery, leaseToken);
    if (leaseToken !== undefined) attempt.push(delivery.id);
  }
  return attempt;
}

/** Takes the memory for one more row, dropping rows at a limit. @returns why it cannot */
function makeRoom(
  tables: Tables,
  inbox: UserInbox | undefined,
  rowBytes: number,
  rowsPerUser: number,
): NotifyError | undefined {
  const { room } = tables;
  const bytes = inbox === undefined ? inboxBytes + rowBytes : rowBytes;
  if (!room.fits(bytes)) return storeFull(room.limitBytes);
  if (inbox !== undefined && inbox.size >= rowsPerUser) {
    const oldest = inbox.oldestEvictable;
    if (oldest === undefined) return inboxFull(rowsPerUser);
    tables.drop(oldest);
  }
  room.take(bytes);
  return undefined;
}
