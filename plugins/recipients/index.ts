import fp from 'fastify-plugin';
import { Recipients } from '../../src/core/recipients/recipients.ts';

declare module 'fastify' {
  interface FastifyInstance {
    recipients: Recipients;
  }
}

/** What is kept about recipients and their addresses. */
export default fp(
  async (app) => {
    app.decorate('recipients', new Recipients(app.store, app.liveHub, app.storeAmbient));
  },
  { name: 'recipients', dependencies: ['store', 'live-hub'] },
);
