import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DispatcherSettings } from '../../../src/core/dispatcher/settings.ts';
import { TestProcess } from '../../support/process.ts';
import type { Sink } from './sink.ts';

export interface ReplicaOptions {
  readonly dsn: string;
  /** Where emails go; without one there is no email. */
  readonly sink?: Sink;
  /** How far its clock is ahead, in milliseconds. */
  readonly clockShiftMs?: number;
  readonly dispatcher?: Partial<DispatcherSettings>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Leases that a test can wait out. An attempt is over well before its lease is. */
export const shortLeases = {
  leaseMs: 3_000,
  attemptTimeoutMs: 2_000,
  graceMs: 1_000,
  pollMs: 200,
} as const satisfies Partial<DispatcherSettings>;

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** One process of the service, on a database that others share. It is killed with the test. */
export class Replica extends TestProcess {
  #url = { client: '', internal: '', ops: '' };
  /** By performance.now(); undefined while nobody killed it. */
  killedAtMs: number | undefined;

  /** Starts one, and waits until it listens. */
  static async start(t: Pick<TestContext, 'after'>, options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(t, options);
    const { client, internal, ops } = await replica.logged('server_listen', 60_000);
    const at = (port: unknown) => `http://127.0.0.1:${port}`;
    replica.#url = { client: at(client), internal: at(internal), ops: at(ops) };
    return replica;
  }

  private constructor(t: Pick<TestContext, 'after'>, options: ReplicaOptions) {
    super(t, process.execPath, [path('replica-main.ts')], {
      NOTIFY_AUTH_DEV_MODE: 'true',
      NOTIFY_HOST: '127.0.0.1',
      NOTIFY_CLIENT_PORT: '0',
      NOTIFY_INTERNAL_PORT: '0',
      NOTIFY_METRICS_PORT: '0',
      NOTIFY_STORE_DRIVER: 'postgres',
      NOTIFY_POSTGRES_DSN: options.dsn,
      ...(options.sink && {
        NOTIFY_PLUGINS: path('sink-provider.ts'),
        NOTIFY_EMAIL_PROVIDER: 'sink',
        NOTIFY_EMAIL_FROM: 'notify@example.org',
        CHAOS_SINK: options.sink.url,
      }),
      NOTIFY_RETRY_BASE: '200ms',
      NOTIFY_LOG_LEVEL: 'warn',
      CHAOS_CLOCK_SHIFT_MS: String(options.clockShiftMs ?? 0),
      CHAOS_DISPATCHER: JSON.stringify(options.dispatcher ?? shortLeases),
      ...options.env,
    });
  }

  get url(): Readonly<Record<'client' | 'internal' | 'ops', string>> {
    return this.#url;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** kill -9. Resolves when it is gone. */
  async crash(): Promise<void> {
    this.killedAtMs = performance.now();
    this.kill('SIGKILL');
    await this.exited;
  }
}
