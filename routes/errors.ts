import type { FastifyError, FastifyRequest } from 'fastify';
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
    app.setNotFoundHandler((_request, reply) =>
      reply.code(404).send({
        code: 'unimplemented',
        message: 'there is nothing at this path; RPCs are POST /<package>.<Service>/<Method>',
      }),
    );
  },
  { name: 'error-answers' },
);

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
