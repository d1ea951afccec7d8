import fastifyMetrics from 'fastify-metrics';
import fp from 'fastify-plugin';
import { collectProcessMetrics } from './event-loop.ts';
import { createMeters, type Meters } from './meters.ts';

declare module 'fastify' {
  interface FastifyInstance {
    meters: Meters;
    /** Everything measured, as Prometheus text, with its content type. */
    scrape(): Promise<{ contentType: string; text: string }>;
  }
}

/** One registry for the whole process: our metrics, and the process's and the event loop's. */
export default fp(
  async (app) => {
    await app.register(fastifyMetrics.default, {
      endpoint: null, // the ops listener serves it
      routeMetrics: { enabled: false }, // core has no routes; RPCs have metrics of their own
      defaultMetrics: { enabled: false }, // they would go to the client's global registry, which outlives an app
    });
    const { client } = app.metrics;
    const registry = new client.Registry();
    collectProcessMetrics(app, registry);
    app.decorate('meters', createMeters(client, registry));
    app.decorate('scrape', async () => ({
      contentType: registry.contentType,
      text: await registry.metrics(),
    }));
  },
  { name: 'notify-metrics', dependencies: ['event-loop'] },
);
