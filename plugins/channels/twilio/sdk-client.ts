import type { Dispatcher } from 'undici';
import { DeliveryError } from '../../../src/core/channel.ts';
import { exchange } from '../http/exchange.ts';
import { retryAfterMs } from '../http/retry-after.ts';
import { meaningOf } from './error-codes.ts';

/** What Twilio's SDK hands to its HTTP client. */
interface SdkRequest {
  /** In small letters. */
  readonly method: string;
  readonly uri: string;
  readonly username?: string;
  readonly password?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly data?: unknown;
}

/** What it takes back. */
interface SdkResponse {
  readonly statusCode: number;
  readonly body: string;
  readonly headers: object;
}

export interface SdkClientParts {
  readonly dispatcher: Dispatcher;
  /** Whose host is asked, whatever the SDK makes of it. */
  readonly endpoint: string;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/**
 * An HTTP client for one call of Twilio's SDK. The SDK's own has no way to abort, follows the environment's proxy, keeps
 * Retry-After from the caller, and puts the auth token and the text into its errors; so the answer is judged here, and the SDK
 * never sees one that is not 2xx.
 */
export function sdkClient({ dispatcher, endpoint, signal, now }: SdkClientParts) {
  return {
    async request({ method, uri, username, password, headers, data }: SdkRequest): Promise<SdkResponse> {
      const answer = await exchange(dispatcher, {
        // the SDK changes the host by TWILIO_EDGE and TWILIO_REGION, and loses parts of one that is long
        url: new URL(new URL(uri).pathname, endpoint),
        headers: {
          ...headers,
          authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
        },
        ...(method === 'get'
          ? { method: 'GET' }
          : { body: new URLSearchParams(data as Record<string, string>).toString() }),
        signal,
      });
      const { status } = answer;
      const body = jsonObject(answer.body);
      if (status >= 200 && status < 300) {
        // it has taken the message, whatever became of the rest of its answer
        return { statusCode: status, body: JSON.stringify(body ?? {}), headers: answer.headers };
      }
      const number = typeof body?.code === 'number' ? body.code : 0;
      const { code, text, retryable } = meaningOf(status, number);
      const after = retryAfterMs(answer.headers, now());
      throw new DeliveryError(code, text, {
        retryable,
        ...(after !== undefined && { retryAfterMs: after }),
      });
    },
  };
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
