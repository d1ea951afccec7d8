import type { IncomingHttpHeaders } from 'node:http';
import { type Dispatcher, request } from 'undici';
import { transportError } from './transport-error.ts';

/** What is sent: once, and never redirected. */
export interface Outgoing {
  /** POST unless it says otherwise. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The beginning; what came of it where the rest never did. */
  readonly body: string;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

/** The most that is read of an answer. */
export const answerLimitBytes = 16_384;

/** A backstop: an attempt's time limit comes by its signal. */
const headersTimeoutMs = 60_000;
/** How long a body may pause: the status is known, and must not be lost to the attempt's time limit. */
const bodyTimeoutMs = 5_000;

/**
 * One HTTP exchange. An answer whose status came is an answer, however its body ends: the peer has decided, and asking it again
 * could send twice.
 * @throws DeliveryError where no status came
 */
export async function exchange(dispatcher: Dispatcher, { url, signal, ...sent }: Outgoing): Promise<Answer> {
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher,
      method: 'POST',
      ...sent,
      signal,
      headersTimeout: headersTimeoutMs,
      bodyTimeout: bodyTimeoutMs,
    });
    return { status: statusCode, headers, ...(await beginning(body)) };
  } catch (error) {
    throw transportError(error, signal);
  }
}

/** What is read of a body, however it ends, and whether that is all of it. */
export async function beginning(body: AsyncIterable<Buffer>): Promise<Pick<Answer, 'body' | 'isWhole'>> {
  const chunks: Buffer[] = [];
  let size = 0;
  let isWhole = false;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.length;
      // leaving the loop drops the connection, and with it the rest
      if (size > answerLimitBytes) break;
    }
    isWhole = size <= answerLimitBytes;
  } catch {
    // the status stands
  }
  return { body: Buffer.concat(chunks).subarray(0, answerLimitBytes).toString('utf8'), isWhole };
}
