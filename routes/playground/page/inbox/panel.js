import { call, describe, methods } from '../calls.js';
import { remember } from '../code/last-calls.js';
import { byId } from '../dom.js';
import { render } from '../redraw.js';
import { announce, showNote } from '../telling.js';
import { markAllRead } from './actions.js';
import { inbox, pageSize } from './inbox.js';
import { focusCard, setUpList } from './list.js';
import { loadInbox, loadSoon } from './loading.js';

export function setUpInbox() {
  setUpList();
  byId('read-all').onclick = markAllRead;
  byId('more-button').onclick = loadMore;
  for (const radio of document.querySelectorAll('input[name="filter"]'))
    radio.addEventListener('change', () => choose(radio.value));
}

function choose(filter) {
  inbox.filter = filter;
  inbox.cursor = '';
  remember('list', filter === 'unread' ? { limit: pageSize, unreadOnly: true } : { limit: pageSize });
  render();
  loadInbox();
}

async function loadMore() {
  if (inbox.cursor === '') return;
  const { cursor, filter } = inbox;
  const button = byId('more-button');
  button.setAttribute('aria-disabled', 'true');
  try {
    const body = { cursor, limit: pageSize, unreadOnly: filter === 'unread' };
    remember('list', body);
    const page = await call(methods.list, body);
    if (cursor !== inbox.cursor || filter !== inbox.filter) return;
    for (const item of page.notifications ?? [])
      if (!inbox.items.has(item.id)) inbox.items.set(item.id, item);
    inbox.cursor = page.nextCursor ?? '';
    announce(`${page.notifications?.length ?? 0} more loaded`);
    const first = page.notifications?.[0]?.id;
    render();
    if (inbox.cursor === '' && first) focusCard(first);
  } catch (error) {
    showNote(describe(error));
    if (error.code === 'invalid_argument') loadSoon();
  } finally {
    button.removeAttribute('aria-disabled');
  }
}
