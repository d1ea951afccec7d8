import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

/** Node's options for a process whose garbage is to be collected by way of this port of 127.0.0.1. */
export const inspectedAt = (port: number): string => `--inspect=127.0.0.1:${port} --inspect-publish-uid=http`;

/**
 * Has a process collect its garbage, and waits until freed pages have gone back.
 * @param port its inspector's, on 127.0.0.1
 */
export async function collectGarbage(port: number): Promise<void> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as [
    { webSocketDebuggerUrl: string },
  ];
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await once(socket, 'open');
  socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
  await once(socket, 'message');
  socket.close();
  await pause(500);
}
