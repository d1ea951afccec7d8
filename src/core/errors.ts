/**
 * The one table of errors: every code this service answers with, as the public contract has it.
 * `grpc` is the status number of gRPC and of Connect's Code; `retryable` tells a client to come back.
 */
export const errorCodes = {
  canceled: { grpc: 1, http: 499, retryable: false },
  invalid_argument: { grpc: 3, http: 400, retryable: false },
  deadline_exceeded: { grpc: 4, http: 504, retryable: true },
  permission_denied: { grpc: 7, http: 403, retryable: false },
  not_found: { grpc: 5, http: 404, retryable: false },
  resource_exhausted: { grpc: 8, http: 429, retryable: true },
  unimplemented: { grpc: 12, http: 501, retryable: false },
  internal: { grpc: 13, http: 500, retryable: false },
  unavailable: { grpc: 14, http: 503, retryable: true },
  unauthenticated: { grpc: 16, http: 401, retryable: false },
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** One field that is wrong. */
export interface Violation {
  /** Path in the request by proto names, such as `user_ids[3]`. */
  readonly field: string;
  /** What is wrong and what would be right, without the value itself. */
  readonly description: string;
}

/**
 * An error whose code and message may be shown to the caller: the message says what to do, and quotes neither
 * secrets nor the input. The cause is for the log only.
 */
export class NotifyError extends Error {
  override readonly name = 'NotifyError';
  readonly code: ErrorCode;
  readonly violations: readonly Violation[];
  /** When to come back, in milliseconds; sent as Retry-After, rounded up to seconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { violations?: readonly Violation[]; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether whoever was asked could not be reached for the moment. */
export const isUnavailable = (error: unknown): boolean =>
  error instanceof NotifyError && error.code === 'unavailable';

/**
 * A message names at most this many violations, and this many characters of them: they travel twice, as text and as details,
 * and gRPC clients take 8 KiB of both together.
 */
const namedViolations = 50;
const namedCharacters = 2_000;

/** invalid_argument for one or more fields, all of them named in the message. */
export function invalidArgument(violations: readonly Violation[]): NotifyError {
  const texts: string[] = [];
  let length = 0;
  for (const { field, description } of violations) {
    const text = field === '' ? description : `${field}: ${description}`;
    length += text.length;
    if (texts.length > 0 && (texts.length === namedViolations || length > namedCharacters)) break;
    texts.push(text);
  }
  const named = violations.slice(0, texts.length);
  const rest = violations.length - named.length;
  const text = texts.join('; ');
  return new NotifyError('invalid_argument', rest > 0 ? `${text}; and ${rest} more` : text, {
    violations: named,
  });
}

/** The same answer for an id that is unknown, malformed, deleted or somebody else's, so that nothing can be probed. */
export function notFound(what = 'notification in this inbox'): NotifyError {
  return new NotifyError('not_found', `no such ${what}`);
}

/**
 * What a caller may see of anything that was thrown. Errors that are not ours become `internal` without a word of
 * their message, which may hold parameters or secrets.
 */
export function publicError(error: unknown): NotifyError {
  if (error instanceof NotifyError) return error;
  return new NotifyError('internal', 'internal error; the log has the cause under this request id', {
    cause: error,
  });
}
