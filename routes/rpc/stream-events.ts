import type { ServerResponse } from 'node:http';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import {
  endStreamFlag,
  endStreamToJson,
  parseTimeout as parseConnectTimeout,
} from '@connectrpc/connect/protocol-connect';
import { parseTimeout as parseGrpcTimeout, setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { trailerFlag, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  NotificationClientService,
  DeviceType as WireDeviceType,
} from '../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { NotifyError, publicError } from '../../src/core/errors.ts';
import { startStream } from '../live/raw-response.ts';
import { ResponseSink, type StreamEncoding } from '../live/response-sink.ts';
import { parseStart } from '../live/start.ts';
import { logCall, type RunStream } from './call.ts';
import { decodeMessage } from './protocol/decode.ts';
import { toConnectError } from './protocol/errors.ts';
import type { Protocol } from './protocol/protocols.ts';
import { readEnvelope } from './protocol/request-body.ts';
import { deviceTypeFromWire } from './wire/enums.ts';
import { streamEventBinary, streamEventJson } from './wire/live-event.ts';

const method = NotificationClientService.method.streamEvents;

/** How a stream that the server ends is closed: clients reconnect, as the public contract says. */
const reconnect = new NotifyError('canceled', 'reconnect');

/**
 * StreamEvents over Connect, gRPC and gRPC-web. Written here rather than through the library, because an event is
 * serialized once for all of a user's streams, a write's completion is what "delivered" means, and a library stream costs
 * five times the memory (DESIGN §7).
 */
export function streamEvents(app: FastifyInstance, liveEnabled: boolean): RunStream {
  return async (request, reply, protocol) => {
    const response = startStream(reply, request.headers['content-type'] ?? 'application/connect+proto');
    try {
      if (request.refusal) throw request.refusal;
      const { principal } = request;
      if (principal === undefined) throw new Error('a stream without a principal');
      const bytes = await readEnvelope(request.raw, encodingOf(request, protocol));
      const input = decodeMessage(method.input, bytes, protocol.isJson);
      if (!liveEnabled)
        throw new NotifyError('unimplemented', 'live connections are switched off on this server');
      const refusal = app.liveHub.refusal(principal);
      if (refusal) throw refusal.error;
      const timeoutMs = timeoutOf(request, protocol);

      const session = app.liveHub.open(
        {
          owner: principal,
          deviceType: deviceTypeFromWire.get(input.deviceType ?? WireDeviceType.UNSPECIFIED) ?? 'unspecified',
          start: parseStart(input.resume ? String(input.lastPosition ?? 0n) : undefined),
          tokenExpiresAtMs: principal.expiresAtMs,
        },
        new ResponseSink(response, encodingFor(protocol)),
      );
      if (timeoutMs !== undefined)
        session.onEnd(
          app.ambient.clock.after(timeoutMs, () => {
            end(response, protocol, new NotifyError('deadline_exceeded', "the call's deadline has passed"));
            session.gone();
          }),
        );
      if (response.destroyed) session.gone();
      else response.once('close', () => session.gone());
      session.onEnd(() => logCall(request, 'ok'));
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
      encodeEnvelope(
        0,
        protocol.isJson
          ? Buffer.from(streamEventJson(event, sessionId, position))
          : streamEventBinary(event, sessionId, position),
      ),
    finish: (response) => end(response, protocol, reconnect),
  };
}

/** Ends a response with an error in its protocol's form: an end frame, trailers, or a trailer frame. */
function end(response: ServerResponse, protocol: Protocol, error: NotifyError): void {
  if (response.destroyed || response.writableEnded) return;
  const connectError = toConnectError(error);
  if (protocol.kind === 'connect_stream') {
    const json = JSON.stringify(endStreamToJson(connectError.metadata, connectError, undefined));
    response.end(encodeEnvelope(endStreamFlag, Buffer.from(json)));
    return;
  }
  const trailer = new Headers();
  setTrailerStatus(trailer, connectError);
  if (protocol.kind === 'grpc_web') response.end(encodeEnvelope(trailerFlag, trailerSerialize(trailer)));
  else {
    response.addTrailers(Object.fromEntries(trailer));
    response.end();
  }
}

const encodingOf = (request: FastifyRequest, protocol: Protocol): string | undefined => {
  const header =
    request.headers[protocol.kind === 'connect_stream' ? 'connect-content-encoding' : 'grpc-encoding'];
  return typeof header === 'string' ? header : undefined;
};

/** @returns milliseconds, undefined where the caller set no deadline */
function timeoutOf(request: FastifyRequest, protocol: Protocol): number | undefined {
  const isConnect = protocol.kind === 'connect_stream';
  const header = request.headers[isConnect ? 'connect-timeout-ms' : 'grpc-timeout'];
  const parse = isConnect ? parseConnectTimeout : parseGrpcTimeout;
  const { timeoutMs, error } = parse(typeof header === 'string' ? header : null, Number.MAX_SAFE_INTEGER);
  if (error)
    throw new NotifyError('invalid_argument', 'the deadline header cannot be read', { cause: error });
  return timeoutMs;
}
