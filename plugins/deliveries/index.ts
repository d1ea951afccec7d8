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
    const due = () => {
      app.dispatcher.wake();
      app.peers?.workLeft();
    };
    app.decorate('deliveries', new Deliveries(app.store, due, app.storeAmbient));
  },
  { name: 'deliveries', dependencies: ['store', 'backplane', 'dispatcher'] },
);
