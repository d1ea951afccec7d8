import { codes } from '../channel.ts';
import type { AttemptFailure } from './attempt.ts';
import type { Sign } from './circuit.ts';

const away: readonly string[] = [
  codes.timeout,
  codes.dnsFailed,
  codes.tlsFailed,
  codes.connectionFailed,
  'provider_error',
];

/** What an attempt's failure says of its provider; undefined: it took the message. */
export function signOf(failure: AttemptFailure | undefined): Sign {
  if (failure === undefined) return 'answered';
  if (failure.code === codes.interrupted) return 'none';
  if (failure.code === codes.credentialsRejected) return 'locked';
  return away.includes(failure.code) || /^http_5\d\d$/.test(failure.code) ? 'away' : 'answered';
}
