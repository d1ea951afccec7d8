import { problems, setProblem } from '../telling.js';
import { stream } from './state.js';

/** Says that the server is away, unless it is back in a moment. */
export function troubleSoon() {
  if (stream.troubleTimer !== undefined) return;
  const source = stream.source;
  stream.troubleTimer = setTimeout(() => {
    stream.troubleTimer = undefined;
    if (source !== stream.source || stream.state === 'live' || problems.stream) return;
    const text = 'The live stream is interrupted. It reconnects by itself and catches up.';
    setProblem('stream', { text, button: 'Try now' });
  }, 2_500);
}

/** The server is back. */
export function noTrouble() {
  clearTimeout(stream.troubleTimer);
  stream.troubleTimer = undefined;
}
