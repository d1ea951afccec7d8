import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The beginning. */
  readonly body: string;
}

/** A backstop while a connection is set up; an attempt's time limit comes by its signal. */
const connectTimeoutMs = 5_000;
/** APNs answers in a few words. */
const answerLimitBytes = 16_384;

/**
 * One kept HTTP/2 connection, for any number of requests at once, which is made anew when it ends:
 *
 *     none ──request──▶ opening ──SETTINGS──▶ open ──GOAWAY, close, error, an unanswered request──▶ none
 *                          └──error, 5 s──▶ none
 *
 * Requests that are under way on a connection that is given up are left to finish. The peer's limit of concurrent streams holds:
 * APNs allows one until it has seen a token, so nothing is sent before its SETTINGS.
 */
export class Http2Connection {
  readonly #origin: string;
  #opening: Promise<ClientHttp2Session> | undefined;
  readonly #sessions = new Set<ClientHttp2Session>();
  #isClosed = false;

  constructor(origin: string) {
    this.#origin = origin;
  }

  /**
   * One POST. A stream that the peer says it has not looked at (RFC 9113 §8.7) is sent once more, on another connection.
   * @throws whatever ends it without an answer
   */
  async post(headers: OutgoingHttpHeaders, body: string, signal: AbortSignal): Promise<Http2Answer> {
    try {
      return await this.#exchange(await this.#session(signal), headers, body, signal);
    } catch (error) {
      if (signal.aborted || !isRefused(error)) throw error;
      return await this.#exchange(await this.#session(signal), headers, body, signal);
    }
  }

  /** Ends all connections at once. */
  close(): void {
    this.#isClosed = true;
    this.#opening = undefined;
    for (const session of this.#sessions) session.destroy();
  }

  /** How many connections there are, those included whose last requests are under way. */
  get size(): number {
    return this.#sessions.size;
  }

  async #session(signal: AbortSignal): Promise<ClientHttp2Session> {
    signal.throwIfAborted();
    if (this.#isClosed) throw new Error('the connection is closed');
    this.#opening ??= this.#open();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([this.#opening, aborted]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #open(): Promise<ClientHttp2Session> {
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    const session = connect(this.#origin);
    this.#sessions.add(session);
    const forget = () => {
      if (this.#opening === promise) this.#opening = undefined;
    };
    const slow = setTimeout(() => session.destroy(timedOut()), connectTimeoutMs);
    session.once('remoteSettings', () => {
      clearTimeout(slow);
      resolve(session);
    });
    session.once('goaway', forget);
    session.on('error', (error) => {
      forget();
      reject(error);
    });
    // a lost socket closes without an error
    session.once('close', () => {
      clearTimeout(slow);
      forget();
      this.#sessions.delete(session);
      reject(new Error('the connection was closed'));
    });
    return promise;
  }

  #exchange(
    session: ClientHttp2Session,
    headers: OutgoingHttpHeaders,
    body: string,
    signal: AbortSignal,
  ): Promise<Http2Answer> {
    return new Promise((resolve, reject) => {
      const stream = session.request({ ':method': 'POST', ...headers }, { signal });
      let answer: IncomingHttpHeaders | undefined;
      let text = '';
      const finish = () => {
        if (answer === undefined) reject(new Error('the stream was closed without an answer'));
        // a status is an answer, however its body ends
        else resolve({ status: Number(answer[':status']), headers: answer, body: text });
      };
      stream.setEncoding('utf8');
      stream.on('response', (received) => {
        answer = received;
      });
      stream.on('data', (chunk: string) => {
        text += chunk;
        if (text.length < answerLimitBytes) return;
        text = text.slice(0, answerLimitBytes);
        stream.close(constants.NGHTTP2_CANCEL);
      });
      stream.on('error', (error) => {
        if (answer !== undefined) return finish();
        // the connection may be dead without a word: the next request gets another
        if (signal.aborted) this.#giveUp(session);
        reject(refusedOr(error, stream));
      });
      stream.on('close', finish);
      stream.end(body);
    });
  }

  #giveUp(session: ClientHttp2Session): void {
    void this.#opening?.then(
      (current) => {
        if (current === session) this.#opening = undefined;
      },
      () => {},
    );
    session.close();
  }
}

const refused = Symbol('refused');

const refusedOr = (error: Error, stream: ClientHttp2Stream): Error =>
  stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? Object.assign(error, { [refused]: true }) : error;

/** Node's words for a connection that ended before the request was begun. */
const neverSent = new Set(['ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_INVALID_SESSION']);

const isRefused = (error: unknown): boolean =>
  typeof error === 'object' &&
  error !== null &&
  (refused in error || ('code' in error && neverSent.has(String(error.code))));

const timedOut = () =>
  Object.assign(new Error('the connection was not set up in time'), { code: 'ETIMEDOUT' });
