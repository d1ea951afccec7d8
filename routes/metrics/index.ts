import fp from 'fastify-plugin';

/** GET /metrics, Prometheus text. */
export default fp(
  async (app) => {
    app.get('/metrics', async (_request, reply) => {
      const { contentType, text } = await app.scrape();
      return reply.header('content-type', contentType).send(text);
    });
  },
  { name: 'metrics-route' },
);
