import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Fault, ProviderServer, Wire } from './provider-server.ts';
import { selfSigned } from './self-signed.ts';

/** A request as it came. */
export interface Http2Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The body as it came, where it is no text. */
  readonly bytes: Buffer;
}

export interface Http2Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Headers of the request that come back with it. */
  readonly echo?: readonly string[];
  readonly trailers?: Readonly<Record<string, string>>;
}

/** `refuse` says that it has not looked at the request (RFC 9113 §8.7). */
export type Http2Answer = Http2Reply | Fault<Http2Reply> | 'refuse';

/** A real HTTP/2 server whose answers a test writes. */
export class ScriptedHttp2 implements ProviderServer<Http2Received, Http2Reply> {
  readonly received: Http2Received[] = [];
  readonly sessions: ServerHttp2Session[] = [];
  answer: (request: Http2Received) => Http2Answer = () => ({ status: 200 });
  readonly url: string;
  readonly #server: Http2Server | Http2SecureServer;
  readonly #sockets = new Set<Socket>();

  /** Listens on 127.0.0.1. It closes with the test. @param isTls with a certificate that nobody signed */
  static async listen(t: Pick<TestContext, 'after'>, isTls = false): Promise<ScriptedHttp2> {
    const settings = { maxConcurrentStreams: 50 };
    const server = isTls ? createSecureServer({ settings, ...selfSigned }) : createServer({ settings });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const scripted = new ScriptedHttp2(server, isTls);
    t.after(() => scripted.close());
    return scripted;
  }

  private constructor(server: Http2Server | Http2SecureServer, isTls: boolean) {
    this.#server = server;
    this.url = `${isTls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('session', (session: ServerHttp2Session) => this.sessions.push(session));
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      void this.#serve(stream, headers);
    });
  }

  get connections(): number {
    return this.sessions.length;
  }

  play(answer: Http2Answer): void {
    this.answer = () => answer;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const session of this.sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on('error', () => {}); // the client's abort
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of stream) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const bytes = Buffer.concat(chunks);
    const received = { headers, body: bytes.toString('utf8'), bytes };
    this.received.push(received);
    const answer = this.answer(received);
    if (answer === 'hang') return;
    if (answer === 'reset') {
      this.#socketOf(stream)?.resetAndDestroy();
      return;
    }
    if (answer === 'refuse') return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    if ('status' in answer) {
      const body = begin(stream, headers, answer);
      stream.end(body);
      return;
    }
    const isHalf = 'half_body' in answer;
    const reply = isHalf ? answer.half_body : answer.hang_body;
    const body = Buffer.from(begin(stream, headers, reply) || 'never whole');
    stream.write(body.subarray(0, body.length / 2), () => {
      // close would end it in order first
      if (isHalf) stream.destroy(new Error('half is enough'));
    });
  }

  /** The connection below a stream: its session hands out one that cannot be ended. */
  #socketOf(stream: ServerHttp2Stream): Socket | undefined {
    const port = stream.session?.socket.remotePort;
    return [...this.#sockets].find(({ remotePort }) => remotePort === port);
  }
}

/** Sends an answer's head. @returns its body */
function begin(stream: ServerHttp2Stream, asked: IncomingHttpHeaders, reply: Http2Reply): string | Buffer {
  const { status, headers, body = '', echo = [], trailers } = reply;
  const echoed = Object.fromEntries(echo.map((name) => [name, asked[name]]));
  if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.respond({ ':status': status, ...echoed, ...headers }, { waitForTrailers: trailers !== undefined });
  return body;
}

/** HTTP/2, with or without TLS. */
export const http2: Wire<Http2Received, Http2Reply> = {
  listen: (t, isTls) => ScriptedHttp2.listen(t, isTls),
  headerOf: ({ headers }, name) => headers[name],
  busy: (body) => ({ reply: { status: 503, body }, code: 'http_503' }),
  lacks: {},
};
