import type { Channel } from '../../../src/core/glossary.ts';
import type { Claim, Claimed, ClaimedDelivery, DeliveryRef, Lease } from '../../../src/core/outbox.ts';
import { plainArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';
import { databaseNow, type StoreClock } from './database-clock.ts';
import { type Item, itemJson, toNotification } from './rows.ts';
import { settings } from './settings.ts';
import type { Row, Statement } from './statement.ts';

/**
 * Each tenant and channel that has something due, now or later, and when it is due first. It hops from one to the next in the
 * index, so that a million rows of one tenant cost what one row costs.
 */
const scan: Statement = {
  name: 'due_scan',
  text: `
WITH RECURSIVE pairs AS (
  (
    SELECT d.tenant_id, d.channel, d.due_at_ms, 1 AS place FROM notify.deliveries d
    WHERE d.due_at_ms IS NOT NULL AND (d.tenant_id, d.channel) > ($1::text, $2::text)
    ORDER BY d.tenant_id, d.channel, d.due_at_ms LIMIT 1
  ) UNION ALL (
    SELECT d.*, p.place + 1 FROM pairs p CROSS JOIN LATERAL (
      SELECT d.tenant_id, d.channel, d.due_at_ms FROM notify.deliveries d
      WHERE d.due_at_ms IS NOT NULL AND (d.tenant_id, d.channel) > (p.tenant_id, p.channel)
      ORDER BY d.tenant_id, d.channel, d.due_at_ms LIMIT 1
    ) d
    WHERE p.place < $3
  )
)
SELECT c.now_ms, p.tenant_id, p.channel, p.due_at_ms
FROM (SELECT ${databaseNow} AS now_ms) c LEFT JOIN pairs p ON true`,
};

/** Those that crashed their holder twice are leased one at a time. */
const suspectAfter = 2;

/** A lease whose end has passed is a crash of its holder. */
const claim: Statement = {
  name: 'claim',
  text: `
WITH picked AS MATERIALIZED (
  SELECT d.tenant_id, d.item_id, d.id, d.crashes + CASE WHEN d.lease_token IS NULL THEN 0 ELSE 1 END AS crashes
  FROM unnest($1::text[], $2::text[], $3::int[]) AS w (tenant_id, channel, share)
  CROSS JOIN LATERAL (
    SELECT d.tenant_id, d.item_id, d.id, d.crashes, d.lease_token FROM notify.deliveries d
    WHERE d.tenant_id = w.tenant_id AND d.channel = w.channel AND d.due_at_ms <= $4
      AND (d.lease_token IS NULL OR $5::boolean)
    ORDER BY d.due_at_ms LIMIT w.share FOR UPDATE SKIP LOCKED
  ) d
), chosen AS (
  SELECT p.*, row_number() OVER (PARTITION BY p.crashes >= ${suspectAfter}) AS place FROM picked p
), leased AS (
  UPDATE notify.deliveries d SET lease_token = $6, due_at_ms = $7, crashes = c.crashes, losses = NULL
  FROM chosen c
  WHERE d.tenant_id = c.tenant_id AND d.item_id = c.item_id AND d.id = c.id
    AND (c.crashes < ${suspectAfter} OR $8::boolean AND c.place = 1)
  RETURNING d.tenant_id, d.item_id, d.id, d.crashes
)
SELECT l.id, l.crashes, n.tenant_id, n.user_id, ${itemJson} AS item
FROM leased l JOIN notify.notifications n ON n.tenant_id = l.tenant_id AND n.id = l.item_id`,
};

const given = `unnest($1::text[], $2::uuid[], $3::uuid[]) AS r (tenant_id, item_id, id)`;
/** A receipt that is faster than an outcome leaves the lease and takes the due time. */
const holds = `d.tenant_id = r.tenant_id AND d.item_id = r.item_id AND d.id = r.id AND d.lease_token = $4
  AND d.due_at_ms IS NOT NULL`;

const renew: Statement = {
  name: 'renew',
  text: `UPDATE notify.deliveries d SET due_at_ms = $5 FROM ${given} WHERE ${holds}
RETURNING d.id, d.losses IS NOT NULL AS is_lost`,
};

const release: Statement = {
  name: 'release',
  text: `
UPDATE notify.deliveries d SET
  status = CASE WHEN d.losses IS NULL THEN d.status ELSE 'failed' END,
  reason = CASE WHEN d.losses IS NULL THEN d.reason ELSE d.losses[1]::json ->> 2 END,
  due_at_ms = CASE WHEN d.losses IS NULL THEN $5::bigint END,
  updated_at_ms = CASE WHEN d.losses IS NULL THEN d.updated_at_ms ELSE $6 END,
  lease_token = NULL, losses = NULL
FROM ${given} WHERE ${holds}`,
};

/** A tenant's channel that has something due. */
interface Pair {
  readonly tenantId: string;
  readonly channel: Channel;
  readonly dueAtMs: bigint;
}

/** Hands out what is due. */
export class Claims {
  readonly #db: Database;
  readonly #clock: StoreClock;
  /** Where the next look begins, when one look does not reach all tenants. */
  #after = { tenantId: '', channel: '' };
  #turn = 0;

  constructor(db: Database, clock: StoreClock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** See Outbox. */
  async claim({ lease, room, suspect, takeOver }: Claim): Promise<Claimed> {
    const pairs = await this.#look();
    const nowMs = BigInt(this.#clock.now());
    const due = pairs.filter(({ dueAtMs, channel }) => dueAtMs <= nowMs && room.has(channel));
    const later = pairs.filter(({ dueAtMs, channel }) => dueAtMs > nowMs && room.has(channel));
    const nextDueInMs = later.reduce<number | undefined>((next, { dueAtMs }) => {
      const inMs = Number(dueAtMs - nowMs);
      return next === undefined || inMs < next ? inMs : next;
    }, undefined);
    const shares = this.#shares(due, room);
    if (shares.length === 0) return { deliveries: [], nextDueInMs };
    const rows = await this.#db.write(claim, [
      textArray(shares.map(({ pair }) => pair.tenantId)),
      textArray(shares.map(({ pair }) => pair.channel)),
      plainArray(shares.map(({ share }) => share)),
      nowMs,
      String(takeOver),
      lease.token,
      nowMs + BigInt(lease.durationMs),
      String(suspect),
    ]);
    return { deliveries: rows.map(toClaimed), nextDueInMs };
  }

  /** See Outbox. */
  async renew(lease: Lease, held: readonly DeliveryRef[], goingOn: boolean): Promise<boolean[]> {
    const until = this.#clock.now() + lease.durationMs;
    const rows = await this.#db.write(renew, [...keysOf(held), lease.token, until]);
    const still = new Set(rows.filter((row) => !(goingOn && row.is_lost === 't')).map(({ id }) => id));
    return held.map(({ deliveryId }) => still.has(deliveryId));
  }

  /** See Outbox. */
  async release(token: string, held: readonly DeliveryRef[], afterMs: number): Promise<void> {
    const nowMs = this.#clock.now();
    await this.#db.write(release, [...keysOf(held), token, nowMs + afterMs, nowMs]);
  }

  async #look(): Promise<Pair[]> {
    const { tenantId, channel } = this.#after;
    const askedAtMs = this.#clock.ask();
    const rows = await this.#db.read(scan, [tenantId, channel, settings.pairsPerScan]);
    this.#clock.correct(Number(rows[0]?.now_ms), askedAtMs);
    const pairs = rows.flatMap((row) =>
      row.tenant_id == null
        ? []
        : [
            {
              tenantId: row.tenant_id,
              channel: row.channel as Channel,
              dueAtMs: BigInt(row.due_at_ms ?? 0),
            },
          ],
    );
    const last = pairs.at(-1);
    this.#after =
      last !== undefined && pairs.length >= settings.pairsPerScan ? last : { tenantId: '', channel: '' };
    return pairs;
  }

  /** The same for each tenant; where there are more tenants than room, they take turns. */
  #shares(due: readonly Pair[], room: ReadonlyMap<Channel, number>): { pair: Pair; share: number }[] {
    this.#turn += 1;
    return [...room].flatMap(([channel, places]) => {
      const pairs = due.filter((pair) => pair.channel === channel);
      if (pairs.length === 0 || places <= 0) return [];
      const first = (this.#turn * places) % pairs.length;
      const inTurn = [...pairs.slice(first), ...pairs.slice(0, first)].slice(0, places);
      const share = Math.floor(places / inTurn.length);
      const rest = places % inTurn.length;
      return inTurn.map((pair, i) => ({ pair, share: share + (i < rest ? 1 : 0) }));
    });
  }
}

const keysOf = (held: readonly DeliveryRef[]): string[] => [
  textArray(held.map(({ tenantId }) => tenantId)),
  plainArray(held.map(({ id }) => id)),
  plainArray(held.map(({ deliveryId }) => deliveryId)),
];

function toClaimed(row: Row): ClaimedDelivery {
  const owner = { tenantId: row.tenant_id ?? '', userId: row.user_id ?? '' };
  return {
    notification: toNotification(owner, JSON.parse(row.item ?? '') as Item, 0),
    deliveryId: row.id ?? '',
    crashes: Number(row.crashes),
  };
}
