import { backoff } from '../backoff.js';
import { call, describe, methods } from '../calls.js';
import { byId, int64 } from '../dom.js';
import { render } from '../redraw.js';
import { setProblem } from '../telling.js';
import { inbox, merge, pageSize, setUnread, shownItems } from './inbox.js';
import { byNewest } from './item.js';

let loading;
let loadAgain = false;
let loadTimer;
let loadFailures = 0;

export const isLoading = () => loading !== undefined;

/** Somebody asks for it now: the next failure is the first. */
export function forgetFailures() {
  loadFailures = 0;
}

export function loadSoon(delay = 120) {
  clearTimeout(loadTimer);
  loadTimer = setTimeout(loadInbox, delay);
}

/** Fetches as much of the inbox as is shown, and puts it in the place of what is shown. */
export function loadInbox() {
  clearTimeout(loadTimer);
  if (loading) {
    loadAgain = true;
    return loading;
  }
  loading = readInbox()
    .then(
      () => {
        loadFailures = 0;
        setProblem('inbox', undefined);
      },
      (error) => {
        loadFailures += 1;
        setProblem('inbox', { text: `${describe(error)} Trying again.`, tone: 'bad', button: 'Try now' });
        loadSoon(backoff(loadFailures));
      },
    )
    .finally(() => {
      loading = undefined;
      byId('list').setAttribute('aria-busy', 'false');
      render();
    });
  return loading;
}

async function readInbox() {
  do {
    loadAgain = false;
    const { filter, version: before } = inbox;
    const limit = Math.min(100, Math.max(pageSize, shownItems().length));
    const page = await call(methods.list, { limit, unreadOnly: filter === 'unread' });
    if (filter !== inbox.filter) {
      loadAgain = true;
      continue;
    }
    takePage(page, before);
  } while (loadAgain);
}

function takePage(page, before) {
  const version = int64(page.version);
  // what came over the stream while this answer was under way is newer than the answer
  if (inbox.version !== before && version < inbox.version) {
    loadAgain = true;
    if (inbox.loaded) return;
  }
  const position = int64(page.position);
  const newer = [...inbox.items.values()].filter((item) => int64(item.position) > position);
  inbox.items = new Map((page.notifications ?? []).map((item) => [item.id, item]));
  inbox.cursor = page.nextCursor ?? '';
  inbox.loaded = true;
  inbox.version = version;
  inbox.newest = position;
  setUnread(page.unreadCount ?? 0);
  if (!loadAgain) for (const item of newer.sort(byNewest).reverse()) merge(item);
}
