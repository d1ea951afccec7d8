import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { eventually } from './eventually.ts';
import type { LogLine } from './log.ts';

export const root = new URL('../..', import.meta.url).pathname;

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child process and what it has written. It is killed with the test, if it still runs. */
export class TestProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';
  #exit: Exit | undefined;

  /**
   * @param env the whole environment, except for what finding programs takes
   * @param options `detached`: what it starts in turn is killed with it
   */
  constructor(
    t: Pick<TestContext, 'after'>,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    options: SpawnOptions = {},
  ) {
    const { PATH = '', HOME = '' } = process.env;
    this.child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH, HOME, ...env },
      ...options,
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      // 'close' comes after the last byte of output
      this.child.on('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    t.after(async () => {
      if (this.#exit === undefined) this.#killAll(options.detached === true);
      await this.exited;
    });
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** @param group what it has started, too */
  #killAll(group: boolean): void {
    if (group && this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGKILL');
    else this.child.kill('SIGKILL');
  }

  /** The lines on stdout so far that are JSON and complete. @param msg only those */
  lines(msg?: string): LogLine[] {
    return this.stdout
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)
      .filter((line) => msg === undefined || line.msg === msg);
  }

  /**
   * Waits for a log line.
   * @param deadlineMs a process that boots beside many others takes long
   * @throws Error with what it has printed, as soon as it exits without the line
   */
  async logged(msg: string, deadlineMs = 20_000): Promise<LogLine> {
    const said = () => `so far:\n${this.stdout}\n${this.stderr}`;
    const found = await eventually(
      `the log line ${msg}`,
      () => this.lines(msg)[0] ?? (this.#exit && 'exited'),
      deadlineMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; ${said()}`, { cause: error.cause });
    });
    if (found === 'exited') throw new Error(`it has exited with ${this.#exit?.code}; ${said()}`);
    return found;
  }
}

/** The service as a process of its own. */
export class NotifyProcess extends TestProcess {
  /** On free ports of 127.0.0.1 in dev mode, unless the environment says otherwise. */
  constructor(
    t: Pick<TestContext, 'after'>,
    env: Readonly<Record<string, string>> = {},
    args: readonly string[] = [],
  ) {
    super(t, process.execPath, ['src/main.ts', ...args], {
      NOTIFY_AUTH_DEV_MODE: 'true',
      NOTIFY_HOST: '127.0.0.1',
      NOTIFY_CLIENT_PORT: '0',
      NOTIFY_INTERNAL_PORT: '0',
      NOTIFY_METRICS_PORT: '0',
      ...env,
    });
  }

  /** Waits until it listens. @returns where */
  async listening(): Promise<Readonly<Record<'client' | 'internal' | 'ops', string>>> {
    const { client, internal, ops } = await this.logged('server_listen');
    const at = (port: unknown) => `http://127.0.0.1:${port}`;
    return { client: at(client), internal: at(internal), ops: at(ops) };
  }
}
