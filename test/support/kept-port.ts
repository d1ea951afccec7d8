import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that the kernel gives to outgoing connections, which begin at 32768 (ip(7), ip_local_port_range). */
const [lowest, count] = [12_000, 20_000];
let next = (process.pid * 97) % count;

/** A free port of 127.0.0.1 that no connection takes while its listener is away: for servers that go and come back. */
export async function keptPort(): Promise<number> {
  for (let tries = 0; tries < count; tries++) {
    const port = lowest + next;
    next = (next + 1) % count;
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    server.close();
    if (isFree) return port;
  }
  throw new Error('no port');
}
