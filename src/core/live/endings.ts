import { NotifyError } from '../errors.ts';
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
