import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { Code } from '@connectrpc/connect';
import type { Wire } from './provider-server.ts';
import { type Http2Received, type Http2Reply, http2 } from './scripted-http2.ts';

const head = { 'content-type': 'application/grpc+proto' };

/** The message of a unary call (gRPC over HTTP/2, "Length-Prefixed-Message"). @throws where it is not one, or not whole */
export function readGrpc<M extends DescMessage>(schema: M, { bytes }: Http2Received): MessageShape<M> {
  if (bytes.readUInt8(0) !== 0 || bytes.readUInt32BE(1) !== bytes.length - 5)
    throw new Error('not one uncompressed message');
  return fromBinary(schema, bytes.subarray(5));
}

/** An answer that went well. */
export function grpcReply<M extends DescMessage>(schema: M, message: MessageInitShape<M>): Http2Reply {
  const bytes = toBinary(schema, create(schema, message));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return {
    status: 200,
    headers: head,
    body: Buffer.concat([prefix, bytes]),
    trailers: { 'grpc-status': '0' },
  };
}

/** An error, in the head of an answer that has nothing else ("Trailers-Only"). */
export const grpcError = (
  code: Code,
  message: string,
  metadata: Readonly<Record<string, string>> = {},
): Http2Reply => ({
  status: 200,
  headers: { ...head, ...metadata, 'grpc-status': String(code), 'grpc-message': encodeURIComponent(message) },
});

/** gRPC's code for a server that is busy. */
const unavailable = 14;

/** gRPC in the clear. */
export const grpc: Wire<Http2Received, Http2Reply> = {
  ...http2,
  busy: (text) => ({ reply: grpcError(unavailable, text), code: 'grpc_unavailable' }),
  lacks: {
    earlyVerdict: "gRPC's status comes after the message",
    tls: 'the mail service is called in the clear',
  },
};
