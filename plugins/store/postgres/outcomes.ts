import { isUuid } from '../../../src/core/ambient.ts';
import type { Attempt, UserKey } from '../../../src/core/glossary.ts';
import type { Outcome } from '../../../src/core/outbox.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { plainArray, textArray } from './arrays.ts';
import { lockUsers, saveCounters } from './counters.ts';
import type { Database } from './database.ts';
import { inRounds } from './rounds.ts';
import type { Row, Statement, Transaction, Value } from './statement.ts';

const given = `unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
  $10::text[], $11::uuid[], $12::bigint[])
  AS o (tenant_id, user_id, item_id, id, status, reason, message_id, at_ms, attempts, provider, lease_token, due_at_ms)`;

/** Whether an outcome counts: pending may become anything, delivered only acked (status.ts). */
const moves = (status: string) => `(${status} = 'pending' OR ${status} = 'delivered' AND o.status = 'acked')`;
/** Where a receipt was faster, the attempt of whoever holds the lease is still added; the status stays. */
const unlessReceived = (outcome: string, column: string) =>
  `CASE WHEN ${moves('d.status')} THEN ${outcome} ELSE ${column} END`;
/** As decisiveLoss has it (losses.ts). */
const decisive = `(
  SELECT l.entry::json FROM unnest(d.losses) WITH ORDINALITY AS l (entry, place)
  WHERE o.status <> 'delivered'
    OR l.entry::json ->> 0 = o.provider AND (o.message_id = '' OR l.entry::json ->> 1 IN ('', o.message_id))
  ORDER BY l.place LIMIT 1)`;
/** What an outcome makes of a column, unless a loss decides. */
const unlessLost = (outcome: string, loss: string) =>
  `CASE WHEN d.losses IS NULL OR ${decisive} IS NULL THEN ${outcome} ELSE ${loss} END`;
const taken = (column: string) =>
  `CASE WHEN o.status IN ('delivered', 'acked') THEN coalesce(${column}, o.at_ms) ELSE ${column} END`;

/** In-app deliveries. The rows are met in the order of the parameters, which is that of their keys. */
const writeInApp: Statement = {
  name: 'outcomes_in_app',
  text: `
UPDATE notify.notifications n SET
  in_app_status = o.status,
  in_app_reason = o.reason,
  in_app_message_id = coalesce(nullif(o.message_id, ''), n.in_app_message_id),
  in_app_delivered_at_ms = ${taken('n.in_app_delivered_at_ms')},
  in_app_ack_at_ms = CASE WHEN o.status = 'acked' THEN o.at_ms ELSE n.in_app_ack_at_ms END
FROM ${given}
WHERE n.tenant_id = o.tenant_id AND n.id = o.item_id AND n.user_id = o.user_id AND n.in_app_id = o.id
  AND ${moves('n.in_app_status')}
RETURNING n.in_app_id AS id, n.tenant_id, n.user_id, n.position, n.in_app_status,
  n.position > 0 AND n.deleted_at_ms IS NULL AS was_listed,
  n.read_at_ms IS NULL AND n.archived_at_ms IS NULL AS was_unread`,
};

const writeOthers: Statement = {
  name: 'outcomes',
  text: `
UPDATE notify.deliveries d SET
  status = ${unlessReceived(unlessLost('o.status', "'failed'"), 'd.status')},
  reason = ${unlessReceived(unlessLost('o.reason', `${decisive} ->> 2`), 'd.reason')},
  attempts = d.attempts + coalesce(cardinality(string_to_array(o.attempts, E'\\n')), 0),
  attempt_log = d.attempt_log || string_to_array(o.attempts, E'\\n'),
  provider = coalesce(o.provider, d.provider),
  due_at_ms = CASE WHEN d.status = 'pending' AND o.status = 'pending' AND d.losses IS NULL THEN o.due_at_ms END,
  lease_token = NULL,
  losses = NULL,
  crashes = 0,
  provider_message_id = CASE WHEN o.message_id = '' AND (o.provider IS NULL OR o.provider = d.provider AND o.status <> 'delivered')
    THEN d.provider_message_id ELSE o.message_id END,
  delivered_at_ms = ${taken('d.delivered_at_ms')},
  ack_at_ms = CASE WHEN o.status = 'acked' THEN ${unlessReceived('o.at_ms', 'd.ack_at_ms')} ELSE d.ack_at_ms END,
  updated_at_ms = ${unlessReceived('o.at_ms', 'd.updated_at_ms')}
FROM ${given}
WHERE d.tenant_id = o.tenant_id AND d.id = o.id AND d.user_id = o.user_id AND d.item_id = o.item_id
  AND (d.lease_token = o.lease_token OR o.lease_token IS NULL AND ${moves('d.status')})
RETURNING d.id`,
};

/**
 * Writes the outcomes of some calls, in their order.
 * @returns for each whether it was written
 */
export async function recordOutcomes(db: Database, outcomes: readonly Outcome[]): Promise<boolean[]> {
  const known = outcomes.filter(({ id, deliveryId }) => isUuid(id) && isUuid(deliveryId));
  const written = new Set<Outcome>();
  const rounds = inRounds(known);
  const [only] = rounds;
  const suppressed = known.filter(({ status }) => status === 'suppressed');
  // outcomes stand each for itself: there is nothing to do as one, unless an item leaves its inbox
  if (only !== undefined && rounds.length === 1 && suppressed.length === 0)
    await writeRound((statement, values) => db.write(statement, values), only, written);
  else if (only !== undefined)
    await db.transaction(async (tx) => {
      written.clear();
      // a suppressed item leaves its inbox: users are locked before anything else
      const users = suppressed.length > 0 ? await lockUsers(tx, suppressed, 'skip') : new Map();
      for (const round of rounds)
        for (const row of await writeRound((statement, values) => tx.run(statement, values), round, written))
          if (row.in_app_status === 'suppressed') await leave(tx, row, users);
    });
  return outcomes.map((outcome) => written.has(outcome));
}

/** @returns the in-app deliveries that it wrote */
async function writeRound(run: Run, round: readonly Outcome[], written: Set<Outcome>): Promise<Row[]> {
  const isInApp = (outcome: Outcome) => outcome.attempts.length === 0 && outcome.leaseToken === undefined;
  // what a provider attempted is no in-app delivery; of the others it is not known
  const maybe = round.filter(isInApp);
  const inApp = maybe.length > 0 ? await run(writeInApp, valuesOf(maybe)) : [];
  const missed = inApp.length > 0 ? round.filter(notIn(inApp)) : round;
  const others = missed.length > 0 ? await run(writeOthers, valuesOf(missed)) : [];
  const isMissing = notIn([...inApp, ...others]);
  for (const outcome of round) if (!isMissing(outcome)) written.add(outcome);
  return inApp;
}

type Run = (statement: Statement, values: readonly Value[]) => Promise<Row[]>;

/** Takes an item out of the counts that an outcome took out of the inbox. */
async function leave(tx: Transaction, row: Row, users: Awaited<ReturnType<typeof lockUsers>>): Promise<void> {
  const owner: UserKey = { tenantId: row.tenant_id ?? '', userId: row.user_id ?? '' };
  const before = users.get(userKey(owner));
  if (before === undefined || row.was_listed !== 't') return;
  const step = row.was_unread === 't' ? 1 : 0;
  const after = {
    ...before,
    version: before.version + 1,
    unread: before.unread - step,
    unseen: before.unseen - (Number(row.position) > before.seenPosition ? step : 0),
  };
  users.set(userKey(owner), after);
  await saveCounters(tx, owner, after);
}

const notIn = (written: readonly Row[]): ((outcome: Outcome) => boolean) => {
  const ids = new Set(written.map(({ id }) => id));
  return ({ deliveryId }) => !ids.has(deliveryId.toLowerCase());
};

const valuesOf = (outcomes: readonly Outcome[]): Value[] => [
  textArray(outcomes.map(({ tenantId }) => tenantId)),
  textArray(outcomes.map(({ userId }) => userId)),
  plainArray(outcomes.map(({ id }) => id)),
  plainArray(outcomes.map(({ deliveryId }) => deliveryId)),
  textArray(outcomes.map(({ status }) => status)),
  textArray(outcomes.map(({ reason }) => reason)),
  textArray(outcomes.map(({ providerMessageId }) => providerMessageId)),
  plainArray(outcomes.map(({ atMs }) => atMs)),
  textArray(outcomes.map(({ attempts }) => attemptsText(attempts))),
  textArray(outcomes.map(({ attempts }) => attempts.at(-1)?.provider)),
  plainArray(outcomes.map(({ leaseToken }) => leaseToken)),
  plainArray(outcomes.map(({ dueAtMs }) => dueAtMs || undefined)),
];

/** One a line: JSON has no line break of its own. Undefined: there were none. */
const attemptsText = (attempts: readonly Attempt[]): string | undefined =>
  attempts.length === 0 ? undefined : attempts.map(attemptText).join('\n');

/** How an attempt is kept, see attempt_log in drizzle/schema.ts. */
const attemptText = ({ startedAtMs, durationMs, provider, status, reason, detail }: Attempt): string =>
  JSON.stringify([Number(startedAtMs), durationMs, provider, status, reason, detail]);

export function toAttempt(text: string): Attempt {
  const [startedAtMs, durationMs, provider, status, reason, detail] = JSON.parse(text) as [
    number,
    number,
    string,
    Attempt['status'],
    string,
    string,
  ];
  return { startedAtMs: BigInt(startedAtMs), durationMs, provider, status, reason, detail };
}
