import type pg from 'pg';
import type { Row, Statement, Transaction, Value } from './statement.ts';

/** How a statement is sent over a connection. */
export type Send = (client: pg.PoolClient, statement: Statement, values: readonly Value[]) => Promise<Row[]>;

/**
 * A transaction under way on a connection in pipeline mode. BEGIN travels together with the first statement and COMMIT with
 * the one that is said to be the last: a batch of two statements waits for two answers of Postgres, not for four, and wakes
 * both processes half as often.
 */
export class FlightTransaction implements Transaction {
  readonly #client: pg.PoolClient;
  readonly #begin: string;
  readonly #send: Send;
  /** What is still to be sent in front of the next statement. */
  #pending: string | undefined;
  #state: 'open' | 'committing' | 'ended' = 'open';

  constructor(client: pg.PoolClient, begin: string, send: Send) {
    this.#client = client;
    this.#begin = begin;
    this.#send = send;
    this.#pending = begin;
  }

  /** Whether COMMIT was sent: what became of it may be unknown. */
  get isCommitting(): boolean {
    return this.#state !== 'open';
  }

  run(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    return this.#fly(statement, values, undefined);
  }

  async last(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    this.#state = 'committing';
    const rows = await this.#fly(statement, values, 'COMMIT');
    this.#state = 'ended';
    return rows;
  }

  async restart(): Promise<void> {
    if (this.#pending === undefined) this.#pending = `ROLLBACK; ${this.#begin}`;
  }

  /** Makes it last, unless that has been done. */
  async commit(): Promise<void> {
    if (this.#state === 'ended' || this.#pending === this.#begin) return;
    // started afresh, and nothing done since
    if (this.#pending !== undefined) return this.rollback();
    this.#state = 'committing';
    await this.#client.query('COMMIT');
    this.#state = 'ended';
  }

  /**
   * Gives it up after an error.
   * @throws Error where the connection is lost
   */
  async rollback(): Promise<void> {
    await this.#client.query('ROLLBACK');
  }

  /** @returns the statement's rows, when all that was sent has been answered */
  async #fly(statement: Statement, values: readonly Value[], after: string | undefined): Promise<Row[]> {
    const before = this.#pending;
    this.#pending = undefined;
    const { stream } = this.#client.connection;
    // one write for all of it
    stream.cork();
    let answers: [Promise<unknown>, Promise<Row[]>, Promise<unknown>];
    try {
      answers = [
        before === undefined ? done : this.#client.query(before),
        this.#send(this.#client, statement, values),
        // where the statement failed Postgres takes this for a ROLLBACK
        after === undefined ? done : this.#client.query(after),
      ];
    } finally {
      stream.uncork();
    }
    // the first that failed says why; the others' errors follow from it
    await Promise.allSettled(answers);
    const [, rows] = await Promise.all(answers);
    return rows;
  }
}

const done = Promise.resolve();
