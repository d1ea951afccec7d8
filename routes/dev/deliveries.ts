import fp from 'fastify-plugin';
import { deliveryJson } from '../rpc/services/delivery.ts';

/** In dev mode: GET /dev/deliveries/<id>?tenant=<tenant>, one delivery with every attempt, as GetDelivery answers it. */
export default fp(
  async (app) => {
    const delivery = deliveryJson(app);
    app.get('/dev/deliveries/:id', async (request, reply) => {
      const { id } = request.params as { id: string };
      const { tenant } = request.query as Record<string, unknown>;
      return reply
        .header('content-type', 'application/json')
        .header('cache-control', 'no-store')
        .send(await delivery(typeof tenant === 'string' ? tenant : '', id));
    });
  },
  { name: 'dev-deliveries' },
);
