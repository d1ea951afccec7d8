import { backoff } from '../backoff.js';
import { describe } from '../calls.js';
import { byId, setText } from '../dom.js';
import { token } from '../identity.js';
import { inbox } from '../inbox/inbox.js';
import { forgetFailures, loadInbox } from '../inbox/loading.js';
import { problems, setProblem } from '../telling.js';
import { log } from './log.js';
import { whyRefused } from './refusal.js';
import { setStreamState, stream } from './state.js';
import { noTrouble, troubleSoon } from './trouble.js';

/** How long a stream may take to say its first word. */
const firstWordMs = 8_000;

/** What each kind of event does, by its name. */
const handlers = {};

/** Has something done with every event of a kind: with its data, and its position where it has one. */
export function on(kind, handle) {
  handlers[kind] = handle;
}

export function closeSource() {
  stream.source?.close();
  stream.source = undefined;
  stream.awaitedSince = undefined;
  clearTimeout(stream.timer);
  noTrouble();
}

function openStream() {
  closeSource();
  stream.isOff = false;
  const parameters = new URLSearchParams({ access_token: token });
  if (stream.position !== '') parameters.set('last_event_id', stream.position);
  const source = new EventSource(`/v1/events?${parameters}`);
  stream.source = source;
  stream.lastHeardAt = Date.now();
  stream.awaitedSince = Date.now();
  stream.isFirst = true;
  source.onopen = () => {
    stream.awaitedSince = Date.now();
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
    stream.awaitedSince = undefined;
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

function hear(event) {
  const now = Date.now();
  if (stream.state === 'live')
    stream.longestSilence = Math.max(stream.longestSilence, now - stream.lastHeardAt);
  stream.lastHeardAt = now;
  stream.awaitedSince = undefined;
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
  const problem = await refused();
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

const refused = () => whyRefused(stream.position || (inbox.newest > 0n ? String(inbox.newest) : ''));

/** Without a stream the inbox is fetched. */
export function pollInbox() {
  clearTimeout(stream.timer);
  stream.timer = setTimeout(async () => {
    await loadInbox();
    if (stream.state !== 'ended') return;
    if (stream.isOff && (await refused()) === undefined) tryNow();
    else pollInbox();
  }, 15_000);
}

/** Opens a stream at once, whatever was waited for. */
function tryNow() {
  if (problems.identity) return;
  setProblem('stream', undefined);
  setProblem('inbox', undefined);
  stream.attempt = 0;
  forgetFailures();
  if (stream.state !== 'live') {
    setStreamState('connecting');
    openStream();
    troubleSoon();
  }
  loadInbox();
}

/** A connection that died without a word (a laptop that slept, a proxy): no first word, or nothing heard for far too long. */
function watchSilence() {
  if (stream.awaitedSince !== undefined && Date.now() - stream.awaitedSince >= firstWordMs) {
    log('connection', '', 'no answer, trying again');
    reopen();
    return;
  }
  if (stream.state !== 'live') return;
  if (Date.now() - stream.lastHeardAt < Math.max(90_000, 3 * stream.longestSilence)) return;
  log('connection', '', 'silent for too long, opening a new one');
  setStreamState('reconnecting');
  stream.longestSilence = 0;
  openStream();
  troubleSoon();
}

/** Opens the stream, and keeps it open. */
export function connect() {
  openStream();
  troubleSoon();
  setInterval(watchSilence, 2_000);
  byId('banner-button').onclick = tryNow;
  addEventListener('online', tryNow);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && stream.state === 'reconnecting' && stream.source === undefined) tryNow();
  });
  addEventListener('pagehide', closeSource);
  addEventListener('pageshow', (event) => {
    if (event.persisted) tryNow();
  });
}
