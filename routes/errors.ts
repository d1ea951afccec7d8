import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { NotifyError, publicError } from '../src/core/errors.ts';
import { logCall } from './rpc/call.ts';
import { answerError } from './rpc/protocol/connect-unary.ts';
import { tooLarge } from './rpc/protocol/request-body.ts';

/** Every error outside a stream, and every unknown path, as {code, message} under its status. */
export const errorAnswers = fp(
  async (app) => {
    app.setErrorHandler((error, request, reply) => {
      const shown = translate(error);
      if (isRpc(request)) logCall(request, shown.code, shown);
      else if (shown.code === 'internal') request.log.error({ err: error }, 'request_failed');
      answerError(shown, request, reply);
    });
    app.addHook('onRequest', (request, reply, done) => {
      const { httpVersion, headers } = request.raw;
      if (headers.host !== undefined || httpVersion !== '1.1') return done();
      reply.header('connection', 'close');
      done(new NotifyError('invalid_argument', 'a request of HTTP/1.1 needs a Host header'));
    });
    // before a body is looked at, which nobody will read, and after CORS
    app.addHook('preParsing', (request, reply, payload, done) => {
      if (request.is404) nothingHere(request, reply);
      else done(null, payload);
    });
    app.setNotFoundHandler(nothingHere);
  },
  { name: 'error-answers' },
);

function nothingHere(_request: FastifyRequest, reply: FastifyReply): void {
  reply.code(404).send({
    code: 'unimplemented',
    message: 'there is nothing at this path; RPCs are POST /<package>.<Service>/<Method>',
  });
}

const isRpc = (request: FastifyRequest): boolean => request.startedMs > 0;

/** Fastify's own errors in our words; theirs may quote the input. */
function translate(error: unknown): NotifyError {
  if (error instanceof NotifyError) return error;
  const { code, statusCode } = error as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge();
  if (code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH')
    return new NotifyError('invalid_argument', 'the body is not as long as Content-Length says');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new NotifyError('invalid_argument', 'the request cannot be read', { cause: error });
  return publicError(error);
}

/** What a connection is told that did not send HTTP, by Node's code of the error. */
const connectionErrors: Readonly<Record<string, readonly [status: string, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request took too long to arrive'],
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', "the request's headers are too large"],
};

/** Answers what is not HTTP as {code, message}, and closes the connection. For Fastify's clientErrorHandler. */
export function answerConnectionError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, message] = connectionErrors[error.code ?? ''] ?? [
    '400 Bad Request',
    'this is not a valid HTTP request',
  ];
  const body = JSON.stringify({ code: 'invalid_argument', message });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** Answers what no route can be looked up for, such as a path that cannot be decoded. For Fastify's frameworkErrors. */
export function answerFrameworkError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  answerError(translate(error), request, reply);
}
