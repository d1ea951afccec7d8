import fastify from 'fastify';

/** What Notify is held against: a Fastify route that parses the same body and answers the same JSON. */
const app = fastify();
app.post('/bare', async () => ({ delivered: 0, pending: 1, failed: 0, results: [] }));
app.get('/healthz', async () => ({ status: 'ok' }));
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
process.on('SIGTERM', () => app.close());
