import fp from 'fastify-plugin';
import type { Ambient } from '../../src/core/ambient.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Time, ids and randomness; tests bring their own. */
    ambient: Ambient;
  }
}

export default fp<{ ambient: Ambient }>(
  async (app, { ambient }) => {
    app.decorate('ambient', ambient);
  },
  { name: 'ambient' },
);
