import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { create, type DescMethodUnary, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import { errorToJson } from '@connectrpc/connect/protocol-connect';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorCodes, NotifyError, publicError } from '../../../src/core/errors.ts';
import { type InputChecks, logCall, noteInput, type RunUnary } from '../call.ts';
import { decodeMessage } from './decode.ts';
import { retryAfterSeconds, toConnectError } from './errors.ts';
import type { Protocol } from './protocols.ts';
import { decompress, readBody } from './request-body.ts';
import { checkConnectVersion, timeoutOf } from './request-headers.ts';

/** Answers from this size on are compressed for clients that take gzip. */
const compressFromBytes = 1024;

/** Whether an Accept-Encoding header names gzip, and not with the weight 0 (RFC 9110 §12.5.3). */
const takesGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i;

const gzipAsync = promisify(gzip);

/**
 * Connect's unary protocol (connectrpc.com/docs/protocol): the request's body is the message, the answer's too, and an
 * error is JSON under its HTTP status.
 */
export async function answerUnary(
  method: DescMethodUnary,
  run: RunUnary,
  checks: InputChecks | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
  protocol: Protocol,
): Promise<FastifyReply> {
  let body = await readBody(request.raw);
  checkConnectVersion(request);
  const timeoutMs = timeoutOf(request, protocol);
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined) body = await decompress(body, encoding);
  const input = decodeMessage(method.input, body, protocol.isJson, checks);
  noteInput(request, input);
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
  await endOfTurn();
  if (bytes.length < compressFromBytes) return reply.send(bytes);
  reply.header('vary', 'accept-encoding');
  if (!takesGzip.test(String(request.headers['accept-encoding']))) return reply.send(bytes);
  reply.header('content-encoding', 'gzip');
  return reply.send(await gzipAsync(bytes));
}

let turn: Promise<void> | undefined;

/**
 * Answers that become ready in one turn of the event loop are written together, after its input has been read. A write on its
 * own wakes its reader each time: at full load that costs as much as the call itself (measured: 72 µs of CPU a Notify call
 * without, 53 µs with it).
 */
function endOfTurn(): Promise<void> {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined;
      resolve();
    });
  });
  return turn;
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
