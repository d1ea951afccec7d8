import { codes, DeliveryError } from '../../../src/core/channel.ts';
import type { Answer } from '../http/exchange.ts';
import { retryAfterMs } from '../http/retry-after.ts';

/** Apple's words for a token that it does not accept, whatever the status (developer.apple.com, "Sending web push notifications"). */
const credentialReasons = new Set([
  'BadJwtToken',
  'BadVapidPublicKey',
  'ExpiredJwtToken',
  'InvalidVapidPublicKey',
  'VapidPkHashMismatch',
]);

/** Statuses that pass: too slow, throttled by Windows (406, WNS) or by anybody (429), too early. */
const passing = new Set([406, 408, 425, 429]);

/**
 * Why a push service did not take a message (RFC 8030 §5, §7.3, §8.4; RFC 8292 §4.2; autopush-rs docs/src/http.md).
 *
 * | answer | |
 * |---|---|
 * | 201, any 2xx | accepted |
 * | 404, 410 | the subscription has ended: the device is forgotten |
 * | 401, 403, Apple's token reasons | our keys are not accepted: an operator has to act, so it is tried again |
 * | 406, 408, 425, 429, 5xx | tried again, not before Retry-After |
 * | 413, 400 and all others | no |
 *
 * @returns undefined: it was accepted
 */
export function refusalOf({ status, headers, body }: Answer, nowMs: number): DeliveryError | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 404 || status === 410)
    return new DeliveryError(
      'subscription_gone',
      `the push service answered ${status}: the subscription has ended`,
      {
        retryable: false,
      },
    );
  if (status === 401 || status === 403 || credentialReasons.has(reasonOf(body)))
    return new DeliveryError(
      codes.credentialsRejected,
      `the push service answered ${status}: it does not accept the VAPID keys, or the browser subscribed with others`,
      { retryable: true },
    );
  const after = retryAfterMs(headers, nowMs);
  const hint = status === 413 ? ': the message is too large for it' : '';
  return new DeliveryError(`http_${status}`, `the push service answered ${status}${hint}`, {
    retryable: status >= 500 || passing.has(status),
    ...(after !== undefined && { retryAfterMs: after }),
  });
}

/** Apple's reason, else ''. Only compared, never shown. */
function reasonOf(body: string): string {
  try {
    const reason = (JSON.parse(body) as { reason?: unknown } | null)?.reason;
    return typeof reason === 'string' ? reason : '';
  } catch {
    return '';
  }
}
