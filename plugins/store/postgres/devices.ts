import { createHash } from 'node:crypto';
import type { Device, UserKey } from '../../../src/core/glossary.ts';
import type { DeadToken, DeviceName, NewDevice } from '../../../src/core/store.ts';
import type { Database } from './database.ts';
import { toDevice } from './rows.ts';
import type { Statement, Transaction } from './statement.ts';

/**
 * Registrations of one tenant come one after the other: two devices that trade tokens at the same moment would otherwise
 * wait for each other, and sixteen that take one token would each lose to the unique key fifteen times.
 */
const lock: Statement = {
  name: 'device_lock',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('notify.devices/' || $1, 0))`,
};

const free: Statement = {
  name: 'device_free',
  text: `
DELETE FROM notify.devices
WHERE tenant_id = $1 AND token_hash = $2 AND NOT (user_id = $3 AND device_type = $4 AND device_id = $5)`,
};

const put: Statement = {
  name: 'device_put',
  text: `
INSERT INTO notify.devices AS d (tenant_id, user_id, device_type, device_id, id, token, token_hash, created_at_ms, updated_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
ON CONFLICT (tenant_id, user_id, device_type, device_id)
DO UPDATE SET token = excluded.token, token_hash = excluded.token_hash, updated_at_ms = excluded.updated_at_ms
RETURNING d.id, d.device_type, d.device_id, d.token, d.created_at_ms, d.updated_at_ms`,
};

const list: Statement = {
  name: 'devices',
  text: `
SELECT id, device_type, device_id, token, created_at_ms, updated_at_ms FROM notify.devices
WHERE tenant_id = $1 AND user_id = $2 ORDER BY created_at_ms, id`,
};

const removeNamed: Statement = {
  name: 'device_remove',
  text: `
DELETE FROM notify.devices WHERE tenant_id = $1 AND user_id = $2 AND device_type = $3 AND device_id = $4 RETURNING id`,
};

const removeDead: Statement = {
  name: 'device_remove_dead',
  text: `
DELETE FROM notify.devices WHERE tenant_id = $1 AND user_id = $2 AND token_hash = $3 AND updated_at_ms < $4 RETURNING id`,
};

/** Takes the tenant's lock until the transaction ends. Whoever takes several takes them in their order. */
export async function lockTenantDevices(tx: Transaction, tenantId: string): Promise<void> {
  await tx.run(lock, [tenantId]);
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export async function registerDevice(db: Database, device: NewDevice): Promise<Device> {
  const { tenantId, userId, deviceType, deviceId, token } = device;
  const hash = hashOf(token);
  const [row] = await db.transaction(async (tx) => {
    await lockTenantDevices(tx, tenantId);
    await tx.run(free, [tenantId, hash, userId, deviceType, deviceId]);
    return tx.run(put, [tenantId, userId, deviceType, deviceId, device.id, token, hash, device.atMs]);
  });
  return toDevice(device, row ?? {});
}

/** Oldest first. */
export async function listDevices(db: Database, owner: UserKey): Promise<Device[]> {
  const rows = await db.read(list, [owner.tenantId, owner.userId]);
  return rows.map((row) => toDevice(owner, row));
}

/** @returns whether there was one */
export async function removeDevice(
  db: Database,
  { tenantId, userId }: UserKey,
  which: DeviceName | DeadToken,
): Promise<boolean> {
  const rows =
    'token' in which
      ? await db.write(removeDead, [tenantId, userId, hashOf(which.token), which.triedAtMs])
      : await db.write(removeNamed, [tenantId, userId, which.deviceType, which.deviceId]);
  return rows.length > 0;
}
