import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

/** A message that arrived at the sink. */
export interface Arrival {
  /** The idempotency key: the delivery's id. */
  readonly key: string;
  readonly destination: string;
  readonly notificationId: string;
  readonly userId: string;
  /** The process that sent it. */
  readonly pid: number;
  /** By this process's monotonic clock, in milliseconds. */
  readonly atMs: number;
}

/** Where the replicas' provider delivers to: outside of the processes that get killed, so it knows what really went out. */
export class Sink {
  readonly url: string;
  /** Every message that it took, in order. */
  readonly arrivals: Arrival[] = [];
  /** How long it takes over a message, in milliseconds. */
  latencyMs: () => number = () => 5;
  /** Whether it turns a message away for the moment. That is no arrival. */
  refuses: (arrival: Arrival) => boolean = () => false;
  readonly #byKey = new Map<string, Arrival[]>();

  /** Opens a sink on a free port. It closes with the test. */
  static async listen(t: Pick<TestContext, 'after'>): Promise<Sink> {
    const server = http.createServer((request, response) => void sink.#take(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const sink: Sink = new Sink((server.address() as AddressInfo).port);
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return sink;
  }

  private constructor(port: number) {
    this.url = `http://127.0.0.1:${port}`;
  }

  /** How many different deliveries arrived. */
  get size(): number {
    return this.#byKey.size;
  }

  /** The arrivals of one delivery. */
  of(key: string): readonly Arrival[] {
    return this.#byKey.get(key) ?? [];
  }

  /** Deliveries that arrived more than once, each with its arrivals. */
  get repeats(): (readonly Arrival[])[] {
    return [...this.#byKey.values()].filter(({ length }) => length > 1);
  }

  async #take(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return; // its sender was killed in the middle
    }
    const said = JSON.parse(Buffer.concat(chunks).toString()) as Omit<Arrival, 'atMs'>;
    const arrival: Arrival = { ...said, atMs: performance.now() };
    const isRefused = this.refuses(arrival);
    if (!isRefused) {
      this.arrivals.push(arrival);
      this.#byKey.set(arrival.key, [...this.of(arrival.key), arrival]);
    }
    await pause(this.latencyMs());
    response.writeHead(isRefused ? 503 : 200).end();
  }
}
