import { type Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema } from '../../../proto/gen/google/rpc/error_details_pb.ts';
import { errorCodes, type NotifyError } from '../../../src/core/errors.ts';

/** An error as every RPC protocol of the library writes it, with its violations as google.rpc.BadRequest. */
export function toConnectError(error: NotifyError): ConnectError {
  const metadata = new Headers();
  const seconds = retryAfterSeconds(error);
  if (seconds !== undefined) metadata.set('retry-after', String(seconds));
  const details =
    error.violations.length === 0
      ? []
      : [
          {
            desc: BadRequestSchema,
            value: {
              fieldViolations: error.violations.map(({ field, description }) => ({ field, description })),
            },
          },
        ];
  return new ConnectError(error.message, errorCodes[error.code].grpc as Code, metadata, details);
}

/**
 * When the client may come back, in whole seconds, for Retry-After (RFC 9110 §10.2.3). What is retryable always has one.
 */
export function retryAfterSeconds(error: NotifyError): number | undefined {
  if (error.retryAfterMs !== undefined) return Math.max(1, Math.ceil(error.retryAfterMs / 1000));
  return error.code === 'unavailable' || error.code === 'resource_exhausted' ? 1 : undefined;
}

/**
 * Spells grpc-message as every gRPC client reads it: the library encodes punctuation as well, which grpc-js leaves as it
 * is, so that its callers would read %3A for a colon.
 */
export function spellGrpcMessage(trailer: Headers): Headers {
  const message = trailer.get('grpc-message');
  if (message !== null) trailer.set('grpc-message', encodeURI(decodeURIComponent(message)));
  return trailer;
}
