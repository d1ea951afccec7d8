import type { FastifyRequest } from 'fastify';
import { NotifyError } from '../../../src/core/errors.ts';
import type { Protocol } from './protocols.ts';

/** @throws NotifyError invalid_argument for a version of Connect's protocol that is not spoken here */
export function checkConnectVersion(request: FastifyRequest): void {
  const version = request.headers['connect-protocol-version'];
  if (version !== undefined && version !== '1')
    throw new NotifyError('invalid_argument', 'the header Connect-Protocol-Version must be 1, or absent');
}

/** Units of grpc-timeout, in milliseconds. */
const unitsMs: Readonly<Record<string, number>> = { n: 1e-6, u: 1e-3, m: 1, S: 1e3, M: 60e3, H: 3600e3 };

/**
 * How long the caller waits: Connect-Timeout-Ms, or grpc-timeout for gRPC and gRPC-web.
 * @returns milliseconds, undefined where the header is absent
 * @throws NotifyError invalid_argument; deadline_exceeded where nothing is left of it
 */
export function timeoutOf({ headers }: FastifyRequest, protocol: Protocol): number | undefined {
  if (protocol.kind === 'connect' || protocol.kind === 'connect_stream') {
    const header = headers['connect-timeout-ms'];
    if (header === undefined) return undefined;
    if (typeof header === 'string' && /^\d{1,10}$/.test(header)) return stillToCome(Number(header));
    throw new NotifyError('invalid_argument', 'the header Connect-Timeout-Ms must be at most ten digits');
  }
  const header = headers['grpc-timeout'];
  if (header === undefined) return undefined;
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(String(header)) ?? [];
  const unitMs = unit && unitsMs[unit];
  if (digits !== undefined && unitMs) return stillToCome(Math.ceil(Number(digits) * unitMs));
  throw new NotifyError(
    'invalid_argument',
    'the header grpc-timeout must be at most eight digits and one of the units H, M, S, m, u, n',
  );
}

/** A caller whose time has run out is told so, in the place of an answer that it does not wait for. */
function stillToCome(timeoutMs: number): number {
  if (timeoutMs > 0) return timeoutMs;
  throw new NotifyError('deadline_exceeded', 'the deadline of the call has passed');
}
