import { type Figure, median } from './figures.ts';
import { startService } from './processes.ts';

const rounds = 5;

/** From the process's start until /healthz answers 200. */
export async function benchBoot(): Promise<Figure[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const service = await startService();
    times.push(service.bootMs);
    await service.stop();
  }
  const ms = median(times);
  return [
    {
      name: 'boot until healthy',
      value: `${ms.toFixed(0)} ms`,
      target: 'at most 1,000 ms',
      met: ms <= 1_000,
    },
  ];
}
