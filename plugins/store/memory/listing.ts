import type { InboxSummary, KnownInbox, Notification } from '../../../src/core/glossary.ts';
import type { ListQuery } from '../../../src/core/store.ts';
import { textUnits } from './estimate.ts';
import type { Row } from './row.ts';
import type { Tables } from './tables.ts';
import type { UserInbox } from './user-inbox.ts';

/** A page of an inbox, newest first. @returns with whether there is more */
export function listItems(
  inbox: UserInbox,
  query: ListQuery,
): { notifications: Notification[]; more: boolean } {
  const notifications: Notification[] = [];
  let size = 0;
  for (const row of inbox.listedBefore(query.before ?? Number.POSITIVE_INFINITY)) {
    if (!matches(row, query)) continue;
    if (notifications.length === query.limit || size >= query.maxBytes) return { notifications, more: true };
    notifications.push(inbox.show(row));
    size += textUnits(row.content);
  }
  return { notifications, more: false };
}

/** See Store.changedInboxes. */
export const changedInboxes = (tables: Tables, known: readonly KnownInbox[]): (InboxSummary | undefined)[] =>
  known.map((inbox) => {
    const summary = tables.summary(tables.inbox(inbox));
    const isKnown = summary.version === inbox.version && summary.newestPosition === inbox.newestPosition;
    return isKnown ? undefined : summary;
  });

function matches(row: Row, query: ListQuery): boolean {
  if (!query.archived && row.archivedAtMs !== 0n) return false;
  if (query.unreadOnly && (row.inApp === undefined || row.readAtMs !== 0n)) return false;
  if (query.types.length > 0 && !query.types.includes(row.content.type)) return false;
  return (
    query.channels.length === 0 || row.deliveries.some(({ channel }) => query.channels.includes(channel))
  );
}
