import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Load {
  readonly url: string;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The next request's body. */
  readonly body: () => unknown;
}

export interface LoadResult {
  readonly perSecond: number;
  /** Median and 99th percentile from a request's write to its answer's last byte, in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly total: number;
}

const headEnd = Buffer.from('\r\n\r\n');

/**
 * Posts JSON over keep-alive connections, one request at a time on each, for some seconds. It reads of an answer what it must: the
 * status, the length, and where the body ends. A full HTTP client takes as long for a call as the service and its database
 * together (81 of 168 µs by autocannon, both processors busy), and so measures itself.
 * @throws Error for an answer that is not 200, or has no Content-Length
 */
export async function httpLoad(load: Load): Promise<LoadResult> {
  const { hostname, port, host } = new URL(load.url);
  const fields = { host, 'content-type': 'application/json', ...load.headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST ${load.path} HTTP/1.1\r\n${lines.join('')}content-length: `;
  const latencies: number[] = [];
  const startedMs = performance.now();
  const endMs = startedMs + load.seconds * 1_000;

  const next = (socket: Socket): void => {
    const body = JSON.stringify(load.body());
    socket.write(`${head}${Buffer.byteLength(body)}\r\n\r\n${body}`);
  };
  const one = async (): Promise<void> => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    await new Promise<void>((resolve, reject) => {
      let sentMs = performance.now();
      let begun: Buffer | undefined;
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the service closed a connection')));
      socket.on('data', (chunk: Buffer) => {
        const answer = begun === undefined ? chunk : Buffer.concat([begun, chunk]);
        const length = lengthOf(answer);
        if (length instanceof Error) return socket.destroy(length);
        if (length > answer.length) {
          begun = answer;
          return;
        }
        begun = undefined;
        const nowMs = performance.now();
        latencies.push(nowMs - sentMs);
        if (nowMs >= endMs) return resolve();
        sentMs = nowMs;
        next(socket);
      });
      next(socket);
    }).finally(() => socket.removeAllListeners('close').destroy());
  };
  await Promise.all(Array.from({ length: load.connections }, one));
  const seconds = (performance.now() - startedMs) / 1_000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return { perSecond: latencies.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), total: latencies.length };
}

/** The bytes of a whole answer, head and body; infinite while its head has not ended. */
function lengthOf(answer: Buffer): number | Error {
  const bodyAt = answer.indexOf(headEnd) + headEnd.length;
  if (bodyAt < headEnd.length) return Number.POSITIVE_INFINITY;
  const head = answer.toString('latin1', 0, bodyAt);
  if (!head.startsWith('HTTP/1.1 200 ')) return new Error(`the service answered ${head.split('\r\n', 1)[0]}`);
  const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(head) ?? [];
  return length === undefined ? new Error('an answer has no content-length') : bodyAt + Number(length);
}
