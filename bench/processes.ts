import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../src/dev/free-port.ts';

const root = new URL('..', import.meta.url);

/** A process under measurement. */
export interface Running {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a script of this repository with the flags of `npm start`; its log goes nowhere, as it would to a file that nobody reads. */
export function start(script: string, env: Record<string, string> = {}): Running {
  const child: ChildProcess = spawn(process.execPath, ['--max-semi-space-size=8', script], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  return {
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

export interface Service extends Running {
  readonly client: string;
  readonly internal: string;
  readonly ops: string;
  readonly clientPort: number;
}

/** Starts the service in dev mode, and waits until it is healthy. */
export async function startService(env: Record<string, string> = {}): Promise<Service & { bootMs: number }> {
  const [client, internal, ops] = await Promise.all([freePort(), freePort(), freePort()]);
  const startedMs = performance.now();
  const running = start('src/main.ts', {
    NOTIFY_AUTH_DEV_MODE: 'true',
    NOTIFY_HOST: '127.0.0.1',
    NOTIFY_CLIENT_PORT: String(client),
    NOTIFY_INTERNAL_PORT: String(internal),
    NOTIFY_METRICS_PORT: String(ops),
    ...env,
  });
  await answers(`http://127.0.0.1:${ops}/healthz`);
  const at = (port: number): string => `http://127.0.0.1:${port}`;
  return {
    ...running,
    bootMs: performance.now() - startedMs,
    client: at(client),
    internal: at(internal),
    ops: at(ops),
    clientPort: client,
  };
}

/** Waits until a URL answers 200. */
export async function answers(url: string): Promise<void> {
  for (let tries = 0; tries < 2_000; tries += 1) {
    try {
      if ((await fetch(url)).status === 200) return;
    } catch {
      // not listening yet
    }
    await pause(5);
  }
  throw new Error(`${url} never answered`);
}
