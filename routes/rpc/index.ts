import type { DescMethod, DescMethodUnary } from '@bufbuild/protobuf';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { publicError } from '../../src/core/errors.ts';
import type { RpcService, RunUnary } from './call.ts';
import { createBridge } from './protocol/bridge.ts';
import { answerUnary, sendJson } from './protocol/connect-unary.ts';
import { acceptPost, contentTypes, fits, type Protocol, protocolOf } from './protocol/protocols.ts';

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
    app.decorateRequest('procedure', '');
    app.decorateRequest('startedMs', 0);
    await app.register(async (scope) => {
      // the protocols read their bodies themselves, all with the same limit
      scope.removeAllContentTypeParsers();
      // one that is named is found by its name; '*' is for those with parameters
      for (const type of [...contentTypes, '*'])
        scope.addContentTypeParser(type, (_request, _body, done) => done(null));
      for (const service of services)
        for (const method of service.desc.methods) addMethod(scope, service, method);
    });
  },
  { name: 'rpc' },
);

function addMethod(app: FastifyInstance, service: RpcService, method: DescMethod): void {
  const url = `/${service.desc.typeName}/${method.name}`;
  const isStream = method.methodKind !== 'unary';
  const stream = service.streams?.[method.localName];
  const unary = service.unary[method.localName];
  if (isStream ? !stream : !unary) throw new Error(`${url} has no implementation`);
  const checks = service.checks?.[method.localName];
  const runJson = service.json?.[method.localName];
  const desc = method as DescMethodUnary;
  const bridge = unary && createBridge(desc, unary, checks);

  app.route({
    url,
    method: 'POST',
    // with a callback, so that the handler hears the body as it is parsed: a promise's turn later it would have been queued
    onRequest: (request, reply, done) => {
      request.startedMs = performance.now();
      request.procedure = url;
      reply.header('x-request-id', request.id);
      const protocol = protocolOf(request.headers['content-type']);
      if (protocol === undefined || !fits(protocol, isStream)) {
        reply.code(415).header('accept-post', acceptPost(isStream));
        sendJson(reply, {
          code: 'invalid_argument',
          message: `use one of the content types ${acceptPost(isStream)}`,
        });
        return;
      }
      try {
        request.principal = service.authenticate(request);
        request.refusal = app.pressure.refusal();
      } catch (error) {
        request.refusal = publicError(error);
      }
      // Connect's unary errors have a status of their own: nothing is read any more
      if (protocol.kind === 'connect') done(request.refusal);
      else done();
    },
    // each answers by itself, errors included: nothing is returned for Fastify to wait for
    handler: (request, reply) => {
      const protocol = protocolOf(request.headers['content-type']) as Protocol;
      if (stream) {
        reply.hijack();
        void stream(request, reply, protocol);
      } else if (protocol.kind === 'connect') {
        answerUnary({ desc, run: unary as RunUnary, runJson, checks }, request, reply, protocol);
      } else if (bridge) {
        reply.hijack();
        void bridge(request, reply, protocol);
      }
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
