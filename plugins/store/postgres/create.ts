import type { Content, Notification } from '../../../src/core/glossary.ts';
import type { CreateOutcome, NewNotification } from '../../../src/core/store.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { isSendable, isVisible, itemDueAtMs, newDelivery } from '../deliveries.ts';
import { plainArray, textArray } from './arrays.ts';
import { lockUsers } from './counters.ts';
import type { Database, Statement, Transaction, Value } from './database.ts';
import type { CreateCall, Draft } from './drafts.ts';
import { publicFailure, troubleOf } from './errors.ts';
import { expireLocked } from './expiry.ts';
import { countersOf } from './item-keys.ts';
import { isStored } from './key-lookup.ts';
import { answerRepeats } from './repeats.ts';
import { actionsText, type Counters, isExpiryDue, usualInAppProvider } from './rows.ts';

/** Columns of the batch's rows, in the order of the parameters. */
const rowColumns = [
  ['id', 'uuid'],
  ['tenant_id', 'text'],
  ['user_id', 'text'],
  // the user's newest position before the batch
  ['base', 'bigint'],
  ['visible', 'boolean'],
  ['created_at_ms', 'bigint'],
  ['in_app_id', 'uuid'],
  ['in_app_status', 'text'],
  ['in_app_reason', 'text'],
  ['in_app_destination', 'text'],
  ['in_app_provider', 'text'],
  ['in_app_ordinal', 'smallint'],
  ['other_deliveries', 'smallint'],
  // an array's text: rows have arrays of different lengths
  ['channels', 'text'],
  ['notification_id', 'text'],
  ['expires_at_ms', 'bigint'],
  ['due_at_ms', 'bigint'],
] as const;

/** Columns that the rows of one call share. */
const contentColumns = [
  'type',
  'subject_ref',
  'subject_type',
  'title',
  'body',
  'urgency',
  'data',
  'action_url',
  'icon_url',
  'actions',
] as const;

const stored = [
  'id',
  'tenant_id',
  'user_id',
  'created_at_ms',
  'in_app_id',
  'in_app_status',
  'in_app_reason',
  'in_app_destination',
  'in_app_provider',
  'in_app_ordinal',
  'other_deliveries',
  'notification_id',
  'expires_at_ms',
  'due_at_ms',
] as const;

/**
 * Stores what is new among rows whose users are locked, gives positions and moves the counters. It runs with a snapshot that
 * is younger than the locks, so it sees whatever was stored under the same keys.
 *
 * Two shapes: where few contents are shared by many rows, each is sent once and picked by its number; where every row has its
 * own, it stands beside the row. (Picking walks the array: a thousand contents by number would cost their square.)
 */
function insertStatement(isShared: boolean): Statement {
  const types = [
    ...rowColumns.map(([, type]) => type),
    ...(isShared ? ['int'] : contentColumns.map(() => 'text')),
  ];
  const names = [...rowColumns.map(([name]) => name), ...(isShared ? ['content'] : contentColumns)];
  const arrays = types.map((type, i) => `$${i + 1}::${type}[]`).join(', ');
  const picked = contentColumns.map((name, i) =>
    isShared ? `($${types.length + 1 + i}::text[])[f.content]` : `f.${name}`,
  );
  return {
    name: isShared ? 'create_shared' : 'create',
    text: `
WITH fresh AS MATERIALIZED (
  SELECT g.*, count(*) FILTER (WHERE g.visible) OVER (PARTITION BY g.tenant_id, g.user_id ORDER BY g.ord) AS step
  FROM unnest(${arrays}) WITH ORDINALITY AS g (${names.join(', ')}, ord)
  WHERE NOT ${isStored('g')}
), inserted AS (
  INSERT INTO notify.notifications (${stored.join(', ')}, channels, position, ${contentColumns.join(', ')})
  SELECT ${stored.map((name) => `f.${name}`).join(', ')}, f.channels::text[],
    CASE WHEN f.visible THEN f.base + f.step ELSE 0 END, ${picked.join(', ')}
  FROM fresh f
), counted AS (
  INSERT INTO notify.users AS u (tenant_id, user_id, newest_position, version, unread, unseen, next_expiry_ms)
  SELECT f.tenant_id, f.user_id, count(*) FILTER (WHERE f.visible), count(*) FILTER (WHERE f.visible),
    count(f.in_app_id) FILTER (WHERE f.visible), count(f.in_app_id) FILTER (WHERE f.visible),
    min(f.expires_at_ms) FILTER (WHERE f.visible AND f.in_app_id IS NOT NULL)
  FROM fresh f GROUP BY f.tenant_id, f.user_id
  ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    newest_position = u.newest_position + excluded.newest_position,
    version = u.version + excluded.version,
    unread = u.unread + excluded.unread,
    unseen = u.unseen + excluded.unseen,
    next_expiry_ms = least(u.next_expiry_ms, excluded.next_expiry_ms)
)
SELECT ord, step FROM fresh`,
  };
}

const insertOwn = insertStatement(false);
const insertShared = insertStatement(true);

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
 * of that call by halves, until it stands alone.
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
    if (troubleOf(error) !== 'row') throw error;
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
  if (outcomes.includes(undefined))
    await db.transaction(async (tx) => {
      const users = await lockUsers(
        tx,
        batch.map(({ row }) => row).filter((_, i) => outcomes[i] === undefined),
        'skip',
      );
      await answerRepeats(tx, batch, outcomes, users, nowMs);
    });
  return outcomes as CreateOutcome[];
}

/** @returns undefined for a repeat that is still to be answered */
async function createRows(
  tx: Transaction,
  batch: readonly Draft[],
  nowMs: number,
): Promise<(CreateOutcome | undefined)[]> {
  const rows = batch.map(({ row }) => row);
  const users = await lockUsers(tx, rows, 'add');
  for (const row of rows) {
    const counters = countersOf(users, row);
    if (isExpiryDue(counters, nowMs)) users.set(userKey(row), await expireLocked(tx, row, counters, nowMs));
  }
  const firsts = firstOfEachKey(rows);
  const isLast = rows.every(isInAppOnly);
  const steps = await insert(isLast ? tx.last.bind(tx) : tx.run.bind(tx), rows, firsts, users);
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

/** @returns by index of the rows that were new: how many of the user's items became visible up to it */
async function insert(
  run: Transaction['run'],
  rows: readonly NewNotification[],
  firsts: readonly number[],
  users: ReadonlyMap<string, Counters>,
): Promise<Map<number, number>> {
  const batch = firsts.map((i) => rows[i]).filter((row) => row !== undefined);
  const numbers = new Map<Content, number>();
  for (const { content } of batch) if (!numbers.has(content)) numbers.set(content, numbers.size + 1);
  const isShared = numbers.size * 4 <= batch.length;
  const inApp = batch.map(({ deliveries }) => {
    const at = deliveries.findIndex(({ channel }) => channel === 'in_app');
    return { at, delivery: deliveries[at] };
  });
  const contents = isShared ? [...numbers.keys()] : batch.map(({ content }) => content);
  const values: Value[] = [
    plainArray(batch.map(({ id }) => id)),
    textArray(batch.map(({ tenantId }) => tenantId)),
    textArray(batch.map(({ userId }) => userId)),
    plainArray(batch.map((row) => countersOf(users, row).newestPosition)),
    plainArray(batch.map(isVisible)),
    plainArray(batch.map(({ createdAtMs }) => createdAtMs)),
    plainArray(inApp.map(({ delivery }) => delivery?.id)),
    textArray(inApp.map(({ delivery }) => delivery?.status)),
    textArray(inApp.map(({ delivery }) => delivery?.reason || undefined)),
    textArray(inApp.map(({ delivery }, i) => unless(delivery?.destination, batch[i]?.userId))),
    textArray(inApp.map(({ delivery }) => unless(delivery?.provider, usualInAppProvider))),
    plainArray(inApp.map(({ at }) => Math.max(at, 0))),
    plainArray(batch.map(({ deliveries }, i) => deliveries.length - (inApp[i]?.delivery ? 1 : 0))),
    textArray(batch.map(({ deliveries }) => `{${deliveries.map(({ channel }) => channel).join(',')}}`)),
    textArray(batch.map(({ content }) => content.notificationId)),
    plainArray(batch.map(({ content }) => content.expiresAtMs || undefined)),
    plainArray(batch.map((row) => itemDueAtMs(row) || undefined)),
    ...(isShared ? [plainArray(batch.map(({ content }) => numbers.get(content)))] : []),
    ...contentArrays(contents),
  ];
  const found = await run(isShared ? insertShared : insertOwn, values);
  return new Map(found.map(({ ord, step }) => [firsts[Number(ord) - 1] ?? -1, Number(step)]));
}

const unless = (value: string | undefined, usual: string | undefined): string | undefined =>
  value === usual ? undefined : value;

const contentArrays = (contents: readonly Content[]): string[] => [
  textArray(contents.map(({ type }) => type)),
  textArray(contents.map(({ subjectRef }) => subjectRef)),
  textArray(contents.map(({ subjectType }) => subjectType)),
  textArray(contents.map(({ title }) => title)),
  textArray(contents.map(({ body }) => body)),
  textArray(contents.map(({ urgency }) => urgency)),
  textArray(contents.map(({ data }) => data)),
  textArray(contents.map(({ actionUrl }) => actionUrl)),
  textArray(contents.map(({ iconUrl }) => iconUrl)),
  textArray(contents.map(({ actions }) => actionsText(actions))),
];

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
  return { notification, created: true, attempt, version: before.version + step };
}
