import type { DescMethod, DescMethodUnary } from '@bufbuild/protobuf';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { publicError } from '../../src/core/errors.ts';
import type { RpcService, RunUnary } from './call.ts';
import { createBridge } from './protocol/bridge.ts';
import { answerUnary } from './protocol/connect-unary.ts';
import { acceptPost, fits, type Protocol, protocolOf } from './protocol/protocols.ts';

/**
 * Connect, gRPC and gRPC-web on POST /<service>/<method>. Connect's unary protocol takes a thin path of ours, since a
 * call through the library costs eight times a plain route; gRPC and gRPC-web go through the library.
 * Both decode, authenticate, run and log by the same code.
 */
export default fp<{ services: readonly RpcService[] }>(
  async (app, { services }) => {
    app.decorateRequest('principal', undefined);
    app.decorateRequest('refusal', undefined);
    app.decorateRequest('namedTenant', undefined);
    app.decorateRequest('startedMs', 0);
    await app.register(async (scope) => {
      // the protocols read their bodies themselves, all with the same limit
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _body, done) => done(null));
      for (const service of services)
        for (const method of service.desc.methods) addMethod(scope, service, method);
    });
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
  const checks = service.checks?.[method.localName];
  const bridge = unary && createBridge(method as DescMethodUnary, unary, checks);

  app.route({
    url,
    method: 'POST',
    onRequest: async (request, reply) => {
      request.startedMs = performance.now();
      reply.header('x-request-id', request.id);
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
        return answerUnary(method as DescMethodUnary, unary as RunUnary, checks, request, reply, protocol);
      } else if (bridge) {
        reply.hijack();
        await bridge(request, reply, protocol);
      }
      return reply;
    },
  });
  app.route({
    url,
    method: app.supportedMethods.filter((verb) => verb !== 'POST'),
    exposeHeadRoute: false,
    // before the body is looked at
    onRequest: (_request, reply) => {
      reply
        .code(405)
        .header('allow', 'POST')
        .send({ code: 'unimplemented', message: 'call this method with POST' });
    },
    handler: () => {},
  });
}
