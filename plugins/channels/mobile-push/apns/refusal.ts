import type { IncomingHttpHeaders } from 'node:http2';
import { codes, DeliveryError } from '../../../../src/core/channel.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import type { Http2Answer } from './connection.ts';

const dead = new Set(['Unregistered', 'ExpiredToken', 'BadDeviceToken', 'DeviceTokenNotForTopic']);
/** Beside all of 403: what an operator has to mend. */
const operators = new Set(['TopicDisallowed', 'BadTopic', 'MissingTopic']);
/** Apple asks for 15 minutes after a 500 or 503. The usual pauses are left to grow to that; a busy minute is no outage. */
const passing = new Set(['IdleTimeout', 'TooManyRequests', 'TooManyProviderTokenUpdates']);

/**
 * Why APNs did not take a message ("Handling notification responses from APNs").
 *
 * | answer | |
 * |---|---|
 * | 410; BadDeviceToken, DeviceTokenNotForTopic, ExpiredToken | the app has gone, or the token is of another app or environment: the device is forgotten |
 * | 403; BadTopic, MissingTopic, TopicDisallowed | an operator has to act, so it is tried again |
 * | 429, 500, 503, IdleTimeout | tried again, not before Retry-After |
 * | other 400, 404, 405, 413 | no |
 *
 * @returns undefined: it was accepted
 */
export function apnsRefusal(answer: Http2Answer, nowMs: number): DeliveryError | undefined {
  const { status, headers } = answer;
  if (status === 200) return undefined;
  const reason = reasonOf(answer);
  const shown = reason === '' ? String(status) : `${reason} (${status})`;
  if (status === 410 || dead.has(reason))
    return new DeliveryError(
      'unregistered_token',
      `APNs answered ${shown}: the app was removed, or the token is of another app or environment`,
      { retryable: false },
    );
  if (status === 403 || operators.has(reason))
    return new DeliveryError(
      codes.credentialsRejected,
      `APNs answered ${shown}: it does not accept the key, its ids or the topic`,
      { retryable: true },
    );
  const after = retryAfterMs(headers as IncomingHttpHeaders & { 'retry-after'?: string }, nowMs);
  return new DeliveryError(`http_${status}`, `APNs answered ${shown}`, {
    retryable: status >= 500 || status === 429 || passing.has(reason),
    ...(after !== undefined && { retryAfterMs: after }),
  });
}

/** Apple's word for it; '' where there is none. */
export function reasonOf({ body }: Http2Answer): string {
  try {
    const reason = (JSON.parse(body) as { reason?: unknown } | null)?.reason;
    return typeof reason === 'string' && /^[A-Za-z]{1,40}$/.test(reason) ? reason : '';
  } catch {
    return '';
  }
}
