import { byId, setText } from '../dom.js';
import { announce } from '../telling.js';

/** The live stream of this page. */
export const stream = {
  source: undefined,
  state: 'connecting',
  sessionId: '',
  position: '',
  attempt: 0,
  timer: undefined,
  troubleTimer: undefined,
  lastHeardAt: 0,
  /** Since when an answer is due, of which nothing has come yet; undefined where none is. */
  awaitedSince: undefined,
  longestSilence: 0,
  endReason: '',
  /** Whether the server said that it has no streams (204). */
  isOff: false,
  /** Whether the next heartbeat is a connection's first. */
  isFirst: true,
};

const stateWords = { connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting', ended: 'Ended' };

export function setStreamState(state, detail = '') {
  const pill = byId('status');
  const text = detail ? `${stateWords[state]}: ${detail}` : stateWords[state];
  if (stream.state !== state || pill.textContent !== text) announce(`Live stream: ${text.toLowerCase()}`);
  stream.state = state;
  pill.dataset.state = state;
  setText(pill, text);
}
