import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Ambient } from '../../../src/core/ambient.ts';
import { NotifyError } from '../../../src/core/errors.ts';
import { loggable, publicFailure, troubleOf } from './errors.ts';
import { FlightTransaction, type Send } from './flight.ts';
import { sessionSettings, settings } from './settings.ts';
import type { Row, Statement, Transaction, Value } from './statement.ts';

export interface DatabaseOptions {
  readonly connection: pg.ClientConfig;
  /** False behind a pooler that hands each transaction another session: unnamed statements, settings per transaction. */
  readonly prepare: boolean;
  /** Uniform in [0, 1): how long what lost against another transaction pauses. */
  readonly random: Ambient['random'];
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
 * When no connection can be made and none is answered, a breaker opens: calls fail at once with `unavailable`, and a single
 * probe looks for Postgres until it is back. It opens too when everything that was asked has been waiting for a while and a new
 * connection gets no answer either: a server that is frozen, or behind a network that swallows everything, breaks no
 * connection.
 *
 *     closed ── cannot connect ──────────────────────────▶ open ── the probe's SELECT 1 succeeds ──▶ closed
 *        └───── no answer, and none on a new connection ────▲
 */
export class Database {
  #pool: pg.Pool;
  readonly #makePool: () => pg.Pool;
  readonly #connection: pg.ClientConfig;
  readonly #prepare: boolean;
  readonly #random: Ambient['random'];
  readonly #observe: NonNullable<DatabaseOptions['observe']>;
  readonly #probeIntervalMs: number;
  readonly #begin: string;
  #probe: NodeJS.Timeout | undefined;
  /** What refuses each call that waits for a connection. */
  readonly #waiting = new Set<(error: unknown) => void>();
  /** Connections in use, and since when. */
  readonly #busy = new Map<pg.PoolClient, number>();
  #watch: NodeJS.Timeout | undefined;
  #isOpen = false;
  #closed = false;
  #lastAnswerMs = Number.NEGATIVE_INFINITY;

  constructor(options: DatabaseOptions) {
    const { connection, prepare } = options;
    this.#prepare = prepare;
    this.#random = options.random;
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
    this.#connection = { connectionTimeoutMillis: settings.connectTimeoutMs, ...connection };
    this.#makePool = () => {
      const pool = new pg.Pool({
        ...this.#connection,
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
      pool.on('error', (error) => this.#observe('dropped', loggable(error)));
      pool.on('connect', (client) => client.on('error', () => {}));
      return pool;
    };
    this.#pool = this.#makePool();
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
    clearTimeout(this.#watch);
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
      this.#release(client, failure);
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
      this.#release(client, failure);
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
    const pool = this.#pool;
    const beganMs = performance.now();
    try {
      const client = await this.#connect(pool);
      this.#busy.set(client, performance.now());
      this.#watchLater();
      return client;
    } catch (error) {
      this.assertOpen();
      // it waited on through an outage that is over
      if (pool !== this.#pool) throw publicFailure(error);
      const { totalCount, idleCount } = pool;
      const isBusy = totalCount - idleCount >= (pool.options.max ?? settings.poolSize);
      // Postgres has answered meanwhile: it is too busy for one more connection, and not away
      if (isBusy || this.#lastAnswerMs > beganMs)
        throw new NotifyError('unavailable', 'all connections to the database are busy; try again', {
          retryAfterMs: 1_000,
          cause: loggable(error),
        });
      this.#open(error);
      throw error;
    }
  }

  /** A pool that is replaced forgets who waits for one of its connections, so they hear of an outage from here. */
  #connect(pool: pg.Pool): Promise<pg.PoolClient> {
    // there is one that nobody has: in the next turn it is ours
    if (pool.idleCount > pool.waitingCount) return pool.connect();
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      pool.connect().then(
        (client) => (this.#waiting.delete(reject) ? resolve(client) : client.release()),
        (error: unknown) => {
          this.#waiting.delete(reject);
          reject(error);
        },
      );
    });
  }

  #release(client: pg.PoolClient, failure: unknown): void {
    this.#busy.delete(client);
    client.release(isBroken(failure));
  }

  #open(error: unknown): void {
    if (this.#isOpen || this.#closed) return;
    this.#isOpen = true;
    this.#observe('lost', loggable(error));
    // connections that nobody uses are no better, and would be found out one by one
    const before = this.#pool;
    this.#pool = this.#makePool();
    before.end().catch(() => {});
    for (const refuse of this.#waiting) refuse(error);
    this.#waiting.clear();
    this.#cutSilent();
    this.#probeLater();
  }

  /** While connections are in use, sees to it that nobody waits for an answer that will not come. */
  #watchLater(): void {
    this.#watch ??= setTimeout(async () => {
      if (this.#isOpen) this.#cutSilent();
      else if (this.#waitsInVain()) await this.#check();
      this.#watch = undefined;
      if (this.#busy.size > 0 && !this.#closed) this.#watchLater();
    }, settings.watchIntervalMs).unref();
  }

  /** Whether nobody has had an answer for a while. */
  #isSilent(): boolean {
    return performance.now() - this.#lastAnswerMs >= settings.freshMs;
  }

  /** Whether somebody has waited for one all that while. */
  #waitsInVain(): boolean {
    const beforeMs = performance.now() - settings.freshMs;
    return this.#isSilent() && [...this.#busy.values()].some((sinceMs) => sinceMs <= beforeMs);
  }

  /** Is it others' locks that we wait for, or a Postgres that is gone? A new connection tells. */
  async #check(): Promise<void> {
    const client = new pg.Client(this.#connection);
    client.on('error', () => {});
    try {
      await client.connect();
      this.#lastAnswerMs = performance.now();
    } catch (error) {
      // whatever Postgres says, it is there to say it
      if (isAnswer(error)) this.#lastAnswerMs = performance.now();
      else if (this.#waitsInVain()) this.#open(error);
    } finally {
      client.end().catch(() => {});
    }
  }

  /** What is under way on them fails as on any connection that breaks. Where nobody gets an answer, nobody will. */
  #cutSilent(): void {
    if (!this.#isSilent()) return;
    // end() would wait for the answers to what is on its way
    for (const client of this.#busy.keys())
      (client as unknown as { readonly connection: pg.Connection }).connection.stream.destroy();
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
        await pause(this.#random() * settings.conflictPauseMs * 2 ** (attempt - 1));
      }
    }
  }
}

const ping: Statement = { name: 'ping', text: 'SELECT 1' };

/** Whether an error is what the server said, and not the lack of it. */
const isAnswer = (error: unknown): boolean => error instanceof Error && 'severity' in error;

const isBroken = (error: unknown): boolean => error !== undefined && troubleOf(error) === 'connection';

/** Errors of some rows stay as they are: whoever wrote a batch looks for them. */
const failureOf = (error: unknown): unknown =>
  ['row', 'lock'].includes(troubleOf(error)) ? error : publicFailure(error);
