import { notFound } from '../../../src/core/errors.ts';
import type { EpochMs, UserKey } from '../../../src/core/glossary.ts';
import { type InboxChange, type InboxChanged, namedIds } from '../../../src/core/store.ts';
import { expireItems } from './expiry.ts';
import { type Row, standing } from './row.ts';
import type { Tables } from './tables.ts';
import type { UserInbox } from './user-inbox.ts';

/**
 * What a user does with an inbox, see Store.changeInbox.
 * @throws NotifyError not_found
 */
export function changeInbox(tables: Tables, owner: UserKey, change: InboxChange): InboxChanged {
  const inbox = tables.inbox(owner);
  if (inbox === undefined) {
    if ('id' in change) throw notFound();
    return { changed: 0, ids: [], summary: tables.summary(undefined) };
  }
  const nowMs = tables.clock.now();
  const ids = apply(inbox, change, nowMs);
  const changed = typeof ids === 'number' ? ids : ids.length;
  if (changed > 0) inbox.countChange();
  expireItems(inbox, nowMs); // an item marked unread may have expired meanwhile
  if (change.kind === 'snooze' && changed > 0) tables.schedule(inbox.find(change.id));
  const named = typeof ids === 'number' ? [] : ids.length > namedIds ? undefined : ids;
  return { changed, ids: named, summary: inbox.summary };
}

/** @returns the ids of the items that changed; for the seen position, which is no item, 1 or 0 */
function apply(inbox: UserInbox, change: InboxChange, nowMs: number): string[] | number {
  switch (change.kind) {
    case 'seen_up_to':
      return inbox.see(change.position) ? 1 : 0;
    case 'read_up_to':
      return readUpTo(inbox, change.position, change.atMs);
    case 'delete': {
      const row = inbox.find(change.id);
      if (row !== undefined && row.deletedAtMs !== 0n) return [];
      return stamp(inbox, inbox.named(change.id), 'deletedAtMs', change.atMs);
    }
    case 'read':
      return stamp(inbox, inbox.named(change.id), 'readAtMs', change.atMs);
    case 'unread':
      return stamp(inbox, inbox.named(change.id), 'readAtMs', 0n);
    case 'archive':
      return stamp(inbox, inbox.named(change.id), 'archivedAtMs', change.atMs);
    case 'unarchive':
      return stamp(inbox, inbox.named(change.id), 'archivedAtMs', 0n);
    case 'snooze':
      return snooze(inbox, inbox.named(change.id), change.untilMs, nowMs);
  }
}

/** Sets a time that is not set, or clears one that is. A time is stamped once. */
function stamp(
  inbox: UserInbox,
  row: Row,
  field: 'readAtMs' | 'archivedAtMs' | 'deletedAtMs',
  atMs: EpochMs,
): string[] {
  if ((row[field] === 0n) === (atMs === 0n)) return [];
  row[field] = atMs;
  inbox.settle(row);
  return [row.id];
}

function readUpTo(inbox: UserInbox, position: number, atMs: EpochMs): string[] {
  const ids: string[] = [];
  for (const row of inbox.listedAfter(0)) {
    if (row.position > position || inbox.unreadCount === 0) break;
    if ((row.standing & standing.unread) !== 0) ids.push(...stamp(inbox, row, 'readAtMs', atMs));
  }
  return ids;
}

/** Hides an item until a time, or brings it back. */
function snooze(inbox: UserInbox, row: Row, untilMs: EpochMs, nowMs: number): string[] {
  const isOver = untilMs <= nowMs;
  const isSnoozed = row.snoozedUntilMs !== 0n;
  if (isOver ? !isSnoozed : row.snoozedUntilMs === untilMs) return [];
  if (isOver) inbox.appear(row);
  else if (isSnoozed) {
    row.snoozedUntilMs = untilMs;
    row.dueAtMs = untilMs;
  } else inbox.hide(row, untilMs);
  return [row.id];
}
