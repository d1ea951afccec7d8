import { NotifyError } from '../../../src/core/errors.ts';

/** What a Postgres error comes to. */
export type Trouble =
  /** No connection, or a lost one. */
  | 'connection'
  /** Postgres is there and cannot do it now: full, overloaded, stopping, a replica. */
  | 'overload'
  /** Another transaction holds a row for longer than is waited. */
  | 'lock'
  /** Lost against another transaction; trying again may do. */
  | 'conflict'
  /** The data of one row does not fit. */
  | 'row'
  | 'unknown';

/** SQLSTATE codes and classes (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const troubles: Readonly<Record<string, Trouble>> = {
  '08': 'connection',
  '57P01': 'connection', // admin_shutdown
  '57P02': 'connection', // crash_shutdown
  '57P03': 'connection', // cannot_connect_now
  '57P05': 'connection', // idle_session_timeout
  '25P03': 'connection', // idle_in_transaction_session_timeout
  '25P04': 'connection', // transaction_timeout
  '28': 'connection', // invalid password, no entry in pg_hba.conf
  '3D000': 'connection', // no such database
  '25006': 'connection', // read_only_sql_transaction: a replica; another connection may reach the primary
  '53': 'overload', // disk full, out of memory
  '53300': 'connection', // too_many_connections
  '58': 'overload', // I/O error
  '57014': 'overload', // query_canceled: statement_timeout
  '55P03': 'lock', // lock_not_available: lock_timeout
  '40001': 'conflict', // serialization_failure
  '40P01': 'conflict', // deadlock_detected
  '22': 'row', // a NUL, a number out of range
  '23': 'row', // an id that another row has
  '54': 'row', // an index entry too large
};

const socketCodes = /^(E[A-Z]+|ERR_(SSL|TLS)_.*|CERT_.*|DEPTH_ZERO_.*|SELF_SIGNED_.*|UNABLE_TO_.*)$/;
/** Messages of pg's own, which have no code. */
const pgMessages =
  /terminated|timeout exceeded|timeout expired|connection timeout|Query read timeout|Client has encountered a connection error|Client was closed|not queryable|Connection ended|server does not support SSL/i;

export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = error as { code?: unknown };
  if (typeof code === 'string') {
    if (/^[0-9A-Z]{5}$/.test(code) && 'severity' in error)
      return troubles[code] ?? troubles[code.slice(0, 2)] ?? 'unknown';
    if (socketCodes.test(code)) return 'connection';
  }
  return pgMessages.test(error.message) ? 'connection' : 'unknown';
}

/** When a caller may try again: about when a failover or a restart is over. */
const retryAfterMs = { connection: 2_000, overload: 1_000, lock: 1_000, conflict: 500 } as const;

const texts = {
  connection: 'the database cannot be reached at the moment; try again',
  overload: 'the database cannot take this on at the moment; try again',
  lock: 'something else keeps these rows busy; try again',
  conflict: 'the database was busy with the same rows; try again',
} as const;

/** What a caller is told. The cause is for the log. */
export function publicFailure(error: unknown): NotifyError {
  if (error instanceof NotifyError) return error;
  const trouble = troubleOf(error);
  const cause = loggable(error);
  if (trouble === 'row') return new NotifyError('invalid_argument', wrongInRow(error), { cause });
  if (trouble === 'unknown')
    return new NotifyError('internal', 'internal error; the log has the cause under this request id', {
      cause,
    });
  return new NotifyError('unavailable', texts[trouble], { retryAfterMs: retryAfterMs[trouble], cause });
}

/** An entry of a B-tree takes 2,704 bytes, with its header and the lengths of its columns. */
const wrongInRow = (error: unknown): string =>
  (error as { code?: unknown }).code === '54000'
    ? 'tenant, user and notification or device id are too long together; keep them within 2,600 bytes'
    : 'a value cannot be stored, such as a text with NUL';

/**
 * An error without what it may quote: parameters, rows, statements. Messages of data errors quote values, and details
 * whole rows; both are left out.
 */
export function loggable(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('the database driver threw something that is no error');
  const { code, table, constraint, routine } = error as Error & Partial<Record<string, unknown>>;
  const facts = { code, table, constraint, routine };
  const known = Object.entries(facts).filter(([, value]) => typeof value === 'string');
  const said = troubleOf(error) === 'row' ? '' : `: ${error.message}`;
  const safe = new Error(`Postgres${known.map(([name, value]) => ` ${name}=${value}`).join('')}${said}`);
  safe.stack = `${safe.name}: ${safe.message}\n${(error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n')}`;
  return safe;
}
