import { type Dispatcher, request } from 'undici';
import { type Answer, beginning } from './exchange.ts';

/** Short: somebody waits for an answer who asks again. */
const timeoutMs = 5_000;

/** One GET, whose redirects are not followed; a body is read as far as that of any answer. @throws Error where no answer came */
export async function get(dispatcher: Dispatcher, url: URL): Promise<Answer> {
  const options = { dispatcher, headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
  const { statusCode, headers, body } = await request(url, options);
  return { status: statusCode, headers, ...(await beginning(body)) };
}
