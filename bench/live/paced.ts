import { setTimeout as pause } from 'node:timers/promises';
import { notify } from '../event-sources.ts';
import type { Service } from '../processes.ts';

/** Notify calls to one user each, at a steady rate; their starts by title. */
export async function paced(
  service: Service,
  sentAt: Map<string, number>,
  user: () => string,
  rate: number,
  forMs: number,
): Promise<void> {
  const calls: Promise<void>[] = [];
  const startedMs = performance.now();
  const run = `${startedMs}`;
  for (let sent = 0; performance.now() - startedMs < forMs; ) {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * rate);
    for (; sent < due; sent += 1) {
      const id = `paced-${run}-${sent}`;
      sentAt.set(id, performance.now());
      calls.push(notify(service, id, [user()]));
    }
    await pause(1);
  }
  await Promise.all(calls);
  await pause(500);
}
