import type { ServerResponse } from 'node:http';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { endStreamFlag, endStreamToJson } from '@connectrpc/connect/protocol-connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { trailerFlag, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  NotificationClientService,
  DeviceType as WireDeviceType,
} from '../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { NotifyError, publicError } from '../../src/core/errors.ts';
import { forgetRequest, startStream, whenClosed } from '../live/raw-response.ts';
import { ResponseSink, type StreamEncoding, type StreamOptions } from '../live/response-sink.ts';
import { parseStart } from '../live/start.ts';
import { logCall, type RunStream } from './call.ts';
import { decodeMessage } from './protocol/decode.ts';
import { spellGrpcMessage, toConnectError } from './protocol/errors.ts';
import type { Protocol } from './protocol/protocols.ts';
import { readEnvelope } from './protocol/request-body.ts';
import { checkConnectVersion, timeoutOf } from './protocol/request-headers.ts';
import { deviceTypeFromWire } from './wire/enums.ts';
import { streamEventEnvelope, streamEventJson } from './wire/live-event.ts';

const method = NotificationClientService.method.streamEvents;

/**
 * StreamEvents over Connect, gRPC and gRPC-web. Written here rather than through the library, because an event is
 * serialized once for all of a user's streams, a write's completion is what "delivered" means, and a library stream costs
 * five times the memory (DESIGN §7).
 */
export function streamEvents(app: FastifyInstance, options: StreamOptions): RunStream {
  const { liveEnabled, finishTimeoutMs } = options;
  return async (request, reply, protocol) => {
    const response = startStream(reply, request.headers['content-type'] ?? 'application/connect+proto');
    try {
      if (request.refusal) throw request.refusal;
      const { principal } = request;
      if (principal === undefined) throw new Error('a stream without a principal');
      const bytes = await readEnvelope(request.raw, encodingOf(request, protocol));
      if (protocol.kind === 'connect_stream') checkConnectVersion(request);
      const timeoutMs = timeoutOf(request, protocol);
      const input = decodeMessage(method.input, bytes, protocol.isJson);
      if (!liveEnabled)
        throw new NotifyError('unimplemented', 'live connections are switched off on this server');
      const refusal = app.liveHub.refusal(principal);
      if (refusal) throw refusal.error;

      const sink = new ResponseSink(response, encodingFor(protocol), finishTimeoutMs);
      const session = app.liveHub.open(
        {
          owner: principal,
          deviceType: deviceTypeFromWire.get(input.deviceType ?? WireDeviceType.UNSPECIFIED) ?? 'unspecified',
          start: parseStart(input.resume ? String(input.lastPosition ?? 0n) : undefined),
          tokenExpiresAtMs: principal.expiresAtMs,
        },
        sink,
      );
      if (timeoutMs !== undefined)
        session.onEnd(
          app.ambient.clock.after(timeoutMs, () => {
            sink.finish(new NotifyError('deadline_exceeded', "the call's deadline has passed"));
            session.gone();
          }),
        );
      session.onEnd(() => logCall(request, sink.error?.code ?? 'ok', sink.error));
      forgetRequest(request);
      whenClosed(response, () => session.gone());
    } catch (error) {
      const shown = publicError(error);
      logCall(request, shown.code, shown);
      end(response, protocol, shown);
    }
  };
}

function encodingFor(protocol: Protocol): StreamEncoding {
  return {
    event: (event, sessionId, position) =>
      protocol.isJson
        ? encodeEnvelope(0, Buffer.from(streamEventJson(event, sessionId, position)))
        : streamEventEnvelope(event, sessionId, position),
    finish: (response, error) => end(response, protocol, error),
  };
}

/** Ends a response with an error in its protocol's form: an end frame, trailers, or a trailer frame. */
function end(response: ServerResponse, protocol: Protocol, error: NotifyError): void {
  if (response.destroyed || response.writableEnded) return;
  const connectError = toConnectError(error);
  if (protocol.kind === 'connect_stream') {
    const json = JSON.stringify(endStreamToJson(new Headers(), connectError, undefined));
    response.end(encodeEnvelope(endStreamFlag, Buffer.from(json)));
    return;
  }
  const trailer = new Headers();
  setTrailerStatus(trailer, connectError);
  if (protocol.kind === 'grpc_web') response.end(encodeEnvelope(trailerFlag, trailerSerialize(trailer)));
  else {
    response.addTrailers(Object.fromEntries(spellGrpcMessage(trailer)));
    response.end();
  }
}

const encodingOf = (request: FastifyRequest, protocol: Protocol): string | undefined => {
  const header =
    request.headers[protocol.kind === 'connect_stream' ? 'connect-content-encoding' : 'grpc-encoding'];
  return typeof header === 'string' ? header : undefined;
};
