import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { create, type DescMethodUnary, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import { errorToJson } from '@connectrpc/connect/protocol-connect';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorCodes, NotifyError, publicError } from '../../../src/core/errors.ts';
import { type InputChecks, logCall, noteInput, type RunJson, type RunUnary } from '../call.ts';
import { decodeMessage } from './decode.ts';
import { retryAfterSeconds, toConnectError } from './errors.ts';
import type { Protocol } from './protocols.ts';
import { collectBody, decompress, maxMessageBytes } from './request-body.ts';
import { checkConnectVersion, timeoutOf } from './request-headers.ts';

/** Answers from this size on are compressed for clients that take gzip. */
const compressFromBytes = 1024;

/** Whether an Accept-Encoding header names gzip, and not with the weight 0 (RFC 9110 §12.5.3). */
const takesGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i;

const gzipAsync = promisify(gzip);

/** One of our methods, as this protocol calls it. */
export interface UnaryMethod {
  readonly desc: DescMethodUnary;
  readonly run: RunUnary;
  readonly runJson: RunJson | undefined;
  readonly checks: InputChecks | undefined;
}

/**
 * Connect's unary protocol (connectrpc.com/docs/protocol): the request's body is the message, the answer's too, and an
 * error is JSON under its HTTP status. Answers by itself, errors included.
 *
 * It waits for nothing but the method: the body comes and the answer leaves by callbacks, since promises for both cost a
 * twentieth of a small call.
 */
export function answerUnary(
  method: UnaryMethod,
  request: FastifyRequest,
  reply: FastifyReply,
  protocol: Protocol,
): void {
  collectBody(
    request.raw,
    maxMessageBytes,
    (body) => void runUnary(method, request, reply, protocol, body),
    (error) => reply.send(error),
  );
}

/** Never rejects. */
async function runUnary(
  { desc, run, runJson, checks }: UnaryMethod,
  request: FastifyRequest,
  reply: FastifyReply,
  protocol: Protocol,
  body: Buffer,
): Promise<void> {
  try {
    checkConnectVersion(request);
    const timeoutMs = timeoutOf(request, protocol);
    const encoding = request.headers['content-encoding'];
    const bytes = encoding === undefined ? body : await decompress(body, encoding);
    const input = decodeMessage(desc.input, bytes, protocol.isJson, checks);
    noteInput(request, input);
    const call = { principal: request.principal };
    const running = protocol.isJson && runJson ? runJson(input, call) : run(input, call);
    const output = await (timeoutMs === undefined ? running : within(timeoutMs, running));
    const answer = typeof output === 'string' ? output : encode(desc, output, protocol.isJson);
    reply
      .header('content-type', protocol.isJson ? 'application/json' : 'application/proto')
      .serializer(asItIs);
    logCall(request, 'ok');
    if (answer.length < compressFromBytes) sendAtEndOfTurn(reply, answer);
    else sendAtEndOfTurn(reply, await compressed(request, reply, answer));
  } catch (error) {
    reply.send(publicError(error));
  }
}

/** A text leaves in one write with the head; bytes take two. */
function encode(desc: DescMethodUnary, output: unknown, isJson: boolean): string | Buffer {
  const message = create(desc.output, output as MessageInitShape<typeof desc.output>);
  return isJson
    ? JSON.stringify(toJson(desc.output, message, { alwaysEmitImplicit: true }))
    : Buffer.from(toBinary(desc.output, message));
}

/** Keeps Fastify from adding a charset to the content type, which strict Connect clients refuse. */
const asItIs = (payload: unknown) => payload as string;

export const sendJson = (reply: FastifyReply, value: unknown): void => {
  reply.header('content-type', 'application/json').serializer(asItIs).send(JSON.stringify(value));
};

async function compressed(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: string | Buffer,
): Promise<string | Buffer> {
  const vary = reply.getHeader('vary'); // CORS has set it where origins are allowed
  reply.header('vary', vary === undefined ? 'accept-encoding' : `${vary}, accept-encoding`);
  if (!takesGzip.test(String(request.headers['accept-encoding']))) return answer;
  reply.header('content-encoding', 'gzip');
  return gzipAsync(answer);
}

interface Answer {
  readonly reply: FastifyReply;
  readonly bytes: string | Buffer;
}

/** More do not wait for each other: their readers can go on while the next are made. */
const answersTogether = 16;

let answers: Answer[] = [];

/**
 * Answers that become ready in one turn of the event loop are written together, after its input has been read. A write on its
 * own wakes its reader each time: at full load that costs as much as the call itself (measured: 72 µs of CPU a Notify call
 * without, 53 µs with it).
 */
function sendAtEndOfTurn(reply: FastifyReply, bytes: string | Buffer): void {
  if (answers.length === 0) setImmediate(sendAnswers);
  answers.push({ reply, bytes });
  if (answers.length === answersTogether) sendAnswers();
}

function sendAnswers(): void {
  const ready = answers;
  answers = [];
  for (const { reply, bytes } of ready)
    try {
      reply.send(bytes);
    } catch (error) {
      reply.send(publicError(error)); // the others must not wait for ever
    }
}

/** Writes an error of a unary call, or of any request outside RPC: {code, message, details} under its HTTP status. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const shown = publicError(error);
  const seconds = retryAfterSeconds(shown);
  if (seconds !== undefined) reply.header('retry-after', seconds);
  reply.code(errorCodes[shown.code].http).header('x-request-id', request.id);
  sendJson(reply, errorToJson(toConnectError(shown), undefined));
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
