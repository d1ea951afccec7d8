import { errorCodes, NotifyError, publicError, type Violation } from '../errors.ts';
import type { CreateOutcome, StoredOutcome } from '../store.ts';

/** Whether the store took a row. */
export const isStored = (outcome: CreateOutcome): outcome is StoredOutcome => 'notification' in outcome;

/** When to come back where the store does not say. */
const fullRetryAfterMs = 60_000;

/**
 * What a call answers of which the store refused some rows: their own code where they agree.
 * @param named the users as the call names them
 * @param userIds whom the outcomes are of: those that were named, without repeats
 */
export function refusal(
  named: readonly string[],
  userIds: readonly string[],
  outcomes: readonly CreateOutcome[],
): NotifyError {
  const refused: Violation[] = [];
  const errors = outcomes.flatMap((outcome) => (isStored(outcome) ? [] : [publicError(outcome.error)]));
  const code = errors[0]?.code ?? 'internal';
  const agree = errors.every((error) => error.code === code);
  outcomes.forEach((outcome, i) => {
    if (isStored(outcome)) return;
    const field = `user_ids[${named.indexOf(userIds[i] ?? '')}]`;
    refused.push({ field, description: outcome.error.message });
  });
  const storedCount = outcomes.length - refused.length;
  const first = refused[0];
  const others = refused.length > 1 ? `, and ${refused.length - 1} more users` : '';
  const rest =
    storedCount > 0
      ? `; the other ${storedCount} were stored, and repeating the call with the same notification_id is safe`
      : '';
  // what does not fit will never, the rest may be tried again
  return new NotifyError(
    agree ? code : 'unavailable',
    `${first?.field}: ${first?.description}${others}${rest}`,
    {
      violations: refused.slice(0, 50),
      ...(errors.some((error) => errorCodes[error.code].retryable) && {
        retryAfterMs: Math.max(0, ...errors.map((error) => error.retryAfterMs ?? 0)) || fullRetryAfterMs,
      }),
      cause: errors[0]?.cause,
    },
  );
}
