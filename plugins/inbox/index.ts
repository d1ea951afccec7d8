import fp from 'fastify-plugin';
import { Inbox } from '../../src/core/inbox.ts';

declare module 'fastify' {
  interface FastifyInstance {
    inbox: Inbox;
  }
}

/** What a recipient calls. */
export default fp(
  async (app) => {
    app.decorate('inbox', new Inbox(app.store, app.liveHub, app.storeAmbient));
  },
  { name: 'inbox', dependencies: ['store', 'live-hub'] },
);
