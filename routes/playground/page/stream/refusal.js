import { CallError, errorOf, requestTimeoutMs } from '../calls.js';
import { token } from '../identity.js';

/**
 * Asks for the stream by fetch, which shows the status that EventSource hides.
 * @param position where it would resume; '' where it would not
 * @returns a CallError, or 'off' where the server has no streams; undefined where it would open
 */
export async function whyRefused(position) {
  const parameters = new URLSearchParams({ access_token: token });
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
