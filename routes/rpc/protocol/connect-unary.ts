import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { create, type DescMethodUnary, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import { errorToJson } from '@connectrpc/connect/protocol-connect';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorCodes, NotifyError, publicError } from '../../../src/core/errors.ts';
import { logCall, type RunUnary } from '../call.ts';
import { decodeMessage } from './decode.ts';
import { retryAfterSeconds, toConnectError } from './errors.ts';
import type { Protocol } from './protocols.ts';
import { decompress } from './request-body.ts';

/** Answers from this size on are compressed for clients that take gzip. */
const compressFromBytes = 1024;

const gzipAsync = promisify(gzip);

/**
 * Connect's unary protocol (connectrpc.com/docs/protocol): the request's body is the message, the answer's too, and an
 * error is JSON under its HTTP status.
 */
export async function answerUnary(
  method: DescMethodUnary,
  run: RunUnary,
  request: FastifyRequest,
  reply: FastifyReply,
  protocol: Protocol,
): Promise<FastifyReply> {
  const version = request.headers['connect-protocol-version'];
  if (version !== undefined && version !== '1')
    throw new NotifyError('invalid_argument', 'the header Connect-Protocol-Version must be 1, or absent');
  const timeoutMs = parseTimeout(request.headers['connect-timeout-ms']);
  let body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined) body = await decompress(body, encoding);
  const input = decodeMessage(method.input, body, protocol.isJson);
  const running = run(input, { principal: request.principal });
  const output = (await (timeoutMs === undefined ? running : within(timeoutMs, running))) as MessageInitShape<
    typeof method.output
  >;
  const message = create(method.output, output);
  reply.header('content-type', protocol.isJson ? 'application/json' : 'application/proto');
  // a text leaves in one write with the head; bytes would take two
  const bytes = protocol.isJson
    ? JSON.stringify(toJson(method.output, message, { alwaysEmitImplicit: true }))
    : Buffer.from(toBinary(method.output, message));
  logCall(request, 'ok');
  if (bytes.length < compressFromBytes) return reply.send(bytes);
  reply.header('vary', 'accept-encoding');
  if (!/\bgzip\b/i.test(String(request.headers['accept-encoding'] ?? ''))) return reply.send(bytes);
  reply.header('content-encoding', 'gzip');
  return reply.send(await gzipAsync(bytes));
}

/** Writes an error of a unary call, or of any request outside RPC: {code, message, details} under its HTTP status. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const shown = publicError(error);
  const seconds = retryAfterSeconds(shown);
  if (seconds !== undefined) reply.header('retry-after', seconds);
  reply
    .code(errorCodes[shown.code].http)
    .header('content-type', 'application/json')
    .header('x-request-id', request.id)
    .send(JSON.stringify(errorToJson(toConnectError(shown), undefined)));
}

/** @returns milliseconds, undefined where the header is absent */
function parseTimeout(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== 'string' || !/^\d{1,10}$/.test(header))
    throw new NotifyError('invalid_argument', 'the header Connect-Timeout-Ms must be at most ten digits');
  return Number(header);
}

/** The caller's deadline ends the waiting, not the work: what was accepted goes on. */
export async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new NotifyError(
            'deadline_exceeded',
            'the deadline of the call has passed; it may still take effect',
          ),
        ),
      Math.min(timeoutMs, 2 ** 31 - 1),
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {}); // nobody is left to hear of it
  }
}
