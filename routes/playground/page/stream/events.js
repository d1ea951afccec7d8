import { call, methods } from '../calls.js';
import { keep, refreshCode } from '../code/last-calls.js';
import { byId, int64, setText, shorten } from '../dom.js';
import { applyInboxEvent } from '../inbox/changes.js';
import { inbox, merge } from '../inbox/inbox.js';
import { loadInbox, loadSoon } from '../inbox/loading.js';
import { renderSoon } from '../redraw.js';
import { announce, problems, setProblem } from '../telling.js';
import { closeSource, on, pollInbox } from './connection.js';
import { log } from './log.js';
import { setStreamState, stream } from './state.js';
import { noTrouble, troubleSoon } from './trouble.js';

/** With more items than this the inbox is fetched anew, which leaves 100 of them at most. */
const mostShown = 500;

const endReasons = {
  shutdown: 'the server is stopping',
  max_age: 'the stream reached its age limit',
  token_expired: 'the token has expired',
  erased: 'everything about this user was erased',
  too_many_streams: 'this user has too many open streams; close a tab',
  overloaded: 'the server is overloaded',
  slow: 'this page read too slowly',
};

/** What the page does with what comes over the stream, by the kind of event. */
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
    keep('hint', body);
    try {
      await call(methods.hint, body);
      entry(`${what}, acknowledged`);
    } catch (error) {
      entry(`${what}, not acknowledged (${error.code})`);
    }
    refreshCode();
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

export function setUpEvents() {
  for (const [kind, handle] of Object.entries(handlers)) on(kind, handle);
}
