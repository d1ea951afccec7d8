import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../src/core/ambient.ts';
import type { BackplaneObserver } from '../../src/core/backplane/backplane.ts';

/** How often it is said again that the other replicas are not heard, in milliseconds. */
const stillLostMs = 60_000;
/** How often a failure of one kind is logged, in milliseconds: whoever writes to the channel may cause any number. */
const failureMs = 10_000;

/** What an operator sees of a backplane. */
export function backplaneObserver(
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>,
  isConnected: (transport: string, value: boolean) => void,
  clock: Pick<Clock, 'elapsed'>,
  transport: string,
): BackplaneObserver {
  let saidLostAtMs = 0;
  const failures = new Map<string, { atMs: number; untold: number }>();
  const sayLost = (error: unknown) => {
    saidLostAtMs = clock.elapsed();
    log.warn({ err: error, transport }, 'backplane_lost: looking at the store every second');
  };
  isConnected(transport, false);
  return {
    connected() {
      isConnected(transport, true);
      log.info({ transport }, 'backplane_connected');
    },
    lost(error) {
      isConnected(transport, false);
      sayLost(error);
    },
    stillLost(error) {
      if (clock.elapsed() - saidLostAtMs >= stillLostMs) sayLost(error);
    },
    failed(what, error) {
      const last = failures.get(what);
      if (last !== undefined && clock.elapsed() - last.atMs < failureMs) {
        last.untold += 1;
        return;
      }
      failures.set(what, { atMs: clock.elapsed(), untold: 0 });
      const untold = last?.untold ?? 0;
      log.warn({ err: error, what, transport, ...(untold > 0 && { untold }) }, 'backplane_failed');
    },
  };
}
