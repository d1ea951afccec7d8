import {
  ask,
  CallError,
  call,
  clientService,
  describe,
  errorOf,
  inboxService,
  post,
  requestTimeoutMs,
} from './calls.js';
import { boot, byId, enumWord, int64, make, setText, shorten } from './dom.js';
import { identityProblem, nameProblem, pageFor, setUpIdentity, tenant, token, user } from './identity.js';
import { setUpPush } from './push.js';
import { announce, problems, setProblem, showNote } from './telling.js';

// ---------------------------------------------------------------- the inbox

const pageSize = 20;
const mostShown = 500;

const inbox = {
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

const isInApp = (item) =>
  item.channels?.length > 0
    ? item.channels.includes('DELIVERY_CHANNEL_IN_APP')
    : item.channel === 'DELIVERY_CHANNEL_IN_APP';

const isRead = (item) => int64(item.readAtMs) !== 0n || item.status === 'DELIVERY_STATUS_READ';

const isUnread = (item) => isInApp(item) && !isRead(item) && int64(item.archivedAtMs) === 0n;

function byNewest(a, b) {
  const order = int64(b.position) - int64(a.position) || int64(b.createdAtMs) - int64(a.createdAtMs);
  return order > 0n ? 1 : order < 0n ? -1 : 0;
}

const shownItems = () =>
  [...inbox.items.values()].filter((item) => inbox.filter === 'all' || isUnread(item)).sort(byNewest);

function setUnread(count) {
  inbox.unread = Math.max(0, count);
  const badge = byId('unread');
  badge.dataset.count = String(inbox.unread);
  setText(badge, String(inbox.unread));
  document.title = inbox.unread > 0 ? `(${inbox.unread}) notify playground` : 'notify playground';
}

/** Takes an item in, in place of an older state of it. @returns whether it is new at the top */
function merge(item) {
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

const withRead = (item, readAtMs) => ({
  ...item,
  readAtMs: String(readAtMs),
  status:
    readAtMs > 0
      ? 'DELIVERY_STATUS_READ'
      : int64(item.deliveredAtMs) > 0n
        ? 'DELIVERY_STATUS_DELIVERED'
        : 'DELIVERY_STATUS_PENDING',
});

function setRead(id, readAtMs) {
  const item = inbox.items.get(id);
  if (item !== undefined && isRead(item) !== readAtMs > 0) inbox.items.set(id, withRead(item, readAtMs));
}

/** Applies what another device, or a call, changed. */
function applyInboxEvent(event) {
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

let loading;
let loadAgain = false;
let loadTimer;
let loadFailures = 0;

function loadSoon(delay = 120) {
  clearTimeout(loadTimer);
  loadTimer = setTimeout(loadInbox, delay);
}

/** Fetches as much of the inbox as is shown, and puts it in the place of what is shown. */
function loadInbox() {
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
    const page = await call(`${clientService}/GetNotifications`, { limit, unreadOnly: filter === 'unread' });
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

async function loadMore() {
  if (inbox.cursor === '') return;
  const { cursor, filter } = inbox;
  const button = byId('more-button');
  button.setAttribute('aria-disabled', 'true');
  try {
    const body = { cursor, limit: pageSize, unreadOnly: filter === 'unread' };
    remember('list', body);
    const page = await call(`${clientService}/GetNotifications`, body);
    if (cursor !== inbox.cursor || filter !== inbox.filter) return;
    for (const item of page.notifications ?? [])
      if (!inbox.items.has(item.id)) inbox.items.set(item.id, item);
    inbox.cursor = page.nextCursor ?? '';
    announce(`${page.notifications?.length ?? 0} more loaded`);
    const first = page.notifications?.[0]?.id;
    render();
    if (inbox.cursor === '' && first) cards.get(first)?.element.querySelector('button')?.focus();
  } catch (error) {
    showNote(describe(error));
    if (error.code === 'invalid_argument') loadSoon();
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

// ---------------------------------------------------------------- what one does with an item

/** Shows a change at once, makes the call, and takes the change back if the call fails. */
async function act(operation, body, change) {
  remember(operation, body);
  const before = { items: new Map(inbox.items), unread: inbox.unread };
  change();
  render();
  try {
    const answer = await call(operations[operation].method, body);
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

function markRead(item) {
  return act('read', { id: item.id }, () => {
    if (isUnread(item)) setUnread(inbox.unread - 1);
    setRead(item.id, Date.now());
  });
}

function markUnread(item) {
  return act('unread', { id: item.id }, () => {
    setRead(item.id, 0);
    if (isUnread(inbox.items.get(item.id) ?? item)) setUnread(inbox.unread + 1);
  });
}

async function remove(operation, item) {
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

async function markAllRead() {
  const answer = await act('readAll', {}, () => {
    for (const item of inbox.items.values()) setRead(item.id, Date.now());
    setUnread(0);
  });
  if (answer === undefined) return;
  const count = Number(answer.count ?? 0);
  showNote(count === 0 ? 'Everything was read already.' : `Marked ${count} as read.`);
}

// ---------------------------------------------------------------- showing the inbox

const cards = new Map();
let renderTimer;

function renderSoon() {
  renderTimer ??= setTimeout(render, 16);
}

/** Only http and https, relative addresses included, are opened from here. */
function safeUrl(text) {
  try {
    const url = new URL(text, location.href);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : undefined;
  } catch {
    return undefined;
  }
}

const relativeTime = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const absoluteTime = new Intl.DateTimeFormat('en', { dateStyle: 'full', timeStyle: 'medium' });
const clockTime = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hourCycle: 'h23',
});

const secondsTime = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

function ago(ms) {
  const seconds = (ms - Date.now()) / 1000;
  if (Math.abs(seconds) < 45) return 'now';
  const minutes = Math.round(seconds / 60);
  if (Math.abs(minutes) < 60) return relativeTime.format(minutes, 'minute');
  const hours = Math.round(minutes / 60);
  if (Math.abs(hours) < 24) return relativeTime.format(hours, 'hour');
  const days = Math.round(hours / 24);
  return Math.abs(days) < 30
    ? relativeTime.format(days, 'day')
    : relativeTime.format(Math.round(days / 30), 'month');
}

const textShown = 600;

/** The elements of one item. They stay while it is shown, so that focus stays where it was. */
function makeCard(id) {
  const current = () => inbox.items.get(id);
  const button = (testId, label) =>
    make('button', { type: 'button', className: 'quiet', data: { testid: testId } }, label);
  const card = {
    dot: make('span', { className: 'dot' }, make('span', { className: 'sr-only' }, 'Unread')),
    title: make('h3', { className: 'item-title', data: { testid: 'item-title' } }),
    time: make('time', { data: { testid: 'item-time' } }),
    text: make('p', { className: 'item-text', data: { testid: 'item-body' } }),
    whole: button('show-all', 'Show all of it'),
    links: make('div', { className: 'links' }),
    meta: make('p', { className: 'meta', data: { testid: 'item-meta' } }),
    read: button('mark-read', 'Mark read'),
    archive: button('archive', 'Archive'),
    delete: button('delete', 'Delete'),
    isWhole: false,
  };
  card.element = make(
    'li',
    { className: 'item', data: { testid: 'item', id } },
    make('div', { className: 'item-head' }, card.dot, card.title, card.time),
    card.text,
    card.whole,
    card.links,
    make(
      'div',
      { className: 'foot' },
      card.meta,
      make('div', { className: 'item-actions' }, card.read, card.archive, card.delete),
    ),
  );
  card.whole.onclick = () => {
    card.isWhole = !card.isWhole;
    updateCard(card, current());
  };
  card.read.onclick = () => {
    const item = current();
    if (item) (isRead(item) ? markUnread : markRead)(item);
  };
  card.archive.onclick = () => current() && remove('archive', current());
  card.delete.onclick = () => current() && remove('delete', current());
  card.element.addEventListener('animationend', (event) => {
    if (event.animationName === 'tint') card.element.classList.remove('arrived');
  });
  return card;
}

function linksOf(item) {
  const wanted = [];
  if (item.actionUrl) wanted.push({ label: 'Open', url: item.actionUrl });
  for (const { label, url } of item.actions ?? []) wanted.push({ label: label || 'Open', url });
  return wanted;
}

function updateCard(card, item) {
  if (item === undefined || card.item === item) return;
  const unread = isUnread(item);
  const title = item.title || '(no title)';
  card.element.classList.toggle('unread', unread);
  card.dot.hidden = !unread;
  card.element.dataset.notificationId = item.notificationId ?? '';
  card.element.dataset.unread = String(unread);
  setText(card.title, title);
  const body = item.body ?? '';
  const isLong = body.length > textShown;
  setText(card.text, isLong && !card.isWhole ? shorten(body, textShown) : body);
  card.text.hidden = body === '';
  card.whole.hidden = !isLong;
  setText(card.whole, card.isWhole ? 'Show less' : 'Show all of it');
  const createdAt = new Date(Number(item.createdAtMs ?? 0));
  if (!Number.isNaN(createdAt.getTime())) {
    card.time.dateTime = createdAt.toISOString();
    card.time.title = absoluteTime.format(createdAt);
    setText(card.time, ago(createdAt.getTime()));
  }
  const links = linksOf(item).map(({ label, url }) => {
    const href = safeUrl(url);
    if (href === undefined)
      return make(
        'span',
        { className: 'muted', title: url },
        `${label}: hidden, since only http and https links open from here`,
      );
    return make(
      'a',
      { href, target: '_blank', rel: 'noopener noreferrer', title: url, data: { testid: 'item-link' } },
      label,
    );
  });
  card.links.replaceChildren(...links);
  card.links.hidden = links.length === 0;
  card.meta.replaceChildren(...metaOf(item).map((text) => make('span', {}, text)));
  setText(card.read, isRead(item) ? 'Mark unread' : 'Mark read');
  card.read.dataset.testid = isRead(item) ? 'mark-unread' : 'mark-read';
  for (const button of [card.read, card.archive, card.delete])
    button.setAttribute('aria-label', `${button.textContent}: ${shorten(title, 80)}`);
}

function metaOf(item) {
  const parts = [isRead(item) ? 'read' : enumWord(item.status ?? 'pending', 'DELIVERY_STATUS_')];
  if (item.type) parts.push(item.type);
  const subject = [item.subjectType, item.subjectRef].filter(Boolean).join(' ');
  if (subject && subject !== item.type) parts.push(subject);
  const channels = (item.channels?.length ? item.channels : [item.channel ?? '']).map((name) =>
    enumWord(name, 'DELIVERY_CHANNEL_'),
  );
  if (channels.join() !== 'in-app') parts.push(channels.join(', '));
  if (item.urgency && item.urgency !== 'URGENCY_UNSPECIFIED')
    parts.push(`${enumWord(item.urgency, 'URGENCY_')} urgency`);
  if (item.groupCount > 1) parts.push(`${item.groupCount} grouped`);
  return parts;
}

function render() {
  clearTimeout(renderTimer);
  renderTimer = undefined;
  const list = byId('list');
  const items = shownItems();
  const ids = new Set(items.map(({ id }) => id));
  const focused = document.activeElement;
  const lost = focused?.closest('.item');
  const lostAt = lost ? [...list.children].indexOf(lost) : -1;
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.element.remove();
    cards.delete(id);
  }
  let next = list.firstElementChild;
  for (const item of items) {
    let card = cards.get(item.id);
    if (card === undefined) {
      card = makeCard(item.id);
      cards.set(item.id, card);
    }
    updateCard(card, item);
    if (inbox.arrived.has(item.id)) card.element.classList.add('arrived');
    if (card.element === next) next = next.nextElementSibling;
    else list.insertBefore(card.element, next);
  }
  inbox.arrived.clear();
  if (lost && !lost.isConnected) {
    // the item under the keyboard is gone: go on with the one that took its place
    const heir = list.children[Math.min(lostAt, list.children.length - 1)];
    const same =
      heir?.querySelector(`[data-testid="${focused.dataset.testid}"]`) ?? heir?.querySelector('button');
    (same ?? byId('inbox-heading')).focus();
  }
  const isEmpty = items.length === 0 && inbox.cursor === '';
  byId('empty').hidden = !isEmpty;
  const hasFilteredOut = inbox.filter === 'unread';
  setText(
    byId('empty-text'),
    inbox.loaded
      ? hasFilteredOut
        ? 'Nothing unread.'
        : 'Nothing here yet.'
      : loading
        ? 'Loading the inbox…'
        : 'The inbox is not loaded yet.',
  );
  byId('empty-link').hidden = !inbox.loaded;
  byId('more').hidden = inbox.cursor === '';
  renderCode();
}

setInterval(() => {
  for (const [id, card] of cards) {
    const item = inbox.items.get(id);
    if (item) setText(card.time, ago(Number(item.createdAtMs ?? 0)));
  }
}, 20_000);

// ---------------------------------------------------------------- the live stream

const stream = {
  source: undefined,
  state: 'connecting',
  sessionId: '',
  position: '',
  attempt: 0,
  timer: undefined,
  troubleTimer: undefined,
  lastHeardAt: 0,
  longestSilence: 0,
  endReason: '',
  /** Whether the server said that it has no streams (204). */
  isOff: false,
  /** Whether the next heartbeat is a connection's first. */
  isFirst: true,
};

/** 500 ms doubling to 10 s, with jitter. */
const backoff = (attempt) =>
  Math.min(10_000, 500 * 2 ** Math.max(0, attempt - 1)) * (0.5 + Math.random() / 2);

const stateWords = { connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting', ended: 'Ended' };

function setStreamState(state, detail = '') {
  const pill = byId('status');
  const text = detail ? `${stateWords[state]}: ${detail}` : stateWords[state];
  if (stream.state !== state || pill.textContent !== text) announce(`Live stream: ${text.toLowerCase()}`);
  stream.state = state;
  pill.dataset.state = state;
  setText(pill, text);
}

const endReasons = {
  shutdown: 'the server is stopping',
  max_age: 'the stream reached its age limit',
  token_expired: 'the token has expired',
  erased: 'everything about this user was erased',
  too_many_streams: 'this user has too many open streams; close a tab',
  overloaded: 'the server is overloaded',
  slow: 'this page read too slowly',
};

function closeSource() {
  stream.source?.close();
  stream.source = undefined;
  clearTimeout(stream.timer);
  noTrouble();
}

function noTrouble() {
  clearTimeout(stream.troubleTimer);
  stream.troubleTimer = undefined;
}

function openStream() {
  closeSource();
  stream.isOff = false;
  const parameters = new URLSearchParams({ access_token: token });
  if (stream.position !== '') parameters.set('last_event_id', stream.position);
  const source = new EventSource(`/v1/events?${parameters}`);
  stream.source = source;
  stream.lastHeardAt = Date.now();
  stream.isFirst = true;
  source.onopen = () => {
    stream.isFirst = true;
  };
  for (const [kind, handle] of Object.entries(handlers))
    source.addEventListener(kind, (event) => {
      if (source !== stream.source) return;
      hear(event);
      let data;
      try {
        data = JSON.parse(event.data || '{}');
      } catch {
        log(kind, event.lastEventId, 'not JSON; ignored');
        return;
      }
      handle(data, event.lastEventId);
    });
  source.onerror = () => {
    if (source !== stream.source) return;
    const wasLive = stream.state === 'live';
    if (wasLive) log('connection', '', 'lost');
    if (source.readyState === EventSource.CLOSED) {
      reopen();
      return;
    }
    // EventSource comes back by itself, and resumes after the last id it saw
    if (stream.state !== 'connecting') setStreamState('reconnecting', stream.endReason);
    troubleSoon();
  };
}

/** Says that the server is away, unless it is back in a moment. */
function troubleSoon() {
  if (stream.troubleTimer !== undefined) return;
  const source = stream.source;
  stream.troubleTimer = setTimeout(() => {
    stream.troubleTimer = undefined;
    if (source !== stream.source || stream.state === 'live' || problems.stream) return;
    const text = 'The live stream is interrupted. It reconnects by itself and catches up.';
    setProblem('stream', { text, button: 'Try now' });
  }, 2_500);
}

function hear(event) {
  const now = Date.now();
  if (stream.state === 'live')
    stream.longestSilence = Math.max(stream.longestSilence, now - stream.lastHeardAt);
  stream.lastHeardAt = now;
  if (event.lastEventId !== '') {
    stream.position = event.lastEventId;
    byId('position-line').hidden = false;
    setText(byId('position'), event.lastEventId);
  }
}

/** EventSource has given up: finds out why, says so, and opens a new one after a pause. */
async function reopen() {
  closeSource();
  stream.attempt += 1;
  setStreamState('reconnecting');
  const round = stream.attempt;
  const problem = await whyRefused();
  if (round !== stream.attempt || stream.source !== undefined) return;
  stream.isOff = problem === 'off';
  if (stream.isOff) {
    setStreamState('ended', 'switched off');
    setProblem('stream', {
      text: 'Live connections are switched off here (NOTIFY_LIVE_CONNECTIONS_ENABLED=false). The inbox is fetched every 15 s instead.',
      button: 'Try now',
    });
    pollInbox();
    return;
  }
  if (problem !== undefined) {
    log('connection', '', `refused: ${problem.code}`);
    setProblem('stream', { text: `${describe(problem)} Trying again.`, tone: 'bad', button: 'Try now' });
  }
  stream.timer = setTimeout(openStream, backoff(stream.attempt));
}

/** Asks for the stream by fetch, which shows the status that EventSource hides. */
async function whyRefused() {
  const parameters = new URLSearchParams({ access_token: token });
  const position = stream.position || (inbox.newest > 0n ? String(inbox.newest) : '');
  if (position !== '') parameters.set('last_event_id', position);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), requestTimeoutMs);
  try {
    const response = await fetch(`/v1/events?${parameters}`, {
      headers: { Accept: 'text/event-stream' },
      cache: 'no-store',
      signal: stop.signal,
    });
    if (response.status === 204) return 'off';
    if (response.status !== 200) return await errorOf(response);
    const type = response.headers.get('content-type') ?? '';
    return type.startsWith('text/event-stream')
      ? undefined
      : new CallError('unexpected', `The stream has the type ${type}.`);
  } catch {
    return new CallError('unreachable', 'The server cannot be reached.');
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function pollInbox() {
  clearTimeout(stream.timer);
  stream.timer = setTimeout(async () => {
    await loadInbox();
    if (stream.state !== 'ended') return;
    if (stream.isOff && (await whyRefused()) === undefined) tryNow();
    else pollInbox();
  }, 15_000);
}

function tryNow() {
  if (problems.identity) return;
  setProblem('stream', undefined);
  setProblem('inbox', undefined);
  stream.attempt = 0;
  loadFailures = 0;
  if (stream.state !== 'live') {
    setStreamState('connecting');
    openStream();
    troubleSoon();
  }
  loadInbox();
}

const handlers = {
  heartbeat(data, position) {
    noTrouble();
    stream.attempt = 0;
    stream.endReason = '';
    if (data.sessionId && data.sessionId !== stream.sessionId) stream.sessionId = data.sessionId;
    byId('session-line').hidden = false;
    const session = byId('session');
    session.title = stream.sessionId;
    session.dataset.session = stream.sessionId;
    setText(session, stream.sessionId.slice(0, 8));
    if (stream.state !== 'live') setStreamState('live');
    setProblem('stream', undefined);
    log('heartbeat', position, stream.isFirst ? `session ${stream.sessionId}` : '');
    // the first one is followed by what was missed, and by an inbox event with the version
    if (problems.inbox) loadInbox();
    else if (!stream.isFirst && data.inboxVersion !== undefined && int64(data.inboxVersion) !== inbox.version)
      loadSoon();
    stream.isFirst = false;
  },
  notification(item, position) {
    const isNew = merge(item);
    log('notification', position, `${shorten(item.title || item.notificationId || '', 80)}`);
    if (isNew) {
      inbox.arrived.add(item.id);
      announce(`New notification: ${shorten(item.title || item.body || '', 80)}`);
    }
    if (inbox.items.size > mostShown) loadSoon();
    renderSoon();
  },
  inbox(event, position) {
    const changes = [`${event.unreadCount ?? 0} unread`, `version ${event.version ?? 0}`];
    for (const [name, word] of [
      ['readIds', 'read'],
      ['unreadIds', 'unread again'],
      ['removedIds', 'removed'],
      ['updated', 'updated'],
    ])
      if (event[name]?.length > 0) changes.push(`${event[name].length} ${word}`);
    if (int64(event.readUpToPosition) > 0n) changes.push(`read up to ${event.readUpToPosition}`);
    log('inbox', position, changes.join(', '));
    applyInboxEvent(event);
  },
  async data_change(hint, position) {
    const what = [hint.subjectType, hint.subjectRef].filter(Boolean).join(' ') || hint.idempotencyKey;
    const entry = log('data_change', position, what);
    announce(`Data change: ${shorten(what, 80)}`);
    const body = { idempotencyKey: hint.idempotencyKey, sessionId: stream.sessionId };
    lastBody.hint = body;
    try {
      await call(operations.hint.method, body);
      entry(`${what}, acknowledged`);
    } catch (error) {
      entry(`${what}, not acknowledged (${error.code})`);
    }
    renderCode();
  },
  reset(_data, position) {
    log('reset', position, 'fetching the inbox again');
    loadInbox();
  },
  end({ reason = '', reconnect = false }, position) {
    const words = endReasons[reason] ?? reason;
    log('end', position, reconnect ? `${reason}, reconnects` : reason);
    stream.endReason = reason.replaceAll('_', ' ');
    if (reconnect && reason !== 'too_many_streams') {
      setStreamState('reconnecting', stream.endReason);
      troubleSoon();
      return;
    }
    closeSource();
    setStreamState('ended', stream.endReason);
    setProblem('stream', {
      text: `The live stream has ended: ${words}.`,
      tone: 'bad',
      button: 'Connect again',
    });
    pollInbox();
  },
};

// a connection that died without a word (a laptop that slept, a proxy): nothing heard for far too long
setInterval(() => {
  if (stream.state !== 'live') return;
  if (Date.now() - stream.lastHeardAt < Math.max(90_000, 3 * stream.longestSilence)) return;
  log('connection', '', 'silent for too long, opening a new one');
  setStreamState('reconnecting');
  stream.longestSilence = 0;
  openStream();
  troubleSoon();
}, 5_000);

// ---------------------------------------------------------------- the event log

const logLimit = 100;

/** Adds a line. @returns changes its text later */
function log(kind, position, detail) {
  const now = new Date();
  const text = make('span', { className: 'log-detail' });
  const line = make(
    'li',
    { data: { testid: 'log-row', kind, position } },
    make(
      'time',
      { className: 'mono', dateTime: now.toISOString(), title: absoluteTime.format(now) },
      clockTime.format(now),
    ),
    make('span', { className: 'log-kind' }, kind.replace('_', ' ')),
    text,
  );
  const words = make('span', { data: { testid: 'log-detail' } });
  if (position !== '') text.append(make('span', { className: 'mono' }, `#${position}`), ' ');
  text.append(words);
  const write = (what) => setText(words, what);
  write(detail);
  const list = byId('log');
  list.prepend(line);
  while (list.childElementCount > logLimit) list.lastElementChild.remove();
  countLog();
  return write;
}

function countLog() {
  const count = byId('log').childElementCount;
  setText(
    byId('log-count'),
    count === 0 ? '(nothing yet)' : `(${count === logLimit ? `last ${count}` : count})`,
  );
}

// ---------------------------------------------------------------- sending

let isSending = false;
let lastRequest;

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  byId('notification-id').value =
    `play-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

const entered = (id) => byId(id).value.toWellFormed();

/** The form as a NotifyRequest. What is empty is left out. */
function requestFromForm() {
  const request = {
    tenantId: tenant,
    notificationId: entered('notification-id').trim(),
    userIds: entered('to')
      .split(',')
      .map((id) => id.trim())
      .filter(Boolean),
    title: entered('title'),
    body: entered('body'),
  };
  const type = entered('type').trim();
  const actionUrl = entered('action').trim();
  if (type) request.type = type;
  if (actionUrl) request.actionUrl = actionUrl;
  if (entered('urgency')) request.urgency = entered('urgency');
  addWays(request);
  request.returnResults = true;
  return request;
}

async function send(request, isAgain) {
  if (isSending) return;
  if (request.channels?.length === 0) {
    byId('way-in_app').focus();
    showNote('Choose at least one channel to send by.');
    return;
  }
  isSending = true;
  const buttons = [byId('send'), byId('again')];
  for (const button of buttons) button.setAttribute('aria-disabled', 'true');
  try {
    const answer = await post('/playground/notify', request);
    lastRequest = request;
    byId('again').hidden = false;
    // a new send is a new notification; the same one goes out by "send again"
    if (!isAgain && byId('notification-id').value.trim() === request.notificationId) newId();
    showAnswer(request, answer, isAgain);
    lookAtMailbox();
  } catch (error) {
    showFailure(error);
  } finally {
    isSending = false;
    for (const button of buttons) button.removeAttribute('aria-disabled');
    renderCode();
  }
}

const countWords = [
  ['delivered', 'Delivered'],
  ['pending', 'Pending'],
  ['failed', 'Failed'],
  ['suppressed', 'Suppressed'],
];

/** Shows an answer and counts it, so that a test can tell it from the one before. */
function putAnswer(box) {
  const region = byId('answer-region');
  region.dataset.answers = String(Number(region.dataset.answers) + 1);
  region.replaceChildren(box);
}

function showAnswer(request, answer, isAgain) {
  const results = answer.results ?? [];
  const isRepeat = results.length > 0 ? results.every(({ created }) => created === false) : isAgain;
  const title = isRepeat ? 'This id was here before: nothing was sent again' : 'Accepted';
  const explanation = isRepeat
    ? 'The counts are those of what is stored. The first call’s content stays.'
    : answer.pending > 0 && results.length === 0
      ? 'Pending is stored and waits for a stream or a provider.'
      : '';
  const counts = make('dl', { className: 'counts' });
  const said = [];
  for (const [name, word] of countWords) {
    const count = Number(answer[name] ?? 0);
    if (name === 'suppressed' && count === 0) continue;
    said.push(`${count} ${name}`);
    counts.append(
      make(
        'div',
        {},
        make('dt', {}, word),
        make('dd', { data: { testid: `answer-${name}` } }, String(count)),
      ),
    );
  }
  const list = make('ul', { className: 'results', data: { testid: 'answer-results' } });
  for (const result of results.slice(0, 50)) {
    const who =
      result.userId === user
        ? make('span', {}, 'you')
        : nameProblem('user', result.userId ?? '') === ''
          ? make(
              'a',
              {
                href: pageFor(result.userId),
                target: '_blank',
                rel: 'noopener',
                title: 'Opens this inbox in a new tab',
              },
              result.userId,
            )
          : make('span', {}, result.userId ?? '');
    const reason = result.reason ? ` (${result.reason})` : '';
    const words = `${enumWord(result.channel, 'DELIVERY_CHANNEL_')}, ${enumWord(result.status, 'DELIVERY_STATUS_')}${reason}${dueWords(result)}`;
    list.append(make('li', {}, who, `: ${words}`));
  }
  if (results.length > 50) list.append(make('li', { className: 'muted' }, `and ${results.length - 50} more`));
  const raw = make('pre', { className: 'mono answer-text' }, JSON.stringify(answer, null, 2));
  const box = make(
    'div',
    {
      className: 'answer',
      data: {
        state: isRepeat ? 'repeat' : 'ok',
        testid: 'answer-box',
        notificationId: request.notificationId,
      },
    },
    make('p', { className: 'answer-title', data: { testid: 'answer-title' } }, title),
    make('p', { className: 'mono muted' }, request.notificationId),
    counts,
    list,
    make('details', {}, make('summary', { className: 'muted' }, 'As JSON'), raw),
  );
  list.hidden = results.length === 0;
  if (explanation) box.insertBefore(make('p', { className: 'muted' }, explanation), counts);
  putAnswer(box);
  announce(`${title}: ${said.join(', ')}`);
}

/** When a delivery that is pending goes on. */
function dueWords({ status, reason, dueAtMs }) {
  if (status !== 'DELIVERY_STATUS_PENDING' || int64(dueAtMs) === 0n) return '';
  if (!reason) return ', under way';
  return `, tried again at ${secondsTime.format(new Date(Number(dueAtMs)))}`;
}

function showFailure(error) {
  const box = make(
    'div',
    { className: 'answer', data: { state: 'error', testid: 'answer-box', code: error.code } },
    make(
      'p',
      { className: 'answer-title', data: { testid: 'answer-title' } },
      `Not sent: ${error.code.replaceAll('_', ' ')}`,
    ),
    make('p', { className: 'answer-text', data: { testid: 'answer-message' } }, error.message),
  );
  putAnswer(box);
  announce(`Not sent: ${error.message}`);
}

// ---------------------------------------------------------------- channels to send by

/** What a channel is called, and its address, with one to begin with. */
const channelForms = {
  in_app: { label: 'In-app' },
  email: { label: 'Email', address: 'Email address', value: `${user}@example.com`, inputMode: 'email' },
  sms: { label: 'SMS', address: 'Phone number (SMS)', value: '+15550100', inputMode: 'tel' },
  whatsapp: { label: 'WhatsApp', address: 'Phone number (WhatsApp)', value: '+15550101', inputMode: 'tel' },
  web_push: {
    label: 'Web push',
    address: 'Web push subscription',
    value: `browser-of-${user}`,
    hasDevices: true,
  },
  mobile_push: {
    label: 'Mobile push',
    address: 'Mobile push token',
    value: `phone-of-${user}`,
    hasDevices: true,
  },
  webhook: { label: 'Webhook', address: 'Webhook address', value: '' },
  chat: { label: 'Chat', address: 'Chat address', value: 'general' },
};

const channelLabel = (channel) => channelForms[channel]?.label ?? channel;

/** Channels that have a provider here, in the order of the form. */
const ways = Object.keys(channelForms).filter((channel) => boot.providers[channel] !== undefined);
/** Where the sandbox keeps everything, no test provider is given anything. */
const testWays =
  boot.sandbox === 'capture' ? [] : ways.filter((channel) => boot.providers[channel] === 'test');
const hasMailbox = testWays.length > 0 || (boot.sandbox !== '' && ways.length > 0);

/** Puts the form's channels into a request. Without a provider there is no choice, and in-app goes by itself. */
function addWays(request) {
  if (ways.length === 0) return;
  const chosen = ['in_app', ...ways].filter((channel) => byId(`way-${channel}`).checked);
  request.channels = chosen.map((channel) => `DELIVERY_CHANNEL_${channel.toUpperCase()}`);
  const byChannel = {};
  for (const channel of chosen) {
    const address = channel === 'in_app' ? '' : entered(`address-${channel}`).trim();
    if (address) byChannel[channel] = address;
  }
  if (Object.keys(byChannel).length > 0)
    request.addresses = Object.fromEntries(request.userIds.map((id) => [id, { byChannel }]));
}

function setUpWays() {
  byId('send-by').hidden = ways.length === 0;
  byId('no-providers').hidden = ways.length > 0;
  byId('words-hint').hidden = testWays.length === 0;
  for (const channel of ['in_app', ...ways]) {
    const { label, address, value, inputMode = '', hasDevices } = channelForms[channel];
    const box = make('input', {
      type: 'checkbox',
      id: `way-${channel}`,
      checked: channel === 'in_app',
      data: { testid: `way-${channel}` },
    });
    byId('ways').append(make('label', { className: 'check' }, box, label));
    if (channel === 'in_app') continue;
    const input = make('input', {
      className: 'control',
      id: `address-${channel}`,
      // a real provider knows nobody of these names
      value: hasDevices && boot.providers[channel] !== 'test' ? '' : value,
      inputMode,
      autocomplete: 'off',
      autocapitalize: 'none',
      spellcheck: false,
      placeholder: hasDevices ? 'empty: the devices that the user registered' : 'no address',
      data: { testid: `address-${channel}` },
    });
    const by = boot.providers[channel] === 'test' ? '' : `, by ${boot.providers[channel]}`;
    const words = `${address}${by}${boot.sandbox === '' ? '' : ', behind the sandbox'}`;
    const field = make('div', { className: 'field' }, make('label', { htmlFor: input.id }, words), input);
    field.hidden = true;
    byId('addresses').append(field);
    box.addEventListener('change', () => {
      field.hidden = !box.checked;
    });
  }
}

// ---------------------------------------------------------------- the test mailbox

const lookEveryMs = 1_000;
const shownAtFirst = 8;

const mailbox = {
  cursor: '',
  /** What the test provider was given, by number. */
  messages: new Map(),
  /** What the next messages meet, by channel. */
  channels: {},
  /** How many deliveries are shown. */
  most: shownAtFirst,
  timer: undefined,
  isLooking: false,
  failures: 0,
};

/** What messages may meet. */
const scenes = {
  accept: 'accepted',
  fail: 'failing for now',
  fail30s: 'failing (retry in 30 s)',
  refuse: 'refused for good',
  gone: 'refused, nobody there any more',
  stall: 'never answered',
  slow5s: 'accepted after 5 s',
};

const outcomes = {
  waiting: { word: 'no answer yet', tone: 'warn' },
  accepted: { word: 'accepted', tone: 'good' },
  failed: { word: 'failed for now', tone: 'warn' },
  refused: { word: 'refused', tone: 'bad' },
  aborted: { word: 'given up waiting', tone: 'warn' },
  captured: { word: 'kept by the sandbox', tone: 'good' },
};

/** Asks what is new, and again a moment later. A tab that nobody sees asks for nothing. */
async function lookAtMailbox() {
  if (!hasMailbox || mailbox.isLooking) return;
  clearTimeout(mailbox.timer);
  mailbox.isLooking = true;
  try {
    if (!document.hidden) {
      const query = new URLSearchParams({ after: mailbox.cursor });
      takeMail(await ask('GET', `/dev/test-provider?${query}`));
      mailbox.failures = 0;
    }
  } catch {
    // the stream says that the server is away
    mailbox.failures += 1;
  } finally {
    mailbox.isLooking = false;
    mailbox.timer = setTimeout(lookAtMailbox, mailbox.failures > 0 ? backoff(mailbox.failures) : lookEveryMs);
  }
}

function takeMail({ cursor, oldest, messages, channels }) {
  // another process answers: its numbers begin anew
  const isSame = cursor.split('.')[0] === mailbox.cursor.split('.')[0];
  const isFirst = mailbox.cursor === '';
  if (!isSame) mailbox.messages.clear();
  mailbox.cursor = cursor;
  for (const message of messages) mailbox.messages.set(message.number, message);
  for (const number of mailbox.messages.keys()) if (number < oldest) mailbox.messages.delete(number);
  if (JSON.stringify(mailbox.channels) !== JSON.stringify(channels)) {
    mailbox.channels = channels;
    renderOutages();
  }
  if (!isFirst)
    for (const { channel, destination, outcome } of messages)
      if (outcome !== 'waiting')
        announce(`${channelLabel(channel)} to ${shorten(destination, 60)}: ${outcomes[outcome].word}`);
  renderMail();
}

/** One entry for each delivery, the newest first: its last message, and how often it came. A retry moves nothing. */
function deliveriesInMailbox() {
  const byKey = new Map();
  for (const message of [...mailbox.messages.values()].sort((a, b) => a.number - b.number)) {
    const known = byKey.get(message.idempotencyKey);
    if (known === undefined) byKey.set(message.idempotencyKey, { message, tries: 1 });
    else Object.assign(known, { message, tries: known.tries + 1 });
  }
  return [...byKey.values()].reverse();
}

const letters = new Map();

function renderMail() {
  const all = deliveriesInMailbox();
  const shown = all.slice(0, mailbox.most);
  const keys = new Set(shown.map(({ message }) => message.idempotencyKey));
  for (const [key, letter] of letters) {
    if (keys.has(key)) continue;
    if (letter.element.contains(document.activeElement)) byId('mailbox-heading').focus();
    letter.element.remove();
    letters.delete(key);
  }
  const list = byId('mail');
  let next = list.firstElementChild;
  for (const { message, tries } of shown) {
    const letter = letters.get(message.idempotencyKey) ?? makeLetter(message);
    letters.set(message.idempotencyKey, letter);
    updateLetter(letter, message, tries);
    if (letter.element === next) next = next.nextElementSibling;
    else list.insertBefore(letter.element, next);
  }
  const badge = byId('mail-count');
  badge.dataset.count = String(all.length);
  setText(badge, String(all.length));
  byId('mail-none').hidden = all.length > 0;
  byId('mail-more').hidden = all.length <= shown.length;
}

function makeLetter({ channel, destination, userId, tenantId, title, body, idempotencyKey }) {
  const letter = {
    key: idempotencyKey,
    tenantId,
    tag: make('span', { className: 'tag', data: { testid: 'mail-outcome' } }),
    time: make('time', {}),
    summary: make('summary', { className: 'attempts-summary' }),
    status: make('p', { data: { testid: 'mail-status' } }),
    attempts: make('ol', { data: { testid: 'mail-attempts' } }),
    isPending: true,
  };
  const whose = tenantId === tenant ? userId : `${userId} of ${tenantId}`;
  letter.details = make(
    'details',
    { className: 'attempts', data: { testid: 'mail-details' } },
    letter.summary,
    letter.status,
    letter.attempts,
  );
  letter.element = make(
    'li',
    { className: 'mail', data: { testid: 'mail', channel, key: idempotencyKey } },
    make(
      'div',
      { className: 'mail-head' },
      letter.tag,
      make(
        'span',
        { className: 'mail-to' },
        `${channelLabel(channel)} to `,
        make('span', { data: { testid: 'mail-destination' } }, shorten(destination, 200)),
      ),
      letter.time,
    ),
    make('h3', { className: 'item-title', data: { testid: 'mail-title' } }, title || '(no title)'),
    make('p', { className: 'item-text', data: { testid: 'mail-body' } }, shorten(body, textShown)),
    make(
      'p',
      { className: 'meta' },
      make('span', {}, whose),
      make('span', { className: 'mono', title: 'The idempotency key: the delivery’s id' }, idempotencyKey),
    ),
    letter.details,
  );
  letter.details.addEventListener('toggle', () => letter.details.open && readAttempts(letter));
  return letter;
}

function updateLetter(letter, message, tries) {
  const { word, tone } = outcomes[message.outcome] ?? { word: message.outcome, tone: 'warn' };
  letter.element.dataset.outcome = message.outcome;
  letter.element.dataset.tries = String(tries);
  letter.tag.dataset.tone = tone;
  setText(letter.tag, word);
  const at = new Date(message.atMs);
  letter.time.dateTime = at.toISOString();
  letter.time.title = absoluteTime.format(at);
  setText(letter.time, secondsTime.format(at));
  setText(letter.summary, tries === 1 ? 'Attempts' : `Attempts: ${tries}`);
  const state = `${message.number} ${message.outcome}`;
  if (letter.details.open && (letter.isPending || state !== letter.state)) readAttempts(letter);
  letter.state = state;
}

/** Shows what the delivery log says. */
async function readAttempts(letter) {
  if (letter.isReading) return;
  letter.isReading = true;
  try {
    const query = new URLSearchParams({ tenant: letter.tenantId });
    const { delivery } = await ask('GET', `/dev/deliveries/${letter.key}?${query}`);
    letter.isPending = delivery.status === 'DELIVERY_STATUS_PENDING';
    const status = enumWord(delivery.status, 'DELIVERY_STATUS_');
    const reason = delivery.reason ? ` (${delivery.reason})` : '';
    letter.status.dataset.status = status;
    setText(letter.status, `Now ${status}${reason}${dueWords(delivery)}.`);
    const lines = delivery.attempts.map(({ startedAtMs, durationMs, status: outcome, reason: why, detail }) =>
      [
        clockTime.format(new Date(Number(startedAtMs))),
        `${enumWord(outcome, 'DELIVERY_STATUS_')}${why ? ` (${why})` : ''} after ${durationMs} ms`,
        detail,
      ]
        .filter(Boolean)
        .join(' · '),
    );
    if (lines.join('\n') !== letter.lines)
      letter.attempts.replaceChildren(...lines.map((line) => make('li', {}, line)));
    letter.lines = lines.join('\n');
  } catch (error) {
    letter.isPending = false;
    setText(
      letter.status,
      error.code === 'not_found' ? 'The store has no such delivery any more.' : describe(error),
    );
  } finally {
    letter.isReading = false;
  }
}

/** Says on which channels messages do not simply go out. */
function renderOutages() {
  const outages = Object.entries(mailbox.channels).filter(([, { next }]) => next !== 'accept');
  const words = outages.map(([channel, { next, count }]) => {
    const howMany = count === undefined ? '' : count === 1 ? ', the next one' : `, the next ${count}`;
    return `${channelLabel(channel)}: ${scenes[next] ?? next}${howMany}`;
  });
  const isEvery = outages.length > 1 && outages.length === testWays.length;
  const isAlike = new Set(words.map((text) => text.slice(text.indexOf(':')))).size === 1;
  const text =
    isEvery && isAlike ? `Every channel${words[0].slice(words[0].indexOf(':'))}` : words.join('. ');
  if (byId('outages').contains(document.activeElement) && outages.length === 0)
    byId('mailbox-heading').focus();
  byId('outages').hidden = outages.length === 0;
  setText(byId('outages-text'), text);
}

async function setScene(channel, scene) {
  try {
    const path = channel === '' ? '/dev/test-provider' : `/dev/test-provider/${channel}`;
    const { channels } = await ask('PUT', path, scene);
    mailbox.channels = channels;
    renderOutages();
    announce(byId('outages-text').textContent || 'Messages are accepted again');
  } catch (error) {
    showNote(describe(error));
  }
}

function setUpMailbox() {
  byId('mailbox').hidden = !hasMailbox;
  if (!hasMailbox) return;
  byId('outage').hidden = testWays.length === 0;
  if (boot.sandbox !== '') {
    setText(byId('mail-kind'), 'Sandbox mailbox');
    setText(
      byId('mail-nobody'),
      boot.sandbox === 'capture'
        ? 'everything is kept here'
        : 'what has no address of the sandbox’s is kept here',
    );
  }
  const options = (words) => Object.entries(words).map(([value, label]) => make('option', { value }, label));
  byId('outage-channel').append(make('option', { value: '' }, 'Every channel'));
  byId('outage-channel').append(...testWays.map((value) => make('option', { value }, channelLabel(value))));
  byId('outage-next').append(...options(scenes));
  byId('outage-next').value = 'fail';
  byId('outage').addEventListener('submit', (event) => {
    event.preventDefault();
    const count = byId('outage-count').value;
    const next = byId('outage-next').value;
    setScene(byId('outage-channel').value, { next, ...(count !== '' && { count: Number(count) }) });
  });
  byId('outages-off').onclick = () => setScene('', { next: 'accept' });
  byId('mail-clear').onclick = async () => {
    try {
      await ask('DELETE', '/dev/test-provider/messages');
      mailbox.messages.clear();
      mailbox.most = shownAtFirst;
      renderMail();
      byId('mailbox-heading').focus({ preventScroll: true });
    } catch (error) {
      showNote(describe(error));
    }
  };
  byId('mail-more-button').onclick = () => {
    const before = letters.size;
    mailbox.most += 20;
    renderMail();
    byId('mail').children[before]?.querySelector('summary')?.focus();
  };
  document.addEventListener('visibilitychange', lookAtMailbox);
  lookAtMailbox();
}

// ---------------------------------------------------------------- the same in code

const nowhere = '00000000-0000-0000-0000-000000000000';
const clientUrl = location.origin === 'null' ? `http://localhost:${boot.clientPort}` : location.origin;
const internalUrl = `http://${location.hostname || 'localhost'}:${boot.internalPort}`;

/** The bodies of the last calls, by operation. */
const lastBody = {};

const idOrNewest = (operation) => lastBody[operation] ?? { id: shownItems()[0]?.id ?? nowhere };

const operations = {
  notify: {
    label: 'Send this notification',
    method: 'elloloop.notify.v1.NotificationInternalService/Notify',
    isInternal: true,
    body: requestFromForm,
  },
  stream: { label: 'Follow the live stream' },
  list: {
    label: 'List the inbox',
    method: `${clientService}/GetNotifications`,
    body: () => lastBody.list ?? { limit: pageSize },
  },
  read: { label: 'Mark read', method: `${clientService}/AckNotification`, body: () => idOrNewest('read') },
  unread: { label: 'Mark unread', method: `${inboxService}/MarkUnread`, body: () => idOrNewest('unread') },
  archive: { label: 'Archive', method: `${inboxService}/Archive`, body: () => idOrNewest('archive') },
  unarchive: {
    label: 'Take out of the archive',
    method: `${inboxService}/Unarchive`,
    body: () => idOrNewest('unarchive'),
  },
  delete: { label: 'Delete', method: `${inboxService}/DeleteNotification`, body: () => idOrNewest('delete') },
  readAll: { label: 'Mark all read', method: `${inboxService}/MarkAllRead`, body: () => ({}) },
  hint: {
    label: 'Acknowledge a data change',
    method: `${clientService}/AckDataChange`,
    body: () => lastBody.hint ?? { idempotencyKey: 'key', sessionId: stream.sessionId || nowhere },
  },
};

/** Keeps the call that was made last, and shows it. */
function remember(operation, body) {
  lastBody[operation] = body;
  byId('call').value = operation;
  renderCode();
}

/** Characters that cannot be seen must not hide in code that somebody copies. */
const unseen = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const json = (value, indent) =>
  JSON.stringify(value, null, indent).replace(
    unseen,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const inShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const inJs = (text) => `'${json(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
// a raw string cannot hold a backtick
const inGo = (text) => (text.includes('`') ? json(text) : `\`${text}\``);

/** A value as a literal of JavaScript or Python. */
function literal(value, language, by = '') {
  const inner = `${by}${language.indent}`;
  if (Array.isArray(value)) return `[${value.map((item) => literal(item, language, by)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0) return '{}';
    const lines = entries.map(
      ([key, item]) => `${inner}${language.key(key)}: ${literal(item, language, inner)},`,
    );
    return `{\n${lines.join('\n')}\n${by}}`;
  }
  return language.scalar(value);
}

const js = {
  indent: '  ',
  key: (name) => name,
  scalar: (value) => (typeof value === 'string' ? inJs(value) : String(value)),
};
const python = {
  indent: '    ',
  key: (name) => json(name),
  scalar: (value) => (value === true ? 'True' : value === false ? 'False' : json(value)),
};

const tokenVariable = 'NOTIFY_INTERNAL_TOKEN';

function describeCall(name) {
  const { method, isInternal, body } = operations[name];
  return {
    url: `${isInternal ? internalUrl : clientUrl}/${method}`,
    body: body(),
    bearer: isInternal ? undefined : `Bearer ${token}`,
    needsInternalToken: isInternal && Boolean(boot.internalToken),
  };
}

const eventSourceCode = () => `// In a browser, on a page of the same origin
// (or one that NOTIFY_ALLOWED_ORIGINS names).
const token = ${inJs(token)};
const inbox = new Map();
let session = '';

const call = (method, body) =>
  fetch(${inJs(`${clientUrl}/`)} + method, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Authorization: 'Bearer ' + token,
    },
    body: JSON.stringify(body),
  }).then((response) => response.json());

async function refetch() {
  const page = await call(
    '${clientService}/GetNotifications',
    { limit: 20 },
  );
  inbox.clear();
  for (const item of page.notifications) inbox.set(item.id, item);
  console.log('unread', page.unreadCount, [...inbox.values()]);
}

// It reconnects by itself and resumes after the last event it saw.
const events = new EventSource(
  ${inJs(`${clientUrl}/v1/events?access_token=`)} + encodeURIComponent(token),
);
const on = (kind, handle) =>
  events.addEventListener(kind, (event) => handle(JSON.parse(event.data)));

on('heartbeat', ({ sessionId }) => { session = sessionId; });
on('notification', (item) => {
  inbox.set(item.id, item); // by id: an item may come twice
  console.log('new', item.title);
});
on('inbox', ({ unreadCount }) => {
  console.log('unread', unreadCount);
  refetch(); // or apply readIds, unreadIds, removedIds, updated
});
on('data_change', ({ idempotencyKey, subjectType, subjectRef }) => {
  console.log('changed', subjectType, subjectRef);
  call(
    '${clientService}/AckDataChange',
    { idempotencyKey, sessionId: session },
  );
});
on('reset', refetch);
on('end', ({ reason, reconnect }) => {
  console.log('ended', reason);
  if (!reconnect) events.close();
});
refetch();
`;

const languages = {
  curl: {
    label: 'curl',
    stream: () => `curl -sS -N ${inShell(`${clientUrl}/v1/events`)} \\
  -H ${inShell(`Authorization: Bearer ${token}`)}
`,
    call: ({ url, body, bearer, needsInternalToken }) => {
      const lines = [`curl -sS ${inShell(url)}`, "  -H 'Content-Type: application/json'"];
      if (bearer) lines.push(`  -H ${inShell(`Authorization: ${bearer}`)}`);
      if (needsInternalToken) lines.push(`  -H "X-Notify-Internal-Token: $${tokenVariable}"`);
      lines.push(`  --data-raw ${inShell(json(body, 2))}`);
      return `${lines.join(' \\\n')}\n`;
    },
  },
  javascript: {
    label: 'JavaScript',
    stream: eventSourceCode,
    call: ({ url, body, bearer, needsInternalToken }) => {
      const headers = ["    'Content-Type': 'application/json',"];
      if (bearer) headers.push(`    Authorization: ${inJs(bearer)},`);
      if (needsInternalToken) headers.push(`    'X-Notify-Internal-Token': process.env.${tokenVariable},`);
      return `const response = await fetch(${inJs(url)}, {
  method: 'POST',
  headers: {
${headers.join('\n')}
  },
  body: JSON.stringify(${literal(body, js, '  ')}),
});
const answer = await response.json();
if (!response.ok) throw new Error(\`\${answer.code}: \${answer.message}\`);
console.log(answer);
`;
    },
  },
  go: {
    label: 'Go',
    stream: () => `package main

import (
	"bufio"
	"fmt"
	"log"
	"net/http"
)

func main() {
	req, err := http.NewRequest(http.MethodGet, ${json(`${clientUrl}/v1/events`)}, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", ${json(`Bearer ${token}`)})
	// after a break: req.Header.Set("Last-Event-ID", the last id)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		fmt.Println(lines.Text())
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
`,
    call: ({ url, body, bearer, needsInternalToken }) => `package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
${needsInternalToken ? '\t"os"\n' : ''}	"strings"
)

func main() {
	body := strings.NewReader(${inGo(json(body, 2))})
	req, err := http.NewRequest(http.MethodPost, ${json(url)}, body)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
${bearer ? `	req.Header.Set("Authorization", ${json(bearer)})\n` : ''}${needsInternalToken ? `	req.Header.Set("X-Notify-Internal-Token", os.Getenv("${tokenVariable}"))\n` : ''}	res, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Status, string(answer))
}
`,
  },
  python: {
    label: 'Python',
    stream: () => `import urllib.request

request = urllib.request.Request(
    ${json(`${clientUrl}/v1/events`)},
    headers={"Authorization": ${json(`Bearer ${token}`)}},
)
# after a break: request.add_header("Last-Event-ID", the last id)
with urllib.request.urlopen(request) as response:
    for line in response:
        print(line.decode().rstrip("\\n"), flush=True)
`,
    call: ({ url, body, bearer, needsInternalToken }) => {
      const headers = ['        "Content-Type": "application/json",'];
      if (bearer) headers.push(`        "Authorization": ${json(bearer)},`);
      if (needsInternalToken)
        headers.push(`        "X-Notify-Internal-Token": os.environ["${tokenVariable}"],`);
      return `import json
${needsInternalToken ? 'import os\n' : ''}import urllib.error
import urllib.request

body = ${literal(body, python)}
request = urllib.request.Request(
    ${json(url)},
    data=json.dumps(body).encode(),
    headers={
${headers.join('\n')}
    },
)
try:
    with urllib.request.urlopen(request, timeout=10) as response:
        print(json.load(response))
except urllib.error.HTTPError as error:
    print(error.code, json.load(error))
`;
    },
  },
  eventsource: { label: 'EventSource', stream: eventSourceCode, call: eventSourceCode },
};

let language = 'curl';

function renderCode() {
  const operation = byId('call').value || 'notify';
  const { stream: streamCode, call: callCode } = languages[language];
  const isNarrowed = language === 'eventsource';
  setText(
    byId('code'),
    operation === 'stream' || isNarrowed ? streamCode() : callCode(describeCall(operation)),
  );
}

function setUpCode() {
  byId('call').append(
    ...Object.entries(operations).map(([value, { label }]) => make('option', { value }, label)),
  );
  byId('call').addEventListener('change', renderCode);
  const names = Object.keys(languages);
  const tabs = names.map((name) =>
    make(
      'button',
      {
        type: 'button',
        className: 'tab',
        role: 'tab',
        id: `tab-${name}`,
        data: { testid: `code-tab-${name}` },
      },
      languages[name].label,
    ),
  );
  const choose = (index) => {
    language = names[index];
    tabs.forEach((tab, at) => {
      tab.setAttribute('aria-selected', String(at === index));
      tab.setAttribute('aria-controls', 'code');
      tab.tabIndex = at === index ? 0 : -1;
    });
    byId('code').setAttribute('aria-labelledby', tabs[index].id);
    byId('code').scrollTop = 0;
    renderCode();
  };
  tabs.forEach((tab, index) => {
    tab.onclick = () => choose(index);
    tab.onkeydown = ({ key }) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }[key];
      if (to === undefined) return;
      const at = (to + tabs.length) % tabs.length;
      choose(at);
      tabs[at].focus();
    };
  });
  byId('tabs').append(...tabs);
  choose(0);
  byId('copy').onclick = copyCode;
}

let copyTimer;

async function copyCode() {
  const code = byId('code');
  let isCopied = false;
  try {
    await navigator.clipboard.writeText(code.textContent);
    isCopied = true;
  } catch {
    // no clipboard on a page without TLS, other than localhost
    const selection = getSelection();
    selection.selectAllChildren(code);
    isCopied = document.execCommand('copy');
    if (isCopied) selection.removeAllRanges();
  }
  setText(byId('copy'), isCopied ? 'Copied' : 'Selected: press Ctrl+C');
  announce(isCopied ? 'Copied' : 'The code is selected');
  clearTimeout(copyTimer);
  copyTimer = setTimeout(() => setText(byId('copy'), 'Copy'), 2_500);
}

// ---------------------------------------------------------------- start

function setUpPage() {
  byId('to').value = user;
  byId('log-panel').open = matchMedia('(width >= 900px)').matches;
  newId();
  setUpIdentity();
  setUpWays();
  setUpCode();
  setUpMailbox();
  countLog();
  byId('form').addEventListener('submit', (event) => {
    event.preventDefault();
    byId('call').value = 'notify';
    send(requestFromForm(), false);
  });
  byId('form').addEventListener('input', () => {
    byId('call').value = 'notify';
    renderCode();
  });
  byId('again').onclick = () => lastRequest && send(lastRequest, true);
  byId('new-id').onclick = () => {
    newId();
    byId('call').value = 'notify';
    renderCode();
  };
  byId('read-all').onclick = markAllRead;
  byId('more-button').onclick = loadMore;
  byId('banner-button').onclick = tryNow;
  byId('clear').onclick = () => {
    byId('log').replaceChildren();
    countLog();
  };
  byId('heartbeats').onchange = ({ target }) => {
    byId('log').dataset.heartbeats = String(target.checked);
  };
  for (const link of document.querySelectorAll('a[href="#compose"]'))
    link.addEventListener('click', (event) => {
      event.preventDefault();
      byId('title').focus();
      byId('compose').scrollIntoView();
    });
  for (const radio of document.querySelectorAll('input[name="filter"]'))
    radio.addEventListener('change', () => {
      inbox.filter = radio.value;
      inbox.cursor = '';
      remember(
        'list',
        radio.value === 'unread' ? { limit: pageSize, unreadOnly: true } : { limit: pageSize },
      );
      render();
      loadInbox();
    });
}

setUpPage();
if (identityProblem) {
  setProblem('identity', { text: `${identityProblem} Choose another one and switch.`, tone: 'bad' });
  setStreamState('ended', 'no such user');
  byId('other-user').hidden = true;
  render();
} else {
  openStream();
  troubleSoon();
  loadInbox();
  render();
  setUpPush();
  addEventListener('online', tryNow);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && stream.state === 'reconnecting' && stream.source === undefined) tryNow();
  });
  addEventListener('pagehide', closeSource);
  addEventListener('pageshow', (event) => {
    if (event.persisted) tryNow();
  });
}
