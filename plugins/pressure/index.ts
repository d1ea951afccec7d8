import fp from 'fastify-plugin';
import { NotifyError } from '../../src/core/errors.ts';

export interface PressureLimits {
  /** Above this mean delay of the event loop, new requests are refused. 0: never. */
  readonly maxEventLoopDelayMs: number;
  readonly sampleIntervalMs: number;
}

export const defaultPressureLimits: PressureLimits = { maxEventLoopDelayMs: 1_000, sampleIntervalMs: 1_000 };

/** The delay is looked at so often in an interval. */
const looks = 5;

/** Whether this process has more to do than it can. */
export interface Pressure {
  /** Begins to look, once the service listens: that its boot kept the event loop busy is no overload. */
  watch(): void;
  isHigh(): boolean;
  /** Why a new request must not be taken on now, in words for the caller; undefined when it may. */
  refusal(): NotifyError | undefined;
}

declare module 'fastify' {
  interface FastifyInstance {
    pressure: Pressure;
  }
}

/**
 * Notices overload. Routes ask for the refusal themselves, because each protocol has its own way to say it and a browser's
 * stream must not see a 503.
 */
export default fp<{ limits: PressureLimits }>(
  async (app, { limits }) => {
    const { maxEventLoopDelayMs, sampleIntervalMs } = limits;
    let isHigh = false;
    let stop = (): void => {};
    const pressure: Pressure = {
      watch() {
        if (maxEventLoopDelayMs === 0) return;
        const read = app.measureEventLoopDelay(Math.ceil(sampleIntervalMs / looks));
        const sample = setInterval(() => {
          isHigh = read().mean > maxEventLoopDelayMs;
        }, sampleIntervalMs).unref();
        stop = () => clearInterval(sample);
      },
      isHigh: () => isHigh,
      refusal: () =>
        pressure.isHigh()
          ? new NotifyError('resource_exhausted', 'this server is overloaded; try again', {
              retryAfterMs: 5_000,
            })
          : undefined,
    };
    app.decorate('pressure', pressure);
    app.addHook('onClose', async () => stop());
  },
  { name: 'pressure', dependencies: ['event-loop'] },
);
