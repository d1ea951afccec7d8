import type { Notification } from '../../../src/core/glossary.ts';
import type { CreateOutcome, NewNotification } from '../../../src/core/store.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { isSendable, isVisible, itemDueAtMs, newDelivery } from '../deliveries.ts';
import { plainArray, textArray } from './arrays.ts';
import { countItemsIn, type Incoming, lockUsers } from './counters.ts';
import type { Database } from './database.ts';
import type { CreateCall, Draft } from './drafts.ts';
import { publicFailure, troubleOf } from './errors.ts';
import { expireLocked } from './expiry.ts';
import { heldUsers } from './held-users.ts';
import { insertItems } from './insert-items.ts';
import { countersOf } from './item-keys.ts';
import { answerRepeats } from './repeats.ts';
import { type Counters, isExpiryDue } from './rows.ts';
import type { Statement, Transaction } from './statement.ts';

const insertDeliveries: Statement = {
  name: 'create_deliveries',
  text: `
INSERT INTO notify.deliveries (tenant_id, id, user_id, item_id, ordinal, channel, destination, provider, status, reason,
  created_at_ms, due_at_ms, first_due_at_ms, lease_token, updated_at_ms)
SELECT g.*, g.created_at_ms
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::uuid[]) AS g (tenant_id, id, user_id, item_id, ordinal, channel,
  destination, provider, status, reason, created_at_ms, due_at_ms, first_due_at_ms, lease_token)`,
};

/**
 * Stores the rows of some calls in one transaction; where a row does not fit, the calls are stored one by one, and the rows
 * of that call by halves, until it stands alone. Rows of users whom somebody else keeps locked fail without the rest.
 * @returns the outcomes of each call
 */
export async function createCalls(
  db: Database,
  calls: readonly CreateCall[],
  now: () => number,
): Promise<CreateOutcome[][]> {
  let outcomes: CreateOutcome[];
  try {
    outcomes = await createDrafts(db, calls, now);
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble === 'lock') return createFree(db, calls, now, error);
    if (trouble !== 'row') throw error;
    const [only] = calls;
    if (only !== undefined && calls.length === 1) return [await createHalves(db, only, now, error)];
    const results: CreateOutcome[][] = [];
    for (const call of calls) results.push(...(await createCalls(db, [call], now)));
    return results;
  }
  let to = 0;
  return calls.map(({ rows }) => {
    const from = to;
    to += rows.length;
    return outcomes.slice(from, to);
  });
}

const drafts = ({ rows, lease }: CreateCall, nowMs: number): Draft[] =>
  rows.map((row) => {
    if (row.appearsAtMs !== 0n) return { row, lease: undefined, dueAtMs: row.appearsAtMs };
    return { row, lease, dueAtMs: BigInt(nowMs + (lease?.durationMs ?? 0)) };
  });

async function createHalves(
  db: Database,
  { rows, lease }: CreateCall,
  now: () => number,
  error: unknown,
): Promise<CreateOutcome[]> {
  if (rows.length === 1) return [{ error: publicFailure(error) }];
  const middle = Math.ceil(rows.length / 2);
  const outcomes: CreateOutcome[] = [];
  for (const half of [rows.slice(0, middle), rows.slice(middle)])
    outcomes.push(...((await createCalls(db, [{ rows: half, lease }], now))[0] ?? []));
  return outcomes;
}

/**
 * Stores what of some calls is not kept from it by another transaction, after a wait for that was in vain.
 * @returns the outcomes of each call, in which the others' rows are refused
 */
async function createFree(
  db: Database,
  calls: readonly CreateCall[],
  now: () => number,
  error: unknown,
): Promise<CreateOutcome[][]> {
  const held = await heldUsers(
    db,
    calls.flatMap(({ rows }) => rows),
  );
  const isHeld = (row: NewNotification) => held.has(userKey(row));
  const free = calls.map(({ rows, lease }) => ({ rows: rows.filter((row) => !isHeld(row)), lease }));
  // nobody is held any more, or everybody is: what was tried failed
  if (held.size === 0 || free.every(({ rows }) => rows.length === 0)) throw error;
  const outcomes = await createCalls(db, free, now);
  return calls.map(({ rows }, i) => {
    let next = 0;
    return rows.map((row) => {
      if (isHeld(row)) return { error: publicFailure(error) };
      return outcomes[i]?.[next++] ?? { error: publicFailure(error) };
    });
  });
}

/**
 * In-app alone, which most batches are, is committed together with its only statement. Repeats are answered after it then, in
 * a transaction of their own.
 */
async function createDrafts(
  db: Database,
  calls: readonly CreateCall[],
  now: () => number,
): Promise<CreateOutcome[]> {
  let batch: Draft[] = [];
  let nowMs = 0;
  const outcomes = await db.transaction((tx) => {
    nowMs = now();
    batch = calls.flatMap((call) => drafts(call, nowMs));
    return createRows(tx, batch, nowMs);
  });
  if (!outcomes.includes(undefined)) return outcomes as CreateOutcome[];
  await db.transaction(async (tx) => {
    const users = await lockUsers(
      tx,
      batch.map(({ row }) => row).filter((_, i) => outcomes[i] === undefined),
      'skip',
    );
    await answerRepeats(tx, batch, outcomes, users, nowMs);
  });
  // what is still without an answer was erased between the two, and is new now
  const erased = batch.filter((_, i) => outcomes[i] === undefined);
  const again = erased.map(({ row, lease }) => ({ rows: [row], lease }));
  const anew = again.length > 0 ? await createDrafts(db, again, now) : [];
  return outcomes.map((outcome) => outcome ?? anew.shift()) as CreateOutcome[];
}

/** @returns undefined for a repeat that is still to be answered */
async function createRows(
  tx: Transaction,
  batch: readonly Draft[],
  nowMs: number,
): Promise<(CreateOutcome | undefined)[]> {
  const rows = batch.map(({ row }) => row);
  const firsts = firstOfEachKey(rows);
  const incoming = countIncoming(rows, firsts);
  let users = await countItemsIn(tx, rows, incoming);
  if (rows.some((row) => isExpiryDue(countersOf(users, row), nowMs))) {
    await tx.restart();
    for (const [key, counters] of await lockUsers(tx, rows, 'add')) {
      const owner = rows.find((row) => userKey(row) === key);
      if (owner) await expireLocked(tx, owner, counters, nowMs);
    }
    users = await countItemsIn(tx, rows, incoming);
  }
  const isLast = rows.every(isInAppOnly);
  const steps = await insertItems(isLast ? tx.last.bind(tx) : tx.run.bind(tx), rows, firsts, users);
  const outcomes = batch.map((draft, i) => {
    const step = steps.get(i);
    return step === undefined ? undefined : created(draft, step, countersOf(users, draft.row));
  });
  if (isLast) return outcomes;
  const added = batch.filter((_, i) => steps.has(i));
  await insertOthers(tx, added);
  if (added.length < rows.length) await answerRepeats(tx, batch, outcomes, users, nowMs);
  return outcomes;
}

/** @returns what comes into each inbox, if all of it is new */
function countIncoming(rows: readonly NewNotification[], firsts: readonly number[]): Map<string, Incoming> {
  const incoming = new Map<string, Incoming>();
  for (const i of firsts) {
    const row = rows[i];
    if (row === undefined || !isVisible(row)) continue;
    const key = userKey(row);
    let item = incoming.get(key);
    if (item === undefined) {
      item = { visible: 0, inApp: 0, nextExpiryMs: undefined };
      incoming.set(key, item);
    }
    item.visible++;
    if (!row.deliveries.some(({ channel }) => channel === 'in_app')) continue;
    item.inApp++;
    const { expiresAtMs } = row.content;
    if (expiresAtMs !== 0n && (item.nextExpiryMs === undefined || expiresAtMs < item.nextExpiryMs))
      item.nextExpiryMs = expiresAtMs;
  }
  return incoming;
}

const isInAppOnly = ({ deliveries }: NewNotification): boolean =>
  deliveries.every(({ channel }) => channel === 'in_app');

/** The indexes of the rows whose key no earlier row of the batch has. */
function firstOfEachKey(rows: readonly NewNotification[]): number[] {
  if (rows.length === 1) return [0];
  const seen = new Set<string>();
  const firsts: number[] = [];
  rows.forEach((row, i) => {
    const user = userKey(row);
    const key = `${user.length}:${user}${row.content.notificationId}`;
    if (seen.has(key)) return;
    seen.add(key);
    firsts.push(i);
  });
  return firsts;
}

/** Stores the deliveries on other channels than in-app. */
async function insertOthers(tx: Transaction, drafts: readonly Draft[]): Promise<void> {
  const others = drafts.flatMap(({ row, lease, dueAtMs }) => {
    const inApp = row.deliveries.findIndex(({ channel }) => channel === 'in_app');
    return row.deliveries
      .map((delivery, ordinal) => ({ row, lease, ordinal, delivery: newDelivery(delivery, row, dueAtMs) }))
      .filter(({ ordinal }) => ordinal !== inApp);
  });
  if (others.length === 0) return;
  await tx.run(insertDeliveries, [
    textArray(others.map(({ row }) => row.tenantId)),
    plainArray(others.map(({ delivery }) => delivery.id)),
    textArray(others.map(({ row }) => row.userId)),
    plainArray(others.map(({ row }) => row.id)),
    plainArray(others.map(({ ordinal }) => ordinal)),
    textArray(others.map(({ delivery }) => delivery.channel)),
    textArray(others.map(({ delivery }) => delivery.destination)),
    textArray(others.map(({ delivery }) => delivery.provider)),
    textArray(others.map(({ delivery }) => delivery.status)),
    textArray(others.map(({ delivery }) => delivery.reason)),
    plainArray(others.map(({ row }) => row.createdAtMs)),
    plainArray(others.map(({ delivery }) => delivery.dueAtMs || undefined)),
    plainArray(others.map(({ delivery }) => delivery.firstDueAtMs || undefined)),
    plainArray(others.map(({ delivery, lease }) => (isSendable(delivery) ? lease?.token : undefined))),
  ]);
}

function created({ row, lease, dueAtMs }: Draft, step: number, before: Counters): CreateOutcome {
  const deliveries = row.deliveries.map((delivery) => newDelivery(delivery, row, dueAtMs));
  const notification: Notification = {
    ...row.content,
    tenantId: row.tenantId,
    userId: row.userId,
    id: row.id,
    position: isVisible(row) ? before.newestPosition + step : 0,
    createdAtMs: row.createdAtMs,
    readAtMs: 0n,
    archivedAtMs: 0n,
    snoozedUntilMs: 0n,
    seen: false,
    deliveries,
  };
  const attempt = lease === undefined ? [] : deliveries.filter(isSendable).map(({ id }) => id);
  const appearsAtMs = row.appearsAtMs === 0n ? 0n : itemDueAtMs(row);
  return { notification, created: true, attempt, appearsAtMs, version: before.version + step };
}
