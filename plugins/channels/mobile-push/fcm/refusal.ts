import { codes, DeliveryError } from '../../../../src/core/channel.ts';
import type { Answer } from '../../http/exchange.ts';
import { retryAfterMs } from '../../http/retry-after.ts';

/** FCM asks for this pause after a 429 that names none ("Handle quota errors"). */
const quotaPauseMs = 60_000;

interface FcmError {
  readonly status: string;
  readonly message: string;
  readonly errorCode: string;
}

/**
 * Why FCM did not take a message (firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode).
 *
 * | error code | |
 * |---|---|
 * | UNREGISTERED; NOT_FOUND, unless of the project; INVALID_ARGUMENT that is about the token | the app has gone: the device is forgotten |
 * | SENDER_ID_MISMATCH | no: the token is another project's. The device stays, since a wrong project would forget all of them |
 * | INVALID_ARGUMENT | no |
 * | QUOTA_EXCEEDED, UNAVAILABLE, INTERNAL, 408, 429, 5xx | tried again, not before Retry-After |
 * | THIRD_PARTY_AUTH_ERROR, 401, 403, 404 without an answer of FCM's | an operator has to act, so it is tried again |
 *
 * @returns undefined: it was accepted
 */
export function fcmRefusal({ status, headers, body }: Answer, nowMs: number): DeliveryError | undefined {
  if (status >= 200 && status < 300) return undefined;
  const error = errorOf(body);
  const said = error.errorCode || error.status;
  const shown = /^[A-Z_]{1,40}$/.test(said) ? `${said} (${status})` : String(status);
  const no = (code: string, hint: string) =>
    new DeliveryError(code, `FCM answered ${shown}: ${hint}`, { retryable: false });

  if (error.errorCode === 'UNREGISTERED' || (said === 'NOT_FOUND' && !/project/i.test(error.message)))
    return no('unregistered_token', 'the app was removed, or its token has ended');
  if (said === 'SENDER_ID_MISMATCH') return no('sender_id_mismatch', 'the token belongs to another project');
  if (said === 'INVALID_ARGUMENT' && /registration token/i.test(error.message))
    return no('unregistered_token', 'this is no registration token');

  if (said === 'THIRD_PARTY_AUTH_ERROR')
    // not credentials_rejected, which holds back all of FCM: Android goes on
    return new DeliveryError(
      'third_party_auth_error',
      `FCM answered ${shown}: the APNs key or the web push key in the Firebase project is missing or wrong`,
      { retryable: true },
    );
  if (status === 401 || status === 403 || status === 404)
    return new DeliveryError(
      codes.credentialsRejected,
      `FCM answered ${shown}: the service account may not send for this project, or there is no such project`,
      { retryable: true },
    );
  const after = retryAfterMs(headers, nowMs) ?? (status === 429 ? quotaPauseMs : undefined);
  return new DeliveryError(`http_${status}`, `FCM answered ${shown}`, {
    retryable: status >= 500 || status === 408 || status === 429,
    ...(after !== undefined && { retryAfterMs: after }),
  });
}

/** Google's error (AIP-193). What it says is only compared: its message may quote the request. */
function errorOf(body: string): FcmError {
  const error = memberOf(parsed(body), 'error');
  const details = memberOf(error, 'details');
  const fcm = (Array.isArray(details) ? details : []).find((detail) =>
    String(memberOf(detail, '@type')).endsWith('FcmError'),
  );
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  return {
    status: text(memberOf(error, 'status')),
    message: text(memberOf(error, 'message')),
    errorCode: text(memberOf(fcm, 'errorCode')),
  };
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
