import { setTimeout as pause } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { freePort } from '../../src/dev/free-port.ts';
import { markAllRead, notifyAll, residentKiB } from '../event-sources.ts';
import type { Figure } from '../figures.ts';
import { collectGarbage, inspectedAt } from '../garbage.ts';
import type { Running, Service } from '../processes.ts';
import { atMost, startOn } from './common.ts';

/** What each of some streams of a service costs in memory, once V8 has collected: before them and with them. */
export async function memoryFigure(
  database: EmbeddedPostgres,
  what: string,
  streams: number,
  open: (service: Service) => Promise<{ close(): void }>,
): Promise<Figure> {
  const inspector = await freePort();
  const service = await startOn(database, { NODE_OPTIONS: inspectedAt(inspector) });
  try {
    await notifyAll(service, 'warm-up', streams);
    await markAllRead(service, streams);
    const each = await heldKiB(service, inspector, streams, () => open(service));
    return atMost(`the same once V8 has collected, before them and with them: ${what}`, each, 'KiB', 15);
  } finally {
    await service.stop();
  }
}

/** By how much resident memory grows for each of some streams. @param inspector the process's */
export async function heldKiB(
  process: Running,
  inspector: number,
  streams: number,
  open: () => Promise<{ close(): void }>,
): Promise<number> {
  await collectGarbage(inspector);
  const before = residentKiB(process.pid);
  const opened = await open();
  await pause(1_000);
  await collectGarbage(inspector);
  const each = (residentKiB(process.pid) - before) / streams;
  opened.close();
  return each;
}
