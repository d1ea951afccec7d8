import { NotifyError } from '../../../src/core/errors.ts';

/** When a producer that found the store full may try again: nothing but a reader makes room. */
const fullRetryAfterMs = 60_000;

/** What a row is answered that would be one more than its user may have. @param limit rows of one user */
export const inboxFull = (limit: number): NotifyError =>
  new NotifyError(
    'resource_exhausted',
    `this inbox is full: the memory store keeps ${limit} notifications a user and drops only ` +
      'read ones; mark some as read or delete them, or use the postgres store (NOTIFY_STORE_DRIVER)',
    { retryAfterMs: fullRetryAfterMs },
  );

/** What is answered to whatever does not fit into the store's memory. */
export const storeFull = (limitBytes: number): NotifyError =>
  new NotifyError(
    'resource_exhausted',
    `the memory store is full: it keeps ${limitBytes} bytes and drops only read notifications; mark some as ` +
      'read or delete them, or use the postgres store (NOTIFY_STORE_DRIVER)',
    { retryAfterMs: fullRetryAfterMs },
  );
