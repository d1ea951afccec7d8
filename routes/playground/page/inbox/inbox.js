import { byId, int64, setText } from '../dom.js';
import { byNewest, isRead, isUnread, withRead } from './item.js';

/** How many items are fetched at once. */
export const pageSize = 20;

/** The inbox, as far as it is known here. */
export const inbox = {
  items: new Map(),
  cursor: '',
  loaded: false,
  filter: 'all',
  unread: 0,
  /** The version that what is shown stands for: the last one heard, and one more for every new item since. */
  version: undefined,
  /** The newest position known; what comes after it is new. */
  newest: 0n,
  /** Ids that have just arrived, for the animation. */
  arrived: new Set(),
};

export const shownItems = () =>
  [...inbox.items.values()].filter((item) => inbox.filter === 'all' || isUnread(item)).sort(byNewest);

/** Shows how many are unread. */
export function setUnread(count) {
  inbox.unread = Math.max(0, count);
  const badge = byId('unread');
  badge.dataset.count = String(inbox.unread);
  setText(badge, String(inbox.unread));
  document.title = inbox.unread > 0 ? `(${inbox.unread}) notify playground` : 'notify playground';
}

/** Takes an item in, in place of an older state of it. @returns whether it is new at the top */
export function merge(item) {
  if (!item?.id) return false;
  const position = int64(item.position);
  const known = inbox.items.get(item.id);
  const isNew = position > inbox.newest;
  if (known === undefined && !isNew && inbox.loaded && inbox.cursor !== '') {
    // further down than what is loaded: "load more" brings it, in its order
    const oldest = [...inbox.items.values()].reduce(
      (least, { position: other }) => (int64(other) < least ? int64(other) : least),
      inbox.newest,
    );
    if (position < oldest) return false;
  }
  inbox.items.set(item.id, item);
  if (!isNew) return false;
  inbox.newest = position;
  if (inbox.version !== undefined) inbox.version += 1n;
  if (isUnread(item) && !(known && isUnread(known))) setUnread(inbox.unread + 1);
  return true;
}

export function setRead(id, readAtMs) {
  const item = inbox.items.get(id);
  if (item !== undefined && isRead(item) !== readAtMs > 0) inbox.items.set(id, withRead(item, readAtMs));
}
