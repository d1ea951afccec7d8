import type { FastifyReply } from 'fastify';
import fp from 'fastify-plugin';

/** Whether the service takes traffic: false while starting and from the first moment of a stop. */
export interface Readiness {
  ready: boolean;
}

/** GET /healthz and /health, for load balancers and orchestrators. */
export default fp<{ readiness: Readiness }>(
  async (app, { readiness }) => {
    const answer = async (_request: unknown, reply: FastifyReply) => {
      const ready = readiness.ready && (await app.store.ready());
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'not_ready' });
    };
    app.get('/healthz', answer);
    app.get('/health', answer);
  },
  { name: 'health' },
);
