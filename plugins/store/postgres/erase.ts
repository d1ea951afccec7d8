import type { UserKey } from '../../../src/core/glossary.ts';
import { lockUsers } from './counters.ts';
import type { Database } from './database.ts';
import { settings } from './settings.ts';
import type { Statement } from './statement.ts';

const items: Statement = {
  name: 'erase_items',
  text: `
WITH items AS MATERIALIZED (
  SELECT n.id FROM notify.notifications n WHERE n.tenant_id = $1 AND n.user_id = $2 ORDER BY n.position LIMIT $3
), deliveries AS (
  DELETE FROM notify.deliveries d USING items i WHERE d.tenant_id = $1 AND d.item_id = i.id RETURNING 1
), notifications AS (
  DELETE FROM notify.notifications n USING items i WHERE n.tenant_id = $1 AND n.id = i.id RETURNING 1
)
SELECT (SELECT count(*) FROM notifications) AS notifications, (SELECT count(*) FROM deliveries) AS deliveries`,
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
)
SELECT (SELECT count(*) FROM devices) + (SELECT count(*) FROM recipients) AS others`,
};

/** See AddressBook. All of it or nothing; whoever writes for the user meanwhile waits, and finds somebody new. */
export function eraseUser(db: Database, owner: UserKey): Promise<number> {
  return db.transaction(async (tx) => {
    // added where it is missing: a row that somebody is adding could not be locked, and would go without its items
    await lockUsers(tx, [owner], 'add');
    const key = [owner.tenantId, owner.userId];
    let erased = 0;
    for (;;) {
      const [gone] = await tx.run(items, [...key, settings.itemsPerErase]);
      const notifications = Number(gone?.notifications);
      erased += notifications + Number(gone?.deliveries);
      if (notifications < settings.itemsPerErase) break;
    }
    const [others] = await tx.run(remains, key);
    return erased + Number(others?.others);
  });
}
