import type { EmailClientOptions } from '@azure/communication-email';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../../../src/core/ambient.ts';
import { exchange } from '../../http/exchange.ts';
import { objectOf } from '../json.ts';
import { acsRefusal } from './acs-refusal.ts';

type HttpClient = NonNullable<EmailClientOptions['httpClient']>;
type PipelineRequest = Parameters<HttpClient['sendRequest']>[0];
type PipelineResponse = Awaited<ReturnType<HttpClient['sendRequest']>>;

/**
 * How the SDK's signed requests travel: as those of every other provider. Refusals are read here, since the SDK's own errors hold the
 * request. What was taken is answered without Operation-Location: the SDK would ask there how the mail is doing, once, and report a
 * failure of that as one of the mail.
 */
export function acsHttpClient(dispatcher: Dispatcher, clock: Clock): HttpClient {
  return {
    async sendRequest(request: PipelineRequest): Promise<PipelineResponse> {
      const answer = await exchange(dispatcher, {
        url: new URL(request.url),
        headers: request.headers.toJSON(),
        body: String(request.body ?? ''),
        signal: request.abortSignal instanceof AbortSignal ? request.abortSignal : neverAborted,
      });
      const refusal = acsRefusal(answer, clock.now());
      if (refusal !== undefined) throw refusal;
      // of a class that the SDK does not export, and done with; the key's signature goes first
      const { headers } = request;
      for (const [name] of [...headers]) headers.delete(name);
      headers.set('content-type', 'application/json');
      // taken, whatever came of the body
      const bodyAsText = objectOf(answer.body) === undefined ? '{}' : answer.body;
      return { request, status: answer.status, headers, bodyAsText };
    },
  };
}

const neverAborted = new AbortController().signal;
