import underPressure from '@fastify/under-pressure';
import fp from 'fastify-plugin';
import { NotifyError } from '../../src/core/errors.ts';

export interface PressureLimits {
  /** Above this mean delay of the event loop, new requests are refused. */
  readonly maxEventLoopDelayMs: number;
  readonly sampleIntervalMs: number;
}

export const defaultPressureLimits: PressureLimits = { maxEventLoopDelayMs: 1_000, sampleIntervalMs: 1_000 };

declare module 'fastify' {
  interface FastifyInstance {
    pressure: {
      /** Why a new request must not be taken on now, in words for the caller; undefined when it may. */
      refusal(): NotifyError | undefined;
    };
  }
}

/**
 * Notices overload on a listener. Routes ask for the refusal themselves, because each protocol has its own way to say it
 * and a browser's stream must not see a 503.
 */
export default fp<{ limits: PressureLimits }>(
  async (app, { limits }) => {
    // in a scope of its own: its hook, which would look at every request, has no routes there
    await app.register(async (scope) => {
      await scope.register(underPressure, {
        maxEventLoopDelay: limits.maxEventLoopDelayMs,
        sampleInterval: limits.sampleIntervalMs,
        pressureHandler: () => {},
      });
      app.decorate('isUnderPressure', scope.isUnderPressure);
    });
    app.decorate('pressure', {
      refusal: () =>
        app.isUnderPressure()
          ? new NotifyError('resource_exhausted', 'this server is overloaded; try again', {
              retryAfterMs: 5_000,
            })
          : undefined,
    });
  },
  { name: 'pressure' },
);
