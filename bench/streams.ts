import { setTimeout as pause } from 'node:timers/promises';
import { markAllRead, notifyAll, openStreams, residentKiB } from './event-sources.ts';
import { type Figure, median } from './figures.ts';
import { startService } from './processes.ts';

const streams = 5_000;
const rounds = 5;

/** EventSource streams of as many users: memory of each, and the time until one event has reached every one. */
export async function benchStreams(): Promise<Figure[]> {
  const service = await startService();
  try {
    await notifyAll(service, 'warm-up', streams); // code and rows are there before memory is measured
    await markAllRead(service, streams);
    const before = residentKiB(service.pid);
    const open = await openStreams(service, streams);
    await pause(1_000);
    const each = (residentKiB(service.pid) - before) / streams;
    const times: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const arrived = open.expectAll(`round-${round}`);
      const startedMs = performance.now();
      await notifyAll(service, `round-${round}`, streams);
      await arrived;
      times.push(performance.now() - startedMs);
    }
    open.close();
    const ms = median(times.slice(1));
    return [
      {
        name: `memory of each of ${streams} EventSource streams`,
        value: `${each.toFixed(1)} KiB`,
        target: 'at most 15 KiB',
        met: each <= 15,
      },
      {
        name: `one event to each of ${streams} users in calls of 1,000, until the last`,
        value: `${ms.toFixed(0)} ms`,
        target: 'at most 150 ms',
        met: ms <= 150,
      },
    ];
  } finally {
    await service.stop();
  }
}
