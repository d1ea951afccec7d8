import type { EpochMs, Notification, UserKey } from '../../../src/core/glossary.ts';
import type { PageLimits, SincePage, SinceQuery, StreamPosition } from '../../../src/core/store.ts';
import { textUnits } from './estimate.ts';
import type { Row } from './row.ts';
import { byPosition } from './row-order.ts';
import type { Tables } from './tables.ts';
import type { UserInbox } from './user-inbox.ts';

/** See Store.notificationsAfter. */
export function itemsAfter(
  tables: Tables,
  streams: readonly StreamPosition[],
  { limit, maxBytes, maxBytesOfAll }: PageLimits & { readonly maxBytesOfAll: number },
): SincePage[] {
  let left = maxBytesOfAll;
  return streams.map((stream) => {
    const query = { after: stream.after, limit, maxBytes: Math.min(maxBytes, left), untakenAtMs: undefined };
    const page = itemsSince(tables, stream, query);
    for (const notification of page.notifications) left -= textUnits(notification);
    return page;
  });
}

/** See Store.notificationsSince; of no bytes at all there is an empty page. */
export function itemsSince(tables: Tables, owner: UserKey, query: SinceQuery): SincePage {
  const inbox = tables.inbox(owner);
  if (inbox === undefined)
    return {
      notifications: [],
      through: tables.summary(inbox).newestPosition,
      more: false,
      isOfAnother: false,
    };
  const { after, limit, maxBytes, untakenAtMs } = query;
  const isOfAnother = tables.isOfAnother(inbox, after);
  const notifications: Notification[] = [];
  let size = 0;
  for (const row of untakenAtMs === undefined
    ? streamed(inbox, after)
    : replayed(inbox, after, untakenAtMs)) {
    if (maxBytes <= 0) return { notifications, through: after, more: true, isOfAnother };
    notifications.push(inbox.show(row));
    size += textUnits(row.content);
    if (notifications.length === limit || size >= maxBytes)
      return { notifications, through: row.position, more: true, isOfAnother };
  }
  return { notifications, through: inbox.newestPosition, more: false, isOfAnother };
}

/** What a stream sends after a position. */
function* streamed(inbox: UserInbox, after: number): Generator<Row, void, undefined> {
  for (const row of inbox.listedAfter(after)) {
    if (row.inApp === undefined || row.archivedAtMs !== 0n) continue;
    const dealtWith = row.readAtMs !== 0n || row.position <= inbox.seenPosition;
    if (!(row.inApp.status === 'pending' && dealtWith)) yield row;
  }
}

/**
 * What of it no stream had taken at a time, without a look at the items that long since are: those still untaken
 * merged with those taken since.
 */
function* replayed(inbox: UserInbox, after: number, untakenAtMs: EpochMs): Generator<Row, void, undefined> {
  const since = [...inbox.takenSince(untakenAtMs)].filter((row) => row.position > after).sort(byPosition);
  const start = Math.max(after, inbox.seenPosition);
  let next = 0;
  for (const row of inbox.untakenAfter(start)) {
    for (let taken = since[next]; taken !== undefined && taken.position < row.position; taken = since[++next])
      yield taken;
    yield row;
  }
  yield* since.slice(next);
}
