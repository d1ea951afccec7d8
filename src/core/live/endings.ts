import { isUnavailable, NotifyError, publicError } from '../errors.ts';
import type { EndReason } from './events.ts';

/** The public contract's clean end: known clients open another stream at once, without a pause. */
const reconnect = new NotifyError('canceled', 'reconnect');

/**
 * How RPC tells why a stream that was open has ended. Only what cannot happen again at once is a clean end; after the others a
 * client has to pause, or it would come back as fast as it can.
 */
export const endings: Readonly<Record<EndReason, NotifyError>> = {
  shutdown: reconnect,
  max_age: reconnect,
  erased: reconnect,
  // the same token is taken for some seconds more, for clocks that differ
  token_expired: new NotifyError(
    'unauthenticated',
    'the token has expired; open the stream again with a new one',
  ),
  too_many_streams: new NotifyError('resource_exhausted', 'there are too many live streams; close some', {
    retryAfterMs: 600_000,
  }),
  overloaded: new NotifyError('resource_exhausted', 'this server is overloaded; open the stream again', {
    retryAfterMs: 5_000,
  }),
  slow: new NotifyError(
    'resource_exhausted',
    'this stream is not read as fast as its events come; open it again',
    { retryAfterMs: 5_000 },
  ),
};

/** When clients come back to a store that is away, in milliseconds; up to twice as late, so that they do not come together. */
const storeRetryAfterMs = 5_000;

/**
 * How RPC tells that a stream's work failed.
 * @param random from 0 to 1, for when to come back
 */
export function failureEnding(error: unknown, random: number): NotifyError {
  const shown = publicError(error);
  if (!isUnavailable(shown)) return shown;
  return new NotifyError('unavailable', shown.message, { retryAfterMs: storeRetryAfterMs * (1 + random) });
}
