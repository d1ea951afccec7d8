import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { maxMessageBytes } from '../rpc/protocol/request-body.ts';

/**
 * POST /v1/receipts/<provider>: what providers say of deliveries afterwards. 204 when it is written, which includes what concerns no
 * delivery of ours; a provider repeats what is answered otherwise. The body is read as bytes: they are what is signed.
 */
export default fp(
  async (app) => {
    await app.register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
      scope.post('/v1/receipts/:provider', {
        bodyLimit: maxMessageBytes,
        onRequest: async (request) => {
          app.receipts.assertSetUp(providerOf(request));
          const refusal = app.pressure.refusal();
          if (refusal !== undefined) throw refusal;
        },
        handler: async (request, reply) => {
          const { url: target, headers, body } = request;
          await app.receipts.accept(providerOf(request), {
            target,
            headers,
            body: Buffer.isBuffer(body) ? body : Buffer.alloc(0),
          });
          return reply.code(204).send();
        },
      });
    });
  },
  { name: 'receipts-route' },
);

const providerOf = ({ params }: FastifyRequest): string => (params as { provider: string }).provider;
