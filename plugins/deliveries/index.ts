import fp from 'fastify-plugin';
import { Deliveries } from '../../src/core/deliveries.ts';

declare module 'fastify' {
  interface FastifyInstance {
    deliveries: Deliveries;
  }
}

/** What operators do with deliveries. */
export default fp(
  async (app) => {
    app.decorate('deliveries', new Deliveries(app.store, app.dispatcher, app.storeAmbient));
  },
  { name: 'deliveries', dependencies: ['store', 'dispatcher'] },
);
