import { call, describe, methods } from '../calls.js';
import { remember } from '../code/last-calls.js';
import { shorten } from '../dom.js';
import { render } from '../redraw.js';
import { stream } from '../stream/state.js';
import { showNote } from '../telling.js';
import { inbox, setRead, setUnread } from './inbox.js';
import { isUnread } from './item.js';
import { loadSoon } from './loading.js';

/** Shows a change at once, makes the call, and takes the change back if the call fails. */
async function act(operation, body, change) {
  remember(operation, body);
  const before = { items: new Map(inbox.items), unread: inbox.unread };
  change();
  render();
  try {
    const answer = await call(methods[operation], body);
    // the stream tells what the call changed; without one, ask
    if (stream.state !== 'live') loadSoon();
    return answer;
  } catch (error) {
    inbox.items = before.items;
    setUnread(before.unread);
    render();
    showNote(error.code === 'not_found' ? 'This notification is no longer there.' : describe(error));
    loadSoon();
    return undefined;
  }
}

export function markRead(item) {
  return act('read', { id: item.id }, () => {
    if (isUnread(item)) setUnread(inbox.unread - 1);
    setRead(item.id, Date.now());
  });
}

export function markUnread(item) {
  return act('unread', { id: item.id }, () => {
    setRead(item.id, 0);
    if (isUnread(inbox.items.get(item.id) ?? item)) setUnread(inbox.unread + 1);
  });
}

/** Archives or deletes an item. */
export async function remove(operation, item) {
  const name = item.title ? `“${shorten(item.title, 40)}”` : 'the notification';
  const answer = await act(operation, { id: item.id }, () => {
    if (isUnread(item)) setUnread(inbox.unread - 1);
    inbox.items.delete(item.id);
  });
  if (answer === undefined) return;
  if (operation === 'delete') showNote(`Deleted ${name}.`);
  else showNote(`Archived ${name}.`, { label: 'Undo', run: () => unarchive(item) });
}

async function unarchive(item) {
  await act('unarchive', { id: item.id }, () => {});
  loadSoon();
}

export async function markAllRead() {
  const answer = await act('readAll', {}, () => {
    for (const item of inbox.items.values()) setRead(item.id, Date.now());
    setUnread(0);
  });
  if (answer === undefined) return;
  const count = Number(answer.count ?? 0);
  showNote(count === 0 ? 'Everything was read already.' : `Marked ${count} as read.`);
}
