import fp from 'fastify-plugin';
import { type DelayReading, measureDelay } from './delay.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Measures how late the event loop is, until the service closes.
     * @param everyMs between two samples, whole
     * @returns reads what was measured since the last reading
     */
    measureEventLoopDelay(everyMs: number): () => DelayReading;
  }
}

/** How busy this process's event loop is. */
export default fp(
  async (app) => {
    const stops: (() => void)[] = [];
    app.decorate('measureEventLoopDelay', (everyMs: number) => {
      const delay = measureDelay(everyMs);
      stops.push(delay.stop);
      return delay.read;
    });
    app.addHook('onClose', async () => {
      for (const stop of stops) stop();
    });
  },
  { name: 'event-loop' },
);
