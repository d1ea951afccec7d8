import net from 'node:net';
import type { TestContext } from 'node:test';

/** The network between a client and the service: a TCP proxy that a test breaks and repairs. */
export class TcpProxy {
  readonly port: number;
  readonly url: string;
  readonly #server: net.Server;
  readonly #pairs = new Set<readonly [net.Socket, net.Socket]>();
  #isStalled = false;
  #stallsNew = false;
  #bytesPerMs = Number.POSITIVE_INFINITY;

  /** Opens a proxy to a port of this machine. It closes with the test. */
  static async listen(t: Pick<TestContext, 'after'>, targetPort: number): Promise<TcpProxy> {
    const server = net.createServer({ pauseOnConnect: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new TcpProxy(server, targetPort);
    t.after(() => proxy.close());
    return proxy;
  }

  private constructor(server: net.Server, targetPort: number) {
    this.#server = server;
    this.port = (server.address() as net.AddressInfo).port;
    this.url = `http://127.0.0.1:${this.port}`;
    server.on('connection', (near) => this.#join(near, net.connect(targetPort, '127.0.0.1')));
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Resets every open connection, on both sides. New ones go through. */
  cut(): void {
    // libuv resets no socket that is being shut down, and Node then never lets go of it: its process cannot exit
    for (const pair of this.#pairs)
      for (const socket of pair)
        if (socket.connecting || socket.writableEnded) socket.destroy();
        else socket.resetAndDestroy();
  }

  /** Lets nothing through any more, without a word: like a cable that was pulled. New connections hang too. */
  stall(): void {
    this.#isStalled = this.#stallsNew = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** Lets nothing of new connections through, while those that are open go on. */
  stallNew(): void {
    this.#stallsNew = true;
  }

  /** Lets everything through again, what waited included. */
  resume(): void {
    this.#isStalled = this.#stallsNew = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /** Lets each connection take no more than this from now on; Infinity: as fast as it goes. */
  slow(bytesPerSecond: number): void {
    this.#bytesPerMs = bytesPerSecond / 1_000;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #join(near: net.Socket, far: net.Socket): void {
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true);
      from.on('data', (chunk: Buffer) => {
        const isFull = !to.write(chunk);
        const pauseMs = chunk.length / this.#bytesPerMs;
        if (pauseMs >= 1) {
          from.pause();
          setTimeout(() => {
            if (!this.#isStalled) from.resume();
          }, pauseMs);
        }
        if (!isFull) return;
        from.pause();
        to.once('drain', () => {
          if (!this.#isStalled) from.resume();
        });
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
    if (this.#stallsNew) {
      near.pause();
      far.pause();
    } else {
      near.resume();
      far.resume();
    }
  }
}
