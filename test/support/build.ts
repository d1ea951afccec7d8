import { type App, buildApp, built, type Overrides } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';

/** The service on free ports, in dev mode, with everything a test needs to reach it. */
export interface Service extends App {
  /** http://127.0.0.1:<port> of each listener. */
  readonly url: Readonly<Record<'client' | 'internal' | 'ops', string>>;
  readonly ports: Readonly<Record<'client' | 'internal' | 'ops', number>>;
}

/**
 * Builds the service and opens its ports. It closes itself at the end of the test.
 * @param t the test; `{ after }` from node:test for a whole file
 * @param env NOTIFY_* variables, over dev mode on free ports
 */
export async function build(
  t: { after(close: () => Promise<void>): void },
  env: Readonly<Record<string, string>> = {},
  overrides: Overrides = {},
): Promise<Service> {
  const config = parseConfig(
    {
      NOTIFY_AUTH_DEV_MODE: 'true',
      NOTIFY_HOST: '127.0.0.1',
      NOTIFY_CLIENT_PORT: '0',
      NOTIFY_INTERNAL_PORT: '0',
      NOTIFY_METRICS_PORT: '0',
      ...env,
    },
    built,
  );
  // a machine that is busy with other tests is no overload
  const pressure = { maxEventLoopDelayMs: 60_000, sampleIntervalMs: 1_000 };
  const app = await buildApp(config, { pressure, ...overrides });
  t.after(() => app.close());
  const ports = await app.listen();
  const at = (port: number): string => `http://127.0.0.1:${port}`;
  return Object.assign(app, {
    ports,
    url: { client: at(ports.client), internal: at(ports.internal), ops: at(ports.ops) },
  });
}

/** A Connect unary call in JSON, as curl makes it. */
export async function call(
  base: string,
  procedure: string,
  body: unknown,
  headers: Record<string, string> = {},
  signal: AbortSignal | null = null,
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const response = await fetch(`${base}/${procedure}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal,
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

export const procedures = {
  notify: 'elloloop.notify.v1.NotificationInternalService/Notify',
  getNotifications: 'elloloop.notify.v1.NotificationClientService/GetNotifications',
  ackNotification: 'elloloop.notify.v1.NotificationClientService/AckNotification',
  streamEvents: 'elloloop.notify.v1.NotificationClientService/StreamEvents',
} as const;

/** The header of a dev token. */
export const as = (userId: string, tenantId = 'demo'): { authorization: string } => ({
  authorization: `Bearer dev:${userId}:${tenantId}`,
});
