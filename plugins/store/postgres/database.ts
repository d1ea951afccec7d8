import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { NotifyError } from '../../../src/core/errors.ts';
import { loggable, publicFailure, troubleOf } from './errors.ts';
import { FlightTransaction, type Send } from './flight.ts';
import { sessionSettings, settings } from './settings.ts';
import type { Row, Statement, Transaction, Value } from './statement.ts';

export interface DatabaseOptions {
  readonly connection: pg.ClientConfig;
  /** False behind a pooler that hands each transaction another session: unnamed statements, settings per transaction. */
  readonly prepare: boolean;
  /** Told when Postgres is gone and when it is back. */
  readonly observe?: (event: 'lost' | 'back' | 'dropped', error?: Error) => void;
  readonly probeIntervalMs?: number;
  readonly poolSize?: number;
}

/** The text of every value: rows.ts knows what each column is. */
const rawTypes = { getTypeParser: () => (text: string) => text };

/**
 * The connections of one process.
 *
 * When no connection can be made, a breaker opens: calls fail at once with `unavailable`, and a single probe looks for
 * Postgres until it is back.
 *
 *     closed ── cannot connect ──▶ open ── the probe's SELECT 1 succeeds ──▶ closed
 */
export class Database {
  readonly #pool: pg.Pool;
  readonly #prepare: boolean;
  readonly #observe: NonNullable<DatabaseOptions['observe']>;
  readonly #probeIntervalMs: number;
  readonly #begin: string;
  #probe: NodeJS.Timeout | undefined;
  #isOpen = false;
  #closed = false;
  #lastAnswerMs = Number.NEGATIVE_INFINITY;

  constructor(options: DatabaseOptions) {
    const { connection, prepare } = options;
    this.#prepare = prepare;
    this.#observe = options.observe ?? (() => {});
    this.#probeIntervalMs = options.probeIntervalMs ?? settings.probeIntervalMs;
    const timeouts = {
      statement_timeout: settings.statementTimeoutMs,
      lock_timeout: settings.lockTimeoutMs,
      idle_in_transaction_session_timeout: settings.idleInTransactionTimeoutMs,
    };
    const plans = Object.entries(sessionSettings).map(([name, value]) => `-c ${name}=${value}`);
    // a pooler passes on neither, so there each transaction says it for itself
    const session = prepare
      ? { ...timeouts, options: [connection.options, ...plans].filter(Boolean).join(' ') }
      : {};
    this.#begin = prepare
      ? 'BEGIN'
      : [
          'BEGIN',
          ...Object.entries({ ...timeouts, ...sessionSettings }).map(([k, v]) => `SET LOCAL ${k} = ${v}`),
        ].join('; ');
    this.#pool = new pg.Pool({
      connectionTimeoutMillis: settings.connectTimeoutMs,
      ...connection,
      ...session,
      // see FlightTransaction
      pipeline: true,
      types: rawTypes as unknown as pg.CustomTypesConfig,
      max: options.poolSize ?? settings.poolSize,
      idleTimeoutMillis: settings.idleTimeoutMs,
      maxLifetimeSeconds: settings.connectionLifetimeS,
      query_timeout: settings.answerTimeoutMs,
    });
    // a connection that breaks while nobody uses it, or between two statements of a transaction
    this.#pool.on('error', (error) => this.#observe('dropped', loggable(error)));
    this.#pool.on('connect', (client) => client.on('error', () => {}));
  }

  /**
   * Runs one statement that reads. Tried twice where the connection turns out to be dead.
   * @throws NotifyError
   */
  async read(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#alone(statement, values);
      } catch (error) {
        if (attempt === 1 && this.#mayReconnect(error)) continue;
        throw publicFailure(error);
      }
    }
  }

  /**
   * Runs one statement that writes.
   * @throws NotifyError
   */
  async write(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    return this.#retryConflicts(() => this.#alone(statement, values));
  }

  /**
   * Runs some statements as one. `work` may run several times: after a conflict with another transaction, or once more
   * where the connection broke before anything was committed.
   * @throws NotifyError; other errors of `work` as they are
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    let reconnects = 0;
    return this.#retryConflicts(async () => {
      for (;;) {
        const client = await this.#acquire();
        const flight = new FlightTransaction(client, this.#begin, this.#send);
        try {
          return await this.#once(client, flight, work);
        } catch (error) {
          if (flight.isCommitting || reconnects++ > 0 || !this.#mayReconnect(error)) throw error;
        }
      }
    });
  }

  /** Whether Postgres would answer now. */
  async ready(): Promise<boolean> {
    if (this.#closed || this.#isOpen) return false;
    if (performance.now() - this.#lastAnswerMs < settings.freshMs) return true;
    const answer = this.#alone(ping, []).then(
      () => true,
      () => false,
    );
    return Promise.race([answer, pause(settings.freshMs, false, { ref: false })]);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#probe);
    await this.#pool.end();
  }

  /** @throws NotifyError unavailable while nothing can be reached, at once */
  assertOpen(): void {
    if (this.#closed) throw new NotifyError('unavailable', 'the store is closed; try another server');
    if (this.#isOpen)
      throw new NotifyError('unavailable', 'the database cannot be reached at the moment; try again', {
        retryAfterMs: 2_000,
      });
  }

  async #alone(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    const client = await this.#acquire();
    let failure: unknown;
    try {
      return await this.#run(client, statement, values);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      client.release(isBroken(failure));
    }
  }

  async #once<T>(
    client: pg.PoolClient,
    flight: FlightTransaction,
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    let failure: unknown;
    try {
      const result = await work(flight);
      await flight.commit();
      return result;
    } catch (error) {
      failure = error;
      if (!isBroken(error)) await flight.rollback().catch((lost: unknown) => (failure = lost));
      throw error;
    } finally {
      client.release(isBroken(failure));
    }
  }

  readonly #send: Send = (client, statement, values) => this.#run(client, statement, values);

  async #run(client: pg.PoolClient, statement: Statement, values: readonly Value[]): Promise<Row[]> {
    const { text, name } = statement;
    const query = this.#prepare
      ? { name, text, values: values as Value[] }
      : { text, values: values as Value[] };
    const { rows } = await client.query<Row>(query);
    this.#lastAnswerMs = performance.now();
    return rows;
  }

  async #acquire(): Promise<pg.PoolClient> {
    this.assertOpen();
    try {
      return await this.#pool.connect();
    } catch (error) {
      this.assertOpen();
      const { totalCount, idleCount } = this.#pool;
      const isBusy = totalCount - idleCount >= (this.#pool.options.max ?? settings.poolSize);
      if (isBusy)
        throw new NotifyError('unavailable', 'all connections to the database are busy; try again', {
          retryAfterMs: 1_000,
          cause: loggable(error),
        });
      this.#open(error);
      throw error;
    }
  }

  #open(error: unknown): void {
    if (this.#isOpen || this.#closed) return;
    this.#isOpen = true;
    this.#observe('lost', loggable(error));
    this.#probeLater();
  }

  #probeLater(): void {
    this.#probe = setTimeout(async () => {
      let failure: unknown;
      try {
        const client = await this.#pool.connect();
        try {
          await this.#run(client, ping, []);
        } catch (error) {
          failure = error;
        } finally {
          client.release(failure !== undefined);
        }
      } catch (error) {
        failure = error;
      }
      if (this.#closed) return;
      if (failure !== undefined) return this.#probeLater();
      this.#isOpen = false;
      this.#observe('back');
    }, this.#probeIntervalMs).unref();
  }

  /** A connection that was dead before it was used says nothing of Postgres. */
  #mayReconnect(error: unknown): boolean {
    return !this.#isOpen && !this.#closed && !(error instanceof NotifyError) && isBroken(error);
  }

  async #retryConflicts<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (troubleOf(error) !== 'conflict' || attempt === settings.conflictAttempts) throw failureOf(error);
        await pause(Math.random() * settings.conflictPauseMs * 2 ** (attempt - 1));
      }
    }
  }
}

const ping: Statement = { name: 'ping', text: 'SELECT 1' };

const isBroken = (error: unknown): boolean => error !== undefined && troubleOf(error) === 'connection';

/** Row errors stay as they are: whoever wrote a batch looks for the row. */
const failureOf = (error: unknown): unknown => (troubleOf(error) === 'row' ? error : publicFailure(error));
