import http from 'node:http';
import http2 from 'node:http2';
import { eventually } from './eventually.ts';

/** One server-sent event. */
export interface SseEvent {
  readonly kind: string;
  /** Of this event itself; undefined where it has none. */
  readonly id: string | undefined;
  readonly data: string;
}

export interface SseRequest {
  /** Query parameters, encoded here; as pairs where one is to come twice. */
  readonly query?: Readonly<Record<string, string>> | [name: string, value: string][];
  readonly headers?: Readonly<Record<string, string>>;
  readonly httpVersion?: 1 | 2;
}

/** An open answer to GET /v1/events, and what has come of it so far. */
export interface SseStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The body so far, as it came. */
  text(): string;
  readonly events: readonly SseEvent[];
  /** The `retry:` values so far. */
  readonly retries: readonly number[];
  readonly ended: boolean;
  /** The next event that no call has returned yet, or the next of a kind: others before it are passed over. */
  next(kind?: string): Promise<SseEvent>;
  /** The same as JSON. */
  nextJson(kind?: string): Promise<Record<string, unknown>>;
  /** The next notification's title. */
  nextTitle(): Promise<string>;
  /** Resolves when the server has ended the answer. */
  end(): Promise<void>;
  /** Goes away without a word. */
  close(): void;
}

/** Opens GET /v1/events on a connection of its own and resolves with its head. */
export async function openEvents(base: string, request: SseRequest = {}): Promise<SseStream> {
  const query = new URLSearchParams(request.query).toString();
  const path = `/v1/events${query === '' ? '' : `?${query}`}`;
  return request.httpVersion === 2
    ? openHttp2(base, path, request.headers ?? {})
    : openHttp1(base, path, request.headers ?? {});
}

function openHttp1(
  base: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<SseStream> {
  return new Promise((resolve, reject) => {
    const request = http.get(`${base}${path}`, { agent: false, headers: { ...headers } });
    request.on('error', reject);
    request.on('response', (response) => {
      const body = new SseBody(() => request.destroy());
      response.on('data', (chunk: Buffer) => body.take(chunk));
      response.on('end', () => body.finish());
      response.on('error', () => {}); // closed by the test, or cut by the server: `ended` tells
      resolve(body.as(response.statusCode ?? 0, response.headers));
    });
  });
}

function openHttp2(
  base: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<SseStream> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(base);
    session.on('error', reject);
    const stream = session.request({ ':path': path, ...headers });
    stream.on('error', reject);
    const body = new SseBody(() => session.destroy());
    stream.on('response', (head) => resolve(body.as(head[':status'] ?? 0, head)));
    stream.on('data', (chunk: Buffer) => body.take(chunk));
    stream.on('end', () => {
      body.finish();
      session.close();
    });
  });
}

/** Reads a body as the WHATWG's grammar of event streams has it (HTML §9.2.5). */
class SseBody {
  readonly events: SseEvent[] = [];
  readonly retries: number[] = [];
  ended = false;
  readonly #close: () => void;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #text = '';
  #parsedTo = 0;
  #taken = 0;

  constructor(close: () => void) {
    this.#close = close;
  }

  take(chunk: Buffer): void {
    this.#text += this.#decoder.decode(chunk, { stream: true });
    for (;;) {
      const end = this.#text.indexOf('\n\n', this.#parsedTo);
      if (end === -1) return;
      this.#block(this.#text.slice(this.#parsedTo, end));
      this.#parsedTo = end + 2;
    }
  }

  finish(): void {
    this.ended = true;
  }

  #block(block: string): void {
    let kind = '';
    let id: string | undefined;
    const data: string[] = [];
    for (const line of block.split(/\r\n|\r|\n/)) {
      const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (name === 'event') kind = value;
      else if (name === 'id') id = value;
      else if (name === 'data') data.push(value);
      else if (name === 'retry') this.retries.push(Number(value));
      else if (name !== '') throw new Error(`an event stream has no field ${JSON.stringify(name)}`);
    }
    if (data.length > 0) this.events.push({ kind, id, data: data.join('\n') });
  }

  as(status: number, headers: SseStream['headers']): SseStream {
    const next = async (kind?: string): Promise<SseEvent> => {
      let found: SseEvent | undefined;
      await eventually(`an event${kind ? ` ${kind}` : ''}`, () => {
        while (found === undefined && this.#taken < this.events.length) {
          const event = this.events[this.#taken++];
          if (kind === undefined || event?.kind === kind) found = event;
        }
        return found !== undefined || this.ended;
      });
      if (found) return found;
      throw new Error(`the answer ended with status ${status} before an event ${kind ?? ''}: ${this.#text}`);
    };
    const nextJson = async (kind?: string) => JSON.parse((await next(kind)).data) as Record<string, unknown>;
    const self = this;
    return {
      status,
      headers,
      text: () => this.#text,
      events: this.events,
      retries: this.retries,
      get ended() {
        return self.ended;
      },
      next,
      nextJson,
      nextTitle: async () => String((await nextJson('notification')).title),
      end: async () => {
        await eventually('the end of the stream', () => this.ended);
      },
      close: this.#close,
    };
  }
}
