import type { DescMethod, DescMethodUnary } from '@bufbuild/protobuf';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { publicError } from '../../src/core/errors.ts';
import type { RpcService, RunUnary } from './call.ts';
import { createBridge } from './protocol/bridge.ts';
import { answerUnary } from './protocol/connect-unary.ts';
import { acceptPost, fits, type Protocol, protocolOf } from './protocol/protocols.ts';
import { maxMessageBytes } from './protocol/request-body.ts';

/**
 * Connect, gRPC and gRPC-web on POST /<service>/<method>. Connect's unary protocol takes a thin path of ours, since a
 * call through the library costs eight times a plain route; gRPC and gRPC-web go through the library.
 * Both decode, authenticate, run and log by the same code.
 */
export default fp<{ services: readonly RpcService[] }>(
  async (app, { services }) => {
    app.decorateRequest('principal', undefined);
    app.decorateRequest('refusal', undefined);
    app.decorateRequest('startedMs', 0);
    for (const type of ['application/json', 'application/proto'])
      app.addContentTypeParser(
        type,
        { parseAs: 'buffer', bodyLimit: maxMessageBytes },
        (_request, body, done) => done(null, body),
      );
    // enveloped requests are read by the protocol
    app.addContentTypeParser(/^application\/(grpc|connect\+)/, (_request, _body, done) => done(null));
    for (const service of services)
      for (const method of service.desc.methods) addMethod(app, service, method);
  },
  { name: 'rpc' },
);

const jsonWithCharset = 'application/json; charset=utf-8';

function addMethod(app: FastifyInstance, service: RpcService, method: DescMethod): void {
  const url = `/${service.desc.typeName}/${method.name}`;
  const isStream = method.methodKind !== 'unary';
  const stream = service.streams?.[method.localName];
  const unary = service.unary[method.localName];
  if (isStream ? !stream : !unary) throw new Error(`${url} has no implementation`);
  const bridge = unary && createBridge(method as DescMethodUnary, unary);

  app.route({
    url,
    method: 'POST',
    bodyLimit: maxMessageBytes,
    onRequest: async (request, reply) => {
      request.startedMs = performance.now();
      const protocol = protocolOf(request.headers['content-type']);
      if (protocol === undefined || !fits(protocol, isStream)) {
        reply.header('accept-post', acceptPost(isStream));
        return reply.code(415).send({
          code: 'invalid_argument',
          message: `use one of the content types ${acceptPost(isStream)}`,
        });
      }
      try {
        request.principal = service.authenticate(request);
        request.refusal = app.pressure.refusal();
      } catch (error) {
        request.refusal = publicError(error);
      }
      // Connect's unary errors have a status of their own: nothing is read any more
      if (request.refusal && protocol.kind === 'connect') throw request.refusal;
    },
    // Fastify adds a charset to a text's content type, which strict Connect clients refuse
    onSend: (_request, reply, payload, done) => {
      if (reply.getHeader('content-type') === jsonWithCharset)
        reply.header('content-type', 'application/json');
      done(null, payload);
    },
    handler: async (request, reply) => {
      const protocol = protocolOf(request.headers['content-type']) as Protocol;
      if (stream) {
        reply.hijack();
        await stream(request, reply, protocol);
      } else if (protocol.kind === 'connect') {
        return answerUnary(method as DescMethodUnary, unary as RunUnary, request, reply, protocol);
      } else if (bridge) {
        reply.hijack();
        await bridge(request, reply, protocol);
      }
      return reply;
    },
  });
  for (const verb of ['GET', 'PUT', 'PATCH', 'DELETE'] as const)
    app.route({
      url,
      method: verb,
      handler: (_request, reply) => {
        reply
          .code(405)
          .header('allow', 'POST')
          .send({ code: 'unimplemented', message: 'call this method with POST' });
      },
    });
}
