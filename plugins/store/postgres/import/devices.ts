import { createHash } from 'node:crypto';
import { isUuid } from '../../../../src/core/ambient.ts';
import type { DeviceType, EpochMs, UserKey } from '../../../../src/core/glossary.ts';
import { limits, Violations } from '../../../../src/core/notifier/validate.ts';
import { plainArray, textArray } from '../arrays.ts';
import { lockTenantDevices } from '../devices.ts';
import type { Statement, Transaction } from '../statement.ts';
import type { SourceRow } from './source.ts';
import { type Table, textOf, timeOf, type Wanted } from './table.ts';
import { readDeviceType, readTime, unknownWord } from './words.ts';

export const devicesTable: Wanted = {
  name: 'notify_devices',
  required: ['id', 'tenant_id', 'user_id', 'device_type', 'token'],
  optional: ['created_at_ms', 'updated_at_ms', 'last_active_ms'],
  times: ['created_at_ms', 'updated_at_ms', 'last_active_ms'],
};

export interface ImportedDevice extends UserKey {
  readonly id: string;
  readonly deviceType: DeviceType;
  readonly token: string;
  readonly createdAtMs: EpochMs;
  readonly updatedAtMs: EpochMs;
  /** Another device has used its token later. */
  readonly lostToken: boolean;
}

/**
 * The devices, tenant by tenant, each tenant's last used first: where several rows are one user's device of a type, the first
 * that is stored is the one to keep. A token belongs to whoever used it last; other rows that have it say so, since they must
 * not get it back when the import is repeated after it was replaced.
 */
export function devicesQuery(table: Table): string {
  const text = (column: string, most: number) => `left(${textOf(table, column)}, ${most}) AS ${column}`;
  const times = devicesTable.times.map((column) => (table.has(column) ? `${column}::numeric` : '0'));
  const ids = ['tenant_id', 'user_id', 'device_type'].map((column) => text(column, limits.idBytes + 1));
  return `
SELECT id, tenant_id, user_id, device_type, token, created_at_ms, updated::text AS updated_at_ms,
  CASE WHEN row_number() OVER (PARTITION BY tenant_id, token ORDER BY updated DESC, id) > 1 THEN 't' ELSE 'f' END AS lost
FROM (
  SELECT ${text('id', 100)}, ${ids.join(', ')}, ${text('token', limits.addressBytes + 1)},
    ${timeOf(table, 'created_at_ms')} AS created_at_ms, coalesce(greatest(${times.join(', ')}), 0) AS updated
  FROM ${table.sql}
) d
ORDER BY tenant_id COLLATE "C", updated DESC, id COLLATE "C"`;
}

/** @param refuse is told why a row cannot be copied */
export function toDevice(
  row: SourceRow,
  refuse: (rowId: string, why: string) => void,
): ImportedDevice | undefined {
  const { id = '', tenant_id: tenantId = '', user_id: userId = '', token = '' } = row;
  const v = new Violations();
  if (!isUuid(id)) v.add('id', 'is no UUID');
  v.text('tenant_id', tenantId, limits.idBytes, true);
  v.text('user_id', userId, limits.idBytes, true);
  v.text('token', token, limits.addressBytes, true);
  const deviceType = readDeviceType(row.device_type ?? '');
  if (deviceType === undefined) v.add('device_type', unknownWord(row.device_type ?? ''));
  const createdAtMs = readTime(row.created_at_ms ?? '');
  const updatedAtMs = readTime(row.updated_at_ms ?? '');
  if (createdAtMs === undefined || updatedAtMs === undefined)
    v.add('its times', 'are no whole numbers of 64 bits');
  if (
    v.found.length > 0 ||
    deviceType === undefined ||
    createdAtMs === undefined ||
    updatedAtMs === undefined
  ) {
    refuse(id, v.found.map(({ field, description }) => `${field} ${description}`).join('; '));
    return undefined;
  }
  return {
    tenantId,
    userId,
    id: id.toLowerCase(),
    deviceType,
    token,
    createdAtMs: createdAtMs || updatedAtMs,
    updatedAtMs,
    lostToken: row.lost === 't',
  };
}

/** One after the other, so that of two that cannot both be stored the first is. What is here already stays. */
const insert: Statement = {
  name: 'import_devices',
  text: `
INSERT INTO notify.devices (tenant_id, user_id, device_type, device_id, id, token, token_hash, created_at_ms, updated_at_ms)
SELECT g.tenant_id, g.user_id, g.device_type, '', g.id, g.token, decode(g.token_hash, 'hex'), g.created_at_ms, g.updated_at_ms
FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
  WITH ORDINALITY AS g (tenant_id, user_id, device_type, id, token, token_hash, created_at_ms, updated_at_ms, ord)
ORDER BY g.ord
ON CONFLICT DO NOTHING
RETURNING tenant_id, user_id, device_type`,
};

/** Stores some devices. @returns whether each is new */
export async function writeDevices(
  tx: Transaction,
  devices: readonly ImportedDevice[],
): Promise<('copied' | 'known')[]> {
  const tenants = new Set(devices.map(({ tenantId }) => tenantId));
  for (const tenantId of [...tenants].sort()) await lockTenantDevices(tx, tenantId);
  const rows = await tx.run(insert, [
    textArray(devices.map(({ tenantId }) => tenantId)),
    textArray(devices.map(({ userId }) => userId)),
    textArray(devices.map(({ deviceType }) => deviceType)),
    plainArray(devices.map(({ id }) => id)),
    textArray(devices.map(({ token }) => token)),
    textArray(devices.map(({ token }) => createHash('sha256').update(token).digest('hex'))),
    plainArray(devices.map(({ createdAtMs }) => createdAtMs)),
    plainArray(devices.map(({ updatedAtMs }) => updatedAtMs)),
  ]);
  const copied = new Set(rows.map((row) => JSON.stringify([row.tenant_id, row.user_id, row.device_type])));
  // of two rows that are one device only the first can have been stored
  return devices.map(({ tenantId, userId, deviceType }) =>
    copied.delete(JSON.stringify([tenantId, userId, deviceType])) ? 'copied' : 'known',
  );
}
