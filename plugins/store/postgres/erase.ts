import type { UserKey } from '../../../src/core/glossary.ts';
import { plainArray } from './arrays.ts';
import { lockUsers } from './counters.ts';
import type { Database } from './database.ts';
import { settings } from './settings.ts';
import type { Statement } from './statement.ts';

const items: Statement = {
  name: 'erase_find',
  text: `
SELECT n.id FROM notify.notifications n
WHERE n.tenant_id = $1 AND n.user_id = $2 ORDER BY n.position LIMIT $3`,
};

/**
 * By ANY and not by a join: planned while the tables were small, a join was one search of the whole tenant for each item, where this
 * is at worst one for all.
 */
const eraseItems: Statement = {
  name: 'erase_items',
  text: `
WITH deliveries AS (
  DELETE FROM notify.deliveries d WHERE d.tenant_id = $1 AND d.item_id = ANY ($2::uuid[]) RETURNING 1
), notifications AS (
  DELETE FROM notify.notifications n WHERE n.tenant_id = $1 AND n.id = ANY ($2::uuid[])
)
SELECT count(*) AS deliveries FROM deliveries`,
};

const remains: Statement = {
  name: 'erase_user',
  text: `
WITH devices AS (
  DELETE FROM notify.devices d WHERE d.tenant_id = $1 AND d.user_id = $2 RETURNING 1
), recipients AS (
  DELETE FROM notify.recipients r WHERE r.tenant_id = $1 AND r.user_id = $2 RETURNING 1
), users AS (
  DELETE FROM notify.users u WHERE u.tenant_id = $1 AND u.user_id = $2
  RETURNING greatest(u.newest_position, u.version) AS reached
), floors AS (
  INSERT INTO notify.inbox_floors AS f (tenant_id, floor) SELECT $1, u.reached + 1 FROM users u WHERE u.reached > 0
  ON CONFLICT (tenant_id) DO UPDATE SET floor = excluded.floor WHERE f.floor < excluded.floor
)
SELECT (SELECT count(*) FROM devices) + (SELECT count(*) FROM recipients) AS others`,
};

/**
 * See AddressBook. All of it or nothing; whoever writes for the user meanwhile waits, and finds somebody new.
 *
 * The tenant's floor is raised last, since other users' erasures wait for it. It is a number of the tenant and not of the user:
 * nothing that names the user may stay. A time in its place would do no better, as a clock may be set back between two inboxes.
 */
export function eraseUser(db: Database, owner: UserKey): Promise<number> {
  return db.transaction(async (tx) => {
    // added where it is missing: a row that somebody is adding could not be locked, and would go without its items
    await lockUsers(tx, [owner], 'hold');
    const key = [owner.tenantId, owner.userId];
    let erased = 0;
    for (;;) {
      const found = await tx.run(items, [...key, settings.itemsPerErase]);
      if (found.length > 0) {
        const [gone] = await tx.run(eraseItems, [
          owner.tenantId,
          plainArray(found.map(({ id }) => id ?? undefined)),
        ]);
        erased += found.length + Number(gone?.deliveries);
      }
      if (found.length < settings.itemsPerErase) break;
    }
    const [others] = await tx.run(remains, key);
    return erased + Number(others?.others);
  });
}
