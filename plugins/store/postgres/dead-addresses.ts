import {
  type Address,
  type DeadAddress,
  type DeadAddressPage,
  type DeadAddressQuery,
  markedChannels,
} from '../../../src/core/addresses.ts';
import type { Channel, EpochMs, Reason } from '../../../src/core/glossary.ts';
import { hashOf } from '../address-hash.ts';
import { plainArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';
import type { Runner, Statement, Value } from './statement.ts';

const mark: Statement = {
  name: 'addresses_mark',
  text: `
INSERT INTO notify.dead_addresses AS d (tenant_id, channel, hash, address, reason, dead_at_ms)
SELECT k.* FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::bigint[]) AS k
ON CONFLICT (tenant_id, channel, hash) DO UPDATE
SET address = excluded.address, reason = excluded.reason, dead_at_ms = excluded.dead_at_ms, revived_at_ms = NULL
WHERE excluded.dead_at_ms > coalesce(d.revived_at_ms, d.dead_at_ms)`,
};

/**
 * Whether a mark stands, in words in which the planner does not see the condition of dead_addresses_latest: it took that index, and
 * read all of it for each address, as long as the table was small.
 */
const stands = 'coalesce(d.revived_at_ms, -1) = -1';

const look: Statement = {
  name: 'addresses_dead',
  text: `
SELECT k.ord, d.reason
FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS k (tenant_id, channel, hash, ord)
JOIN notify.dead_addresses d ON d.tenant_id = k.tenant_id AND d.channel = k.channel AND d.hash = k.hash
WHERE ${stands}`,
};

/** The text goes: nobody needs it to know the address again. A mark by a clock that is ahead of ours is not to come back either. */
const takeAway: Statement = {
  name: 'addresses_revive',
  text: `
UPDATE notify.dead_addresses d SET revived_at_ms = greatest($4, d.dead_at_ms), address = ''
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (tenant_id, channel, hash)
WHERE d.tenant_id = k.tenant_id AND d.channel = k.channel AND d.hash = k.hash AND ${stands}
RETURNING d.channel`,
};

/** An address with its hash, each once, in key order: so no two calls wait for each other. */
function hashed<A extends Address>(addresses: readonly A[]): (A & { readonly hash: string })[] {
  const byKey = new Map<string, A & { readonly hash: string }>();
  for (const address of addresses) {
    if (!markedChannels.has(address.channel)) continue;
    const hash = hashOf(address);
    byKey.set(JSON.stringify([address.tenantId, address.channel, hash]), { ...address, hash });
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, address]) => address);
}

/** As the first three parameters of a statement. */
const keysOf = (addresses: readonly (Address & { readonly hash: string })[]): string[] => [
  textArray(addresses.map(({ tenantId }) => tenantId)),
  textArray(addresses.map(({ channel }) => channel)),
  textArray(addresses.map(({ hash }) => `\\x${hash}`)),
];

/** See AddressBook. */
export async function markAddressesDead(db: Database, batch: readonly DeadAddress[]): Promise<void> {
  // of two marks of one address the later one is written
  const marks = hashed([...batch].sort((a, b) => (a.atMs < b.atMs ? -1 : 1)));
  if (marks.length === 0) return;
  await db.write(mark, [
    ...keysOf(marks),
    textArray(marks.map(({ address }) => address)),
    textArray(marks.map(({ reason }) => reason)),
    plainArray(marks.map(({ atMs }) => atMs)),
  ]);
}

/** See AddressBook. */
export async function findDead(db: Database, addresses: readonly Address[]): Promise<(Reason | undefined)[]> {
  const keys = keysOf(addresses.map((address) => ({ ...address, hash: hashOf(address) })));
  const reasons = new Array<Reason | undefined>(addresses.length).fill(undefined);
  for (const { ord, reason } of await db.read(look, keys)) reasons[Number(ord) - 1] = reason ?? '';
  return reasons;
}

/** Takes marks away. @returns how many there were */
export async function revive(
  runner: Pick<Runner, 'run'>,
  addresses: readonly Address[],
  atMs: EpochMs,
): Promise<number> {
  const marks = hashed(addresses);
  if (marks.length === 0) return 0;
  return (await runner.run(takeAway, [...keysOf(marks), atMs])).length;
}

/** See AddressBook. */
export async function listDeadAddresses(
  db: Database,
  { tenantId, channel, after, limit }: DeadAddressQuery,
): Promise<DeadAddressPage> {
  const values: Value[] = [tenantId, limit + 1];
  const only = channel === undefined ? '' : `AND d.channel = $${values.push(channel)}`;
  const from =
    after === undefined
      ? ''
      : `AND (d.dead_at_ms, d.channel, d.hash) < ($${values.push(after.atMs)}, $${values.push(after.channel)},
          $${values.push(Buffer.from(after.hash, 'hex'))})`;
  const text = `
SELECT d.channel, d.address, d.reason, d.dead_at_ms, encode(d.hash, 'hex') AS hash FROM notify.dead_addresses d
WHERE d.tenant_id = $1 AND d.revived_at_ms IS NULL ${only} ${from}
ORDER BY d.dead_at_ms DESC, d.channel DESC, d.hash DESC LIMIT $2`;
  const name = `addresses_list${channel === undefined ? '' : '_channel'}${after === undefined ? '' : '_after'}`;
  const rows = (await db.read({ name, text }, values)).map((row) => ({
    hash: row.hash ?? '',
    address: {
      tenantId,
      channel: row.channel as Channel,
      address: row.address ?? '',
      reason: row.reason ?? '',
      atMs: BigInt(row.dead_at_ms ?? 0),
    },
  }));
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    addresses: page.map(({ address }) => address),
    next:
      rows.length > limit && last
        ? { atMs: last.address.atMs, channel: last.address.channel, hash: last.hash }
        : undefined,
  };
}
