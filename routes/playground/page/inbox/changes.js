import { int64 } from '../dom.js';
import { renderSoon } from '../redraw.js';
import { inbox, merge, setRead, setUnread } from './inbox.js';
import { loadSoon } from './loading.js';

/** Applies what another device, or a call, changed. */
export function applyInboxEvent(event) {
  const version = int64(event.version);
  const readAll = int64(event.readUpToPosition);
  const now = Date.now();
  const isNews = inbox.version === undefined || version > inbox.version;
  const named = ['readIds', 'unreadIds', 'removedIds', 'updated'].some((name) => event[name]?.length > 0);
  if (isNews) {
    for (const item of event.updated ?? []) merge(item);
    for (const id of event.readIds ?? []) setRead(id, now);
    for (const id of event.unreadIds ?? []) setRead(id, 0);
    for (const id of event.removedIds ?? []) inbox.items.delete(id);
    if (readAll > 0n)
      for (const item of inbox.items.values()) if (int64(item.position) <= readAll) setRead(item.id, now);
    setUnread(event.unreadCount ?? 0);
  }
  const complete =
    inbox.loaded &&
    (version === inbox.version || (version === inbox.version + 1n && (named || readAll > 0n)));
  if (isNews) inbox.version = version;
  if (!complete) loadSoon();
  renderSoon();
}
