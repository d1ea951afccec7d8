import type { UserKey } from '../../../src/core/glossary.ts';
import type { Tables } from './tables.ts';

/** Forgets everything about a user, see Store.eraseUser. @returns how many rows that were */
export function eraseUser(tables: Tables, owner: UserKey): number {
  let erased = 0;
  const inbox = tables.inboxes.get(owner);
  for (const row of [...(inbox?.rows() ?? [])]) {
    erased += 1 + row.deliveries.length - (row.inApp === undefined ? 0 : 1);
    tables.drop(row);
  }
  if (inbox !== undefined) tables.dropInbox(inbox);
  for (const { deviceType, deviceId } of tables.devices.list(owner))
    if (tables.devices.remove(owner, { deviceType, deviceId })) erased += 1;
  if (tables.recipients.remove(owner)) erased += 1;
  return erased;
}
