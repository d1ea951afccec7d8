import { codes, type DeliveryError } from '../../../../src/core/channel.ts';
import type { Answer } from '../../http/exchange.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import { objectOf } from '../json.ts';
import { credentials, later, misconfigured, never } from '../refusals.ts';

/**
 * Why SES did not take a mail; undefined: it did
 * (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors, …/CommonErrors.html,
 * https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html, …/manage-sending-quotas-errors.html):
 *
 * | error | outcome |
 * |---|---|
 * | MessageRejected for an identity that is not verified (the sandbox, too) | provider_misconfigured, waits |
 * | MessageRejected otherwise | message_refused, for good |
 * | MailFromDomainNotVerified, AccountSuspended, SendingPaused, NotFound, 404 | provider_misconfigured, waits |
 * | 401, 403, and the names of credentials that are wrong or have run out | credentials_rejected, waits |
 * | Throttling…, TooManyRequests, LimitExceeded, 429 | http_<status>, waits; 10 min where the day's quota is used up |
 * | other 5xx, 408 | http_<status>, waits |
 * | other 4xx (BadRequest, validation) | http_<status>, for good |
 *
 * The message of a refusal is looked at for two of its fixed phrases, and never passed on: it quotes addresses.
 */
export function sesRefusal({ status, headers, body }: Answer, nowMs: number): DeliveryError | undefined {
  if (status >= 200 && status < 300) return undefined;
  const { name, message } = errorOf(headers, body);
  const said = `SES answered ${status}${name && ` ${name}`}`;
  if (name === 'MessageRejected')
    return /not verified/i.test(message)
      ? misconfigured(`${said}: the sender is not verified, or the account is still in the sandbox`)
      : never(codes.messageRefused, said);
  if (setUp.includes(name) || status === 404) return misconfigured(said);
  if (isThrottling(name) || status === 429)
    return later(
      `http_${status}`,
      said,
      retryAfterMs(headers, nowMs) ?? (isDailyQuota(name, message) ? quotaPauseMs : undefined),
    );
  if (logins.includes(name) || status === 401 || status === 403)
    return credentials(`${said}: it does not take the AWS credentials, or they may not send`);
  if (status >= 500 || status === 408) return later(`http_${status}`, said, retryAfterMs(headers, nowMs));
  if (status < 400) return misconfigured(said);
  return never(`http_${status}`, said);
}

const setUp = [
  'MailFromDomainNotVerifiedException',
  'AccountSuspendedException',
  'SendingPausedException',
  'NotFoundException',
];
const logins = [
  'AccessDeniedException',
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationTokenException',
  'NotAuthorized',
  'OptInRequired',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
];
const isThrottling = (name: string): boolean =>
  /^Throttling/.test(name) || name === 'TooManyRequestsException' || name === 'LimitExceededException';

/** How long to wait, in milliseconds, where a quota of 24 hours is used up: AWS says up to 10 minutes at a time. */
const quotaPauseMs = 600_000;
const isDailyQuota = (name: string, message: string): boolean =>
  name === 'LimitExceededException' || /daily (message )?(sending )?quota/i.test(message);

/** The error's name as AWS's JSON protocol has it: `x-amzn-errortype: Name:http://…`, or `__type: prefix#Name` in the body. */
function errorOf(
  headers: Answer['headers'],
  body: string,
): { readonly name: string; readonly message: string } {
  const parsed = objectOf(body) ?? {};
  const header = headers['x-amzn-errortype'];
  const type = typeof header === 'string' ? header : (parsed.__type ?? parsed.code ?? '');
  // a word, so that it may be told
  const name = /(?:^|#)([A-Za-z]{1,60})(?::|$)/.exec(String(type))?.[1] ?? '';
  return { name, message: String(parsed.message ?? parsed.Message ?? '') };
}
