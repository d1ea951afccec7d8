import { createServer } from 'node:http';
import type { Config } from './config.ts';

/**
 * Says on the ops port that the service is not ready, while its store opens: that may wait for a Postgres or for a migration, and
 * whoever asks shall hear that somebody is there.
 * @returns gives the port up, for the ops listener. Nothing is opened where any free port will do, which nobody can ask yet
 * @throws Error EADDRINUSE
 */
export async function answerWhileStarting({ host, ports }: Config): Promise<() => Promise<void>> {
  if (ports.metrics === 0) return async () => {};
  const server = createServer(({ url = '' }, response) => {
    const isHealth = /^\/healthz?(\?|$)/.test(url);
    response.writeHead(isHealth ? 503 : 404, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(isHealth ? { status: 'not_ready' } : notYet));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ host, port: ports.metrics }, resolve);
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

const notYet = { code: 'not_found', message: 'the service is starting; only /healthz answers yet' };
