import type {
  Address,
  Addresses,
  DestinationLookUp,
  KnownDestinations,
  Recipient,
} from '../../../src/core/addresses.ts';
import type { Channel, DeviceType, EpochMs, UserKey } from '../../../src/core/glossary.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { noRecipient } from '../recipients.ts';
import { plainArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';
import { revive } from './dead-addresses.ts';
import type { Row, Statement } from './statement.ts';

const put: Statement = {
  name: 'recipients_put',
  text: `
INSERT INTO notify.recipients (tenant_id, user_id, addresses, locale, time_zone, attributes, updated_at_ms)
SELECT k.*, $7 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS k
ON CONFLICT (tenant_id, user_id) DO UPDATE SET addresses = excluded.addresses, locale = excluded.locale,
  time_zone = excluded.time_zone, attributes = excluded.attributes, updated_at_ms = excluded.updated_at_ms`,
};

const get: Statement = {
  name: 'recipient',
  text: `
SELECT r.addresses, r.locale, r.time_zone, r.attributes FROM notify.recipients r WHERE r.tenant_id = $1 AND r.user_id = $2`,
};

/** The inner order is that of one index, and keeps a table with few rows from being searched by another. */
const lookUp: Statement = {
  name: 'destinations',
  text: `
SELECT k.ord, r.addresses, d.devices
FROM unnest($1::text[], $2::text[], $3::boolean[]) WITH ORDINALITY AS k (tenant_id, user_id, with_devices, ord)
LEFT JOIN notify.recipients r ON r.tenant_id = k.tenant_id AND r.user_id = k.user_id
LEFT JOIN LATERAL (
  SELECT json_agg(json_build_array(d.device_type, d.token) ORDER BY d.created_at_ms, d.id) AS devices
  FROM (
    SELECT d.* FROM notify.devices d WHERE k.with_devices AND d.tenant_id = k.tenant_id AND d.user_id = k.user_id
    ORDER BY d.device_type, d.device_id
  ) d
) d ON true`,
};

/** See AddressBook. Rows are written in key order, so that no two calls wait for each other. */
export async function putRecipients(
  db: Database,
  recipients: readonly Recipient[],
  atMs: EpochMs,
): Promise<void> {
  const byKey = recipients
    .map((recipient) => [userKey(recipient), recipient] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, recipient]) => recipient);
  const values = [
    textArray(byKey.map(({ tenantId }) => tenantId)),
    textArray(byKey.map(({ userId }) => userId)),
    textArray(byKey.map(({ addresses }) => JSON.stringify(addresses))),
    textArray(byKey.map(({ locale }) => locale)),
    textArray(byKey.map(({ timeZone }) => timeZone)),
    textArray(byKey.map(({ attributes }) => attributes)),
    atMs,
  ];
  const addresses = byKey.flatMap(({ tenantId, addresses: own }) =>
    Object.entries(own).map(
      ([channel, address]): Address => ({
        tenantId,
        channel: channel as Channel,
        address,
      }),
    ),
  );
  await db.transaction(async (tx) => {
    await tx.run(put, values);
    if (addresses.length > 0) await revive(tx, addresses, atMs);
  });
}

/** @throws NotifyError not_found */
export async function getRecipient(db: Database, { tenantId, userId }: UserKey): Promise<Recipient> {
  const [row] = await db.read(get, [tenantId, userId]);
  if (row === undefined) throw noRecipient();
  return {
    tenantId,
    userId,
    addresses: addressesOf(row),
    locale: row.locale ?? '',
    timeZone: row.time_zone ?? '',
    attributes: row.attributes ?? undefined,
  };
}

/** See AddressBook. */
export async function destinations(
  db: Database,
  lookUps: readonly DestinationLookUp[],
): Promise<KnownDestinations[]> {
  const rows = await db.read(lookUp, [
    textArray(lookUps.map(({ tenantId }) => tenantId)),
    textArray(lookUps.map(({ userId }) => userId)),
    plainArray(lookUps.map(({ devices }) => devices)),
  ]);
  const known: KnownDestinations[] = [];
  for (const row of rows) {
    const devices = JSON.parse(row.devices ?? '[]') as [DeviceType, string][];
    known[Number(row.ord) - 1] = {
      addresses: addressesOf(row),
      devices: devices.map(([deviceType, token]) => ({ deviceType, token })),
    };
  }
  return known;
}

const addressesOf = ({ addresses }: Row): Addresses => JSON.parse(addresses ?? '{}') as Addresses;
