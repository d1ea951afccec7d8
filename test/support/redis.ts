import { spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { createClient } from 'redis';
import { freePort } from '../../src/dev/free-port.ts';
import { eventually } from './eventually.ts';
import { TestProcess } from './process.ts';

/** The reason to pass as `skip`, where this machine has no Redis. */
export const noRedis: string | false =
  spawnSync('redis-server', ['--version']).status === 0 ? false : 'redis-server is not installed';

const password = 'a-password-of-redis';

/** A Redis server of a test, on a port that it keeps. It ends with the test. */
export class TestRedis {
  readonly port: number;
  readonly #t: Pick<TestContext, 'after'>;
  #process: TestProcess | undefined;

  static async start(t: Pick<TestContext, 'after'>): Promise<TestRedis> {
    const redis = await TestRedis.away(t);
    await redis.start();
    return redis;
  }

  /** One that does not run yet. */
  static async away(t: Pick<TestContext, 'after'>): Promise<TestRedis> {
    return new TestRedis(t, await freePort());
  }

  private constructor(t: Pick<TestContext, 'after'>, port: number) {
    this.#t = t;
    this.port = port;
  }

  /** @param port of a proxy to it */
  url(port = this.port): string {
    return `redis://:${password}@127.0.0.1:${port}`;
  }

  get password(): string {
    return password;
  }

  async start(): Promise<void> {
    const args = [
      '--port',
      String(this.port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--requirepass',
      password,
    ];
    this.#process = new TestProcess(this.#t, 'redis-server', args, {});
    await eventually('redis answers', async () => {
      const client = createClient({ url: this.url(), socket: { reconnectStrategy: false } });
      client.on('error', () => {});
      await client.connect();
      client.destroy();
      return true;
    });
  }

  /** Dies without a word to anybody. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#process?.exited;
  }

  /** Puts a text on the channel of the replicas. */
  async publish(text: string): Promise<void> {
    const client = createClient({ url: this.url(), socket: { reconnectStrategy: false } });
    await client.connect();
    await client.publish('notify_backplane_0', text);
    client.destroy();
  }
}
