import { create, type DescMethodUnary, type Message } from '@bufbuild/protobuf';
import { createConnectRouter, createContextKey, createContextValues } from '@connectrpc/connect';
import type { UniversalServerRequest } from '@connectrpc/connect/protocol';
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type NotifyError, publicError } from '../../../src/core/errors.ts';
import { type InputChecks, logCall, noteInput, type RunUnary } from '../call.ts';
import { within } from './connect-unary.ts';
import { decodeMessage } from './decode.ts';
import { spellGrpcMessage, toConnectError } from './errors.ts';
import type { Protocol } from './protocols.ts';
import { maxMessageBytes, readEnvelope } from './request-body.ts';
import { timeoutOf } from './request-headers.ts';

interface Bridged {
  readonly request: FastifyRequest;
  readonly input: unknown;
  readonly timeoutMs: number | undefined;
}

const bridged = createContextKey<Bridged | undefined>(undefined);

/** An uncompressed envelope around nothing, and around `{}`. */
const emptyBinary = Uint8Array.of(0, 0, 0, 0, 0);
const emptyJson = Uint8Array.of(0, 0, 0, 0, 2, 0x7b, 0x7d);

/** Serves one unary method over gRPC and gRPC-web. */
export type Bridge = (request: FastifyRequest, reply: FastifyReply, protocol: Protocol) => Promise<void>;

/**
 * Hands a unary method to the library, which speaks gRPC and gRPC-web: framing, trailers, compression.
 *
 * The request is read and decoded here, so that every protocol refuses the same input with the same words; the library
 * is given an empty message in its place, or the error to format.
 */
export function createBridge(
  method: DescMethodUnary,
  run: RunUnary,
  checks: InputChecks | undefined,
): Bridge {
  const router = createConnectRouter({
    connect: false,
    grpc: true,
    grpcWeb: true,
    jsonOptions: { alwaysEmitImplicit: true },
    acceptCompression: [compressionGzip],
    writeMaxBytes: 64 * maxMessageBytes,
  });
  router.rpc(method, async (_empty, context) => {
    const { request, input, timeoutMs } = context.values.get(bridged) as Bridged;
    let failure: NotifyError | undefined;
    try {
      const running = run(input, { principal: request.principal });
      const output = await (timeoutMs === undefined ? running : within(timeoutMs, running));
      return create(method.output, output as Message);
    } catch (error) {
      failure = publicError(error);
      throw toConnectError(failure);
    } finally {
      logCall(request, failure?.code ?? 'ok', failure);
    }
  });
  const [handle] = router.handlers;
  if (handle === undefined) throw new Error(`no handler for ${method.name}`);

  return async (request, reply, protocol) => {
    const response = reply.raw;
    for (const [name, value] of Object.entries(reply.getHeaders()))
      if (value !== undefined) response.setHeader(name, value);
    try {
      const contextValues = createContextValues();
      let body: AsyncIterable<Uint8Array>;
      try {
        if (request.refusal) throw request.refusal;
        const encoding = request.headers['grpc-encoding'];
        const bytes = await readEnvelope(request.raw, typeof encoding === 'string' ? encoding : undefined);
        const timeoutMs = timeoutOf(request, protocol);
        const input = decodeMessage(method.input, bytes, protocol.isJson, checks);
        noteInput(request, input);
        contextValues.set(bridged, { request, input, timeoutMs });
        body = one(protocol.isJson ? emptyJson : emptyBinary);
      } catch (error) {
        const shown = publicError(error);
        logCall(request, shown.code, shown);
        body = failing(shown);
      }
      const nodeRequest = universalRequestFromNodeRequest(request.raw, response, undefined, contextValues);
      const header = new Headers(nodeRequest.header);
      header.delete('grpc-encoding'); // the stand-in is not compressed
      header.delete('grpc-timeout'); // kept here, as for the other protocols
      const universal: UniversalServerRequest = { ...nodeRequest, header, body };
      const answer = await handle(universal);
      if (answer.trailer) spellGrpcMessage(answer.trailer); // an error is in it already: it has no message before it
      await universalResponseToNodeResponse(answer, response);
    } catch (error) {
      // the peer has gone, or the library broke: nothing can be answered any more
      request.log.debug({ err: error }, 'rpc_aborted');
      response.destroy();
    }
  };
}

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** A body that fails as it is read: the library then answers with the error in its protocol's form. */
const failing = (error: NotifyError): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(toConnectError(error)) }),
});
