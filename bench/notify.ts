import { freePort } from '../src/dev/free-port.ts';
import { type Figure, median } from './figures.ts';
import { httpLoad, type LoadResult } from './http-load.ts';
import { orderShipped } from './order-shipped.ts';
import { answers, start, startService } from './processes.ts';

const connections = 64;
const seconds = 4;
const rounds = 3;

/** Notify to one recipient through the whole stack, in turn with a bare Fastify route that parses the same body. */
export async function benchNotify(): Promise<Figure[]> {
  const port = await freePort();
  const bare = start('bench/bare.ts', { PORT: String(port) });
  await answers(`http://127.0.0.1:${port}/healthz`);
  const service = await startService();
  try {
    const ratios: number[] = [];
    const ours: number[] = [];
    const theirs: number[] = [];
    const p99: number[] = [];
    await load(service.internal, procedure); // warm both up
    await load(`http://127.0.0.1:${port}`, '/bare');
    for (let round = 0; round < rounds; round += 1) {
      const a = await load(service.internal, procedure);
      const b = await load(`http://127.0.0.1:${port}`, '/bare');
      ours.push(a.perSecond);
      theirs.push(b.perSecond);
      p99.push(a.p99Ms);
      ratios.push(a.perSecond / b.perSecond);
    }
    const ratio = median(ratios);
    return [
      {
        name: `Notify to one recipient, ${connections} connections, against a bare Fastify route`,
        value: `${ratio.toFixed(2)} (${median(ours).toFixed(0)}/s against ${median(theirs).toFixed(0)}/s; p99 ${median(p99).toFixed(1)} ms)`,
        target: 'at least 0.65',
        met: ratio >= 0.65,
      },
    ];
  } finally {
    await Promise.all([service.stop(), bare.stop()]);
  }
}

const procedure = '/elloloop.notify.v1.NotificationInternalService/Notify';
const body = orderShipped();

const load = (url: string, path: string): Promise<LoadResult> =>
  httpLoad({ url, path, connections, seconds, body });
