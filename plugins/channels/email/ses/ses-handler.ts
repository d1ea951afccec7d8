import type { SESv2ClientConfig } from '@aws-sdk/client-sesv2';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../../../src/core/ambient.ts';
import { exchange } from '../../http/exchange.ts';
import { objectOf } from '../json.ts';
import { sesRefusal } from './ses-refusal.ts';

/** What of the SDK's request is sent. */
interface SignedRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

type Handler = Extract<NonNullable<SESv2ClientConfig['requestHandler']>, { handle: unknown }>;

/**
 * How the SDK's signed requests travel: as those of every other provider. Refusals are read here, since the SDK's own errors hold the
 * request and hide the headers, and an answer that is no JSON is none that it could say anything of.
 */
export function sesHandler(dispatcher: Dispatcher, clock: Clock): Handler {
  const handle = async (request: SignedRequest, options?: { abortSignal?: unknown }) => {
    const { method, protocol, hostname, port, path, body: sent } = request;
    const isGet = method === 'GET';
    const answer = await exchange(dispatcher, {
      ...(isGet && { method: 'GET' }),
      url: new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`),
      headers: request.headers,
      ...(!isGet && { body: typeof sent === 'string' ? sent : Buffer.from(sent as Uint8Array).toString() }),
      signal: options?.abortSignal instanceof AbortSignal ? options.abortSignal : neverAborted,
    });
    const refusal = sesRefusal(answer, clock.now());
    if (refusal !== undefined) throw refusal;
    // taken, whatever came of the body
    const body = Buffer.from(objectOf(answer.body) === undefined ? '{}' : answer.body);
    return { response: { statusCode: answer.status, headers: flat(answer.headers), body } };
  };
  return { handle, destroy() {}, updateHttpClientConfig() {}, httpHandlerConfigs: () => ({}) } as Handler;
}

const neverAborted = new AbortController().signal;

const flat = (headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]));
