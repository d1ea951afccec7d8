import { setTimeout as pause } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { cpuMs, markAllRead, notifyAll, openStreams, residentKiB } from '../event-sources.ts';
import { type Figure, median, percentile } from '../figures.ts';
import { atMost, startOn } from './common.ts';
import { memoryFigure } from './memory.ts';
import { paced } from './paced.ts';

const streams = 10_000;
const rounds = 4;
/** What opening them left behind is collected first; two heartbeats of each. */
const settleMs = 5_000;
const idleMs = 60_000;
const perSecond = 1_000;
const pacedMs = 15_000;

export async function manyStreamFigures(database: EmbeddedPostgres): Promise<Figure[]> {
  const service = await startOn(database);
  try {
    await notifyAll(service, 'warm-up', streams);
    await markAllRead(service, streams);
    const before = residentKiB(service.pid);
    const sentAt = new Map<string, number>();
    const delays: number[] = [];
    const open = await openStreams(service, streams, (title) => {
      const at = sentAt.get(title);
      if (at !== undefined) delays.push(performance.now() - at);
    });
    await pause(1_000);
    const each = (residentKiB(service.pid) - before) / streams;
    await pause(settleMs);
    const cpuBefore = cpuMs(service.pid);
    await pause(idleMs);
    const idle = ((cpuMs(service.pid) - cpuBefore) / idleMs) * 100;
    const times: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const arrived = open.expectAll(`round-${round}`);
      const startedMs = performance.now();
      await notifyAll(service, `round-${round}`, streams);
      await arrived;
      times.push(performance.now() - startedMs);
    }
    await paced(service, sentAt, () => `user-${Math.floor(Math.random() * streams)}`, perSecond, pacedMs);
    open.close();
    const memory = await memoryFigure(database, 'EventSource', streams, (other) =>
      openStreams(other, streams),
    );
    const [all, p99] = [median(times.slice(1)), percentile(delays, 0.99)];
    return [
      atMost(`memory of each of ${streams} EventSource streams`, each, 'KiB', 15),
      memory,
      atMost(`CPU of the process with them idle, a heartbeat every 30 s`, idle, '% of a core', 2),
      atMost(`one event to each of ${streams} users in calls of 1,000, until the last`, all, 'ms', 700),
      atMost(
        `${perSecond} notifications/s to random users among them, call to event, p99 (p50 ${percentile(delays, 0.5).toFixed(1)} ms)`,
        p99,
        'ms',
        10,
      ),
    ];
  } finally {
    await service.stop();
  }
}
