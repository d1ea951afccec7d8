import http from 'node:http';
import http2 from 'node:http2';
import { gzipSync } from 'node:zlib';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  codeToString,
  endStreamFlag,
  endStreamFromJson,
  errorFromJsonBytes,
} from '@connectrpc/connect/protocol-connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { trailerParse } from '@connectrpc/connect/protocol-grpc-web';
import { BadRequestSchema } from '../../proto/gen/google/rpc/error_details_pb.ts';

/** How a test speaks a call: on sockets of its own, so that it sees every byte of the answer. */
export interface Dialect {
  readonly name: string;
  readonly kind: 'connect' | 'connect_stream' | 'grpc' | 'grpc_web';
  readonly httpVersion: 1 | 2;
  readonly isJson: boolean;
  readonly contentType: string;
}

const enveloped: readonly Dialect[] = [
  dialect('gRPC binary over h2c', 'grpc', 2, 'application/grpc'),
  dialect('gRPC JSON over h2c', 'grpc', 2, 'application/grpc+json'),
  dialect('gRPC-web binary over HTTP/1.1', 'grpc_web', 1, 'application/grpc-web+proto'),
  dialect('gRPC-web JSON over HTTP/1.1', 'grpc_web', 1, 'application/grpc-web+json'),
];

/** Of unary calls. */
export const dialects: readonly Dialect[] = [
  dialect('Connect JSON over HTTP/1.1', 'connect', 1, 'application/json'),
  dialect('Connect JSON over h2c', 'connect', 2, 'application/json'),
  dialect('Connect binary over HTTP/1.1', 'connect', 1, 'application/proto'),
  ...enveloped,
];

/** Of streams. */
export const streamDialects: readonly Dialect[] = [
  dialect('Connect JSON over HTTP/1.1', 'connect_stream', 1, 'application/connect+json'),
  dialect('Connect JSON over h2c', 'connect_stream', 2, 'application/connect+json'),
  dialect('Connect binary over HTTP/1.1', 'connect_stream', 1, 'application/connect+proto'),
  ...enveloped,
];

function dialect(name: string, kind: Dialect['kind'], httpVersion: 1 | 2, contentType: string): Dialect {
  return { name, kind, httpVersion, isJson: contentType.endsWith('json'), contentType };
}

/** An RPC error as its client sees it. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  /** What google.rpc.BadRequest details carry. */
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  readonly retryAfter: string | undefined;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** What one unary call came to. */
export interface Answer extends RawAnswer {
  /** undefined where the call succeeded. */
  readonly error: WireError | undefined;
  /** The response message's bytes, decompressed. */
  readonly message: Buffer;
}

export interface SpeakOptions {
  readonly headers?: Record<string, string>;
  readonly gzip?: boolean;
  /** The message is a whole body, with whatever frames it has. */
  readonly framed?: boolean;
}

/**
 * Speaks one call that ends by itself: a unary one, or a stream that is refused.
 * @param message the request message in the dialect's encoding
 */
export async function speak(
  { kind, httpVersion, contentType }: Dialect,
  base: string,
  procedure: string,
  message: Uint8Array,
  options: SpeakOptions = {},
): Promise<Answer> {
  const headers: Record<string, string> = { 'content-type': contentType, ...options.headers };
  if (kind === 'grpc') headers.te = 'trailers';
  if (options.gzip) headers[encodingHeaders[kind]] = 'gzip';
  const sent = options.gzip ? gzipSync(message) : message;
  const body = kind === 'connect' || options.framed ? sent : envelope(sent, options.gzip ? 1 : 0);
  const raw = await post(httpVersion, base, procedure, headers, body);
  if (kind === 'connect') return { ...raw, ...connectOutcome(raw) };
  if (raw.status !== 200) throw new Error(`${kind} answers with status 200, not ${raw.status}: ${raw.body}`);
  const outcome = kind === 'grpc' ? grpcOutcome : kind === 'grpc_web' ? grpcWebOutcome : connectStreamOutcome;
  return { ...raw, ...outcome(raw) };
}

const encodingHeaders: Readonly<Record<Dialect['kind'], string>> = {
  connect: 'content-encoding',
  connect_stream: 'connect-content-encoding',
  grpc: 'grpc-encoding',
  grpc_web: 'grpc-encoding',
};

/** The frame around a message in gRPC, gRPC-web and Connect's streams. @param flags 1: compressed */
export function envelope(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The frames of a body. @throws where it ends in the middle of one */
export function envelopes(body: Buffer): { flags: number; data: Buffer }[] {
  const found = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    if (end > body.length) throw new Error('the body ends in the middle of a frame');
    found.push({ flags: body.readUInt8(at), data: body.subarray(at + 5, end) });
    at = end;
  }
  return found;
}

/** One POST with exactly these headers. */
export function post(
  httpVersion: 1 | 2,
  base: string,
  procedure: string,
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<RawAnswer> {
  return httpVersion === 1
    ? request1(base, 'POST', `/${procedure}`, headers, body)
    : request2(base, 'POST', `/${procedure}`, headers, body);
}

/** Any request over HTTP/1.1. */
export function request1(
  base: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body: Uint8Array = Buffer.alloc(0),
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const hasBody = body.length > 0 || method === 'POST';
    const request = http.request(`${base}${path}`, {
      method,
      headers: { ...headers, ...(hasBody && { 'content-length': String(body.length) }) },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: flat(response.headers),
          trailers: flat(response.trailers),
          body: Buffer.concat(chunks),
        }),
      );
    });
    request.end(body);
  });
}

/** Any request over HTTP/2 with prior knowledge, on a connection of its own. */
export function request2(
  base: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body: Uint8Array = Buffer.alloc(0),
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(base);
    session.on('error', reject);
    const stream = session.request(
      { ':method': method, ':path': path, ...headers },
      { endStream: body.length === 0 },
    );
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let trailers: http2.IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on('error', reject);
    stream.on('response', (received) => {
      head = received;
    });
    stream.on('trailers', (received) => {
      trailers = received;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('close', () => {
      session.close();
      resolve({
        status: head[':status'] ?? 0,
        headers: flat(head),
        trailers: flat(trailers),
        body: Buffer.concat(chunks),
      });
    });
    if (body.length > 0) stream.end(body);
  });
}

function flat(headers: http.IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !name.startsWith(':'))
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : String(value)]),
  );
}

type Outcome = Pick<Answer, 'error' | 'message'>;

function connectOutcome({ status, headers, body }: RawAnswer): Outcome {
  if (status === 200) return { error: undefined, message: body };
  const fallback = new ConnectError(`no Connect error in: ${status} ${body}`, Code.Unknown);
  const error = errorFromJsonBytes(body, new Headers(headers), fallback);
  return { error: wireError(error), message: body };
}

function connectStreamOutcome({ body }: RawAnswer): Outcome {
  const frames = envelopes(body);
  const last = frames.at(-1);
  if (last?.flags !== endStreamFlag) throw new Error('a Connect stream ends with an end frame');
  const { error } = endStreamFromJson(last.data);
  return { error: error && wireError(error), message: messageOf(frames) };
}

function grpcOutcome({ headers, trailers, body }: RawAnswer): Outcome {
  // an answer without a message may have its trailers as headers
  const found = findTrailerError(new Headers('grpc-status' in trailers ? trailers : headers));
  return { error: found && wireError(found), message: messageOf(envelopes(body)) };
}

function grpcWebOutcome({ headers, body }: RawAnswer): Outcome {
  const frames = envelopes(body);
  const trailer = frames.find(({ flags }) => (flags & 0x80) !== 0);
  const found = findTrailerError(trailer ? trailerParse(trailer.data) : new Headers(headers));
  return { error: found && wireError(found), message: messageOf(frames) };
}

const messageOf = (frames: readonly { flags: number; data: Buffer }[]): Buffer =>
  frames.find(({ flags }) => flags <= 1)?.data ?? Buffer.alloc(0);

function wireError(error: ConnectError): WireError {
  return {
    code: codeToString(error.code),
    message: error.rawMessage,
    violations: error
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations)
      .map(({ field, description }) => ({ field, description })),
    retryAfter: error.metadata.get('retry-after') ?? undefined,
  };
}
