import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Fault, ProviderServer, Wire } from './provider-server.ts';
import { selfSigned } from './self-signed.ts';

/** A request as it came. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The body as it came, where it is no text. */
  readonly bytes: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export type Answer = Reply | Fault<Reply>;

/** A real HTTP or HTTPS server whose answers a test writes. */
export class ScriptedServer implements ProviderServer<Received, Reply> {
  readonly received: Received[] = [];
  /** What it does with the next requests. */
  answer: (request: Received) => Answer | Promise<Answer> = () => ({ status: 200 });
  /** Connections so far, and the most at once. */
  connections = 0;
  mostConnections = 0;
  readonly url: string;
  readonly port: number;
  readonly #server: http.Server | https.Server;
  readonly #sockets = new Set<Socket>();

  /** Listens on 127.0.0.1. It closes with the test. @param isTls with a certificate that nobody signed */
  static async listen(t: Pick<TestContext, 'after'>, isTls = false): Promise<ScriptedServer> {
    const server = isTls ? https.createServer(selfSigned) : http.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const scripted = new ScriptedServer(server, isTls);
    t.after(() => scripted.close());
    return scripted;
  }

  private constructor(server: http.Server | https.Server, isTls: boolean) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.url = `${isTls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
    server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      this.mostConnections = Math.max(this.mostConnections, this.#sockets.size);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#serve(request, response);
    });
  }

  /** The only request. */
  get only(): Received {
    const [first, second] = this.received;
    if (first === undefined || second !== undefined)
      throw new Error(`there were ${this.received.length} requests`);
    return first;
  }

  play(answer: Answer): void {
    this.answer = () => answer;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    const received = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: bytes.toString('utf8'),
      bytes,
    };
    this.received.push(received);
    const answer = await this.answer(received);
    if (answer === 'hang') return;
    if (answer === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if ('status' in answer) {
      response.writeHead(answer.status, answer.headers).end(answer.body ?? '');
      return;
    }
    const reply = 'half_body' in answer ? answer.half_body : answer.hang_body;
    const body = Buffer.from(reply.body ?? 'never whole');
    response.writeHead(reply.status, { ...reply.headers, 'content-length': body.length });
    response.write(body.subarray(0, body.length / 2), () => {
      if ('half_body' in answer) request.socket.destroySoon();
    });
  }
}

/** HTTP/1.1, and TLS below it. */
export const http1: Wire<Received, Reply> = {
  listen: (t, isTls) => ScriptedServer.listen(t, isTls),
  headerOf: ({ headers }, name) => headers[name],
  busy: (body) => ({ reply: { status: 503, body }, code: 'http_503' }),
  lacks: {},
};
