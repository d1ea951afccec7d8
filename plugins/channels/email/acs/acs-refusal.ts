import type { DeliveryError } from '../../../../src/core/channel.ts';
import type { Answer } from '../../http/exchange.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import { objectOf } from '../json.ts';
import { credentials, later, misconfigured, never } from '../refusals.ts';

/**
 * Why Azure did not take a mail; undefined: it did (https://learn.microsoft.com/rest/api/communication/email/email/send,
 * https://learn.microsoft.com/azure/communication-services/concepts/service-limits#email):
 *
 * | status | outcome |
 * |---|---|
 * | 401 (the key; a clock that is off) | credentials_rejected, waits |
 * | 403, 404 (DomainNotLinked), 3xx | provider_misconfigured, waits |
 * | 408, 409, 425, 429, 5xx | http_<status>, waits, until Retry-After where it is named |
 * | other 4xx (400 …) | http_<status>, for good |
 */
export function acsRefusal({ status, headers, body }: Answer, nowMs: number): DeliveryError | undefined {
  if (status >= 200 && status < 300) return undefined;
  const name = errorCode(headers, body);
  const said = `Azure answered ${status}${name && ` ${name}`}`;
  if (status === 401)
    return credentials(`${said}: it does not take the key, or this machine's clock is wrong`);
  if (status === 403 || status === 404 || status < 400)
    return misconfigured(
      `${said}: the sender's domain is not linked to the resource, or the endpoint is another one`,
    );
  if (status >= 500 || passing.includes(status))
    return later(`http_${status}`, said, retryAfterMs(headers, nowMs));
  return never(`http_${status}`, said);
}

const passing = [408, 409, 425, 429];

/** Azure's word for the error: `x-ms-error-code`, or `error.code` of the body. Only what is a word may be told. */
function errorCode(headers: Answer['headers'], body: string): string {
  const inBody = objectOf(body)?.error;
  const code =
    headers['x-ms-error-code'] ??
    (typeof inBody === 'object' && inBody !== null && 'code' in inBody ? inBody.code : '');
  return typeof code === 'string' && /^[A-Za-z]{1,60}$/.test(code) ? code : '';
}
