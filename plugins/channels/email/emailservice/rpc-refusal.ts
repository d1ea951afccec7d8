import { Code, ConnectError } from '@connectrpc/connect';
import { codes, type DeliveryError } from '../../../../src/core/channel.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import { credentials, later, misconfigured, never } from '../refusals.ts';

/** What a service's answer means. */
type Verdict = 'never' | 'credentials' | 'misconfigured' | 'later';

/**
 * gRPC's codes (https://grpc.io/docs/guides/status-codes/), with the words that they have in a delivery's log. The proto file
 * promises this table.
 */
const table: Readonly<Record<Code, readonly [word: string, verdict: Verdict]>> = {
  [Code.Canceled]: ['canceled', 'later'],
  [Code.Unknown]: ['unknown', 'later'],
  [Code.InvalidArgument]: ['invalid_argument', 'never'],
  [Code.DeadlineExceeded]: ['deadline_exceeded', 'later'],
  [Code.NotFound]: ['not_found', 'never'],
  [Code.AlreadyExists]: ['already_exists', 'never'],
  [Code.PermissionDenied]: ['permission_denied', 'credentials'],
  [Code.ResourceExhausted]: ['resource_exhausted', 'later'],
  [Code.FailedPrecondition]: ['failed_precondition', 'misconfigured'],
  [Code.Aborted]: ['aborted', 'later'],
  [Code.OutOfRange]: ['out_of_range', 'never'],
  [Code.Unimplemented]: ['unimplemented', 'misconfigured'],
  [Code.Internal]: ['internal', 'later'],
  [Code.Unavailable]: ['unavailable', 'later'],
  [Code.DataLoss]: ['data_loss', 'later'],
  [Code.Unauthenticated]: ['unauthenticated', 'credentials'],
};

/** Why the service did not take a mail. Its own words are left out: they may quote the mail. */
export function rpcRefusal(error: unknown, signal: AbortSignal, nowMs: number): DeliveryError {
  if (signal.aborted)
    return later(codes.interrupted, 'the attempt was aborted before the mail service answered');
  const { code, cause, metadata } = ConnectError.from(error);
  const network = nodeCode(cause);
  if (/^(ENOTFOUND|EAI_\w+)$/.test(network))
    return later(codes.dnsFailed, "the mail service's name cannot be resolved");
  if (network !== '')
    return later(
      codes.connectionFailed,
      'the connection to the mail service failed, or ended before it answered',
    );
  if (code === Code.DeadlineExceeded) return later(codes.timeout, 'the mail service did not answer in time');
  const [word, verdict] = table[code];
  const said = `the mail service answered ${word}`;
  if (verdict === 'credentials') return credentials(said);
  if (verdict === 'misconfigured') return misconfigured(said);
  if (verdict === 'never') return never(`grpc_${word}`, said);
  const after = retryAfterMs({ 'retry-after': metadata.get('retry-after') ?? '' }, nowMs);
  return later(`grpc_${word}`, said, after);
}

/** Node's word for a failed connection; '' where there was an answer. */
function nodeCode(cause: unknown): string {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : '';
}
