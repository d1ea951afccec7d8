import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { freePort } from '../../src/dev/free-port.ts';
import { notify, residentKiB } from '../event-sources.ts';
import type { Figure } from '../figures.ts';
import { collectGarbage, inspectedAt } from '../garbage.ts';
import { atMost, startOn } from './common.ts';

const slowReaders = [20, 120] as const;
const slowEvents = 3_000;

/**
 * What a reader costs that takes nothing while many events come for it: by the difference that more of them make to resident memory,
 * once V8 has collected what nobody needs any more, and at its highest before that.
 */
export async function slowReaderFigures(database: EmbeddedPostgres): Promise<Figure[]> {
  const [few, more] = slowReaders;
  const [small, large] = [await residentWith(database, few), await residentWith(database, more)];
  const each = (of: keyof Resident) => (large[of] - small[of]) / (more - few);
  const what = `a reader that takes nothing of ${slowEvents} events of 8 KB (${more} readers against ${few})`;
  return [
    // 64 KiB and one event wait for a reader, beside what any stream costs; Node keeps a copy of the slice that it writes
    atMost(`resident memory of ${what}`, each('heldKiB'), 'KiB', 64 + 8 + 15 + 16),
    {
      name: 'the same at its peak, with what V8 had not collected yet in 128 MiB of old space',
      value: `${each('peakKiB').toFixed(1)} KiB`,
      target: '',
      met: true,
    },
  ];
}

interface Resident {
  readonly heldKiB: number;
  readonly peakKiB: number;
}

/** Resident memory of a service when events have come for so many streams of one user that nobody reads. */
async function residentWith(database: EmbeddedPostgres, readers: number): Promise<Resident> {
  const inspector = await freePort();
  const service = await startOn(database, {
    NOTIFY_LIVE_MAX_STREAMS_PER_USER: String(readers),
    // or V8 keeps what nobody needs any more, since the machine has room for it
    NODE_OPTIONS: `--max-old-space-size=128 ${inspectedAt(inspector)}`,
  });
  const user = `slow-${readers}`;
  // larger than usual: the kernels of both sides take some MiB before a reader that stands still is felt
  const body = 'x'.repeat(8_000);
  const sockets: net.Socket[] = [];
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, residentKiB(service.pid));
  }, 50);
  try {
    await notify(service, 'warm-up', [user]);
    for (let i = 0; i < readers; i += 1) {
      const socket = net.connect(service.clientPort, '127.0.0.1');
      socket.on('error', () => {}).pause();
      socket.write(`GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer dev:${user}:bench\r\n\r\n`);
      sockets.push(socket);
    }
    await pause(2_000);
    let next = 0;
    const send = async () => {
      while (next < slowEvents) {
        const id = `slow-${next++}`;
        const isTaken = () =>
          notify(service, id, [user], body).then(
            () => true,
            () => false,
          );
        // a busy machine may make the service refuse some
        while (!(await isTaken())) await pause(50);
      }
    };
    await Promise.all(Array.from({ length: 32 }, send));
    await collectGarbage(inspector);
    return { heldKiB: residentKiB(service.pid), peakKiB: most };
  } finally {
    clearInterval(watch);
    for (const socket of sockets) socket.destroy();
    await service.stop();
  }
}
