import type { DeliveryError } from '../../../../src/core/channel.ts';
import type { Answer } from '../../http/exchange.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import { credentials, later, misconfigured, never } from '../refusals.ts';

/**
 * Why SendGrid did not take a mail; undefined: it did. By its status alone, since the errors of the body quote the mail
 * (https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/responses, …/mail-send/errors, …/rate-limits):
 *
 * | status | outcome |
 * |---|---|
 * | 401 (the key; no credits left) | credentials_rejected, waits |
 * | 403 (a sender that is not verified, a scope, a block), 404, 451, 3xx | provider_misconfigured, waits |
 * | 408, 409, 425, 429, 5xx | http_<status>, waits, until Retry-After or X-RateLimit-Reset where it is named |
 * | other 4xx (400, 413 …) | http_<status>, for good |
 */
export function sendGridRefusal({ status, headers }: Answer, nowMs: number): DeliveryError | undefined {
  if (status >= 200 && status < 300) return undefined;
  const said = `SendGrid answered ${status}`;
  if (status === 401) return credentials(`${said}: it does not take the API key, or no credits are left`);
  if (status === 403)
    return misconfigured(`${said}: the sender is not verified, or the API key may not send`);
  if (status === 404 || status === 451 || status < 400) return misconfigured(said);
  if (status >= 500 || passing.includes(status))
    return later(`http_${status}`, said, retryAfterMs(headers, nowMs) ?? untilReset(headers, nowMs));
  return never(`http_${status}`, said);
}

const passing = [408, 409, 425, 429];

/** The longest wait that is believed, in milliseconds: limits are counted by the minute. */
const longestResetMs = 3_600_000;

/** X-RateLimit-Reset: when there is room again, in seconds since 1970. Told with every answer, so only where none is left. */
function untilReset(headers: Answer['headers'], nowMs: number): number | undefined {
  const [reset, remaining] = [headers['x-ratelimit-reset'], headers['x-ratelimit-remaining']];
  if (typeof reset !== 'string' || !/^\d{1,11}$/.test(reset)) return undefined;
  if (remaining !== undefined && remaining !== '0') return undefined;
  const afterMs = Number(reset) * 1000 - nowMs;
  return afterMs > longestResetMs ? undefined : Math.max(0, afterMs);
}
