import {
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** A request as it came. */
export interface Http2Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Http2Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** `hang` never answers, `lost` ends the connection without a word, `refuse` says that it has not looked at the request. */
export type Http2Answer = Http2Reply | 'hang' | 'lost' | 'refuse';

/** A real HTTP/2 server without TLS, whose answers a test writes. */
export class ScriptedHttp2 {
  readonly received: Http2Received[] = [];
  readonly sessions: ServerHttp2Session[] = [];
  answer: (request: Http2Received) => Http2Answer = () => ({ status: 200 });
  readonly url: string;

  static async listen(t: Pick<TestContext, 'after'>): Promise<ScriptedHttp2> {
    const server = createServer({ settings: { maxConcurrentStreams: 50 } });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const scripted = new ScriptedHttp2((server.address() as AddressInfo).port);
    server.on('session', (session) => scripted.sessions.push(session));
    server.on('stream', (stream, headers) => void scripted.#serve(stream, headers));
    t.after(async () => {
      for (const session of scripted.sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return scripted;
  }

  private constructor(port: number) {
    this.url = `http://127.0.0.1:${port}`;
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on('error', () => {}); // the client's abort
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of stream) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const received = { headers, body: Buffer.concat(chunks).toString('utf8') };
    this.received.push(received);
    const answer = this.answer(received);
    if (answer === 'hang') return;
    if (answer === 'lost') return stream.session?.destroy();
    if (answer === 'refuse') return stream.close(7);
    stream.respond({ ':status': answer.status, ...answer.headers });
    stream.end(answer.body ?? '');
  }
}
