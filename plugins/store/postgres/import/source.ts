import pg from 'pg';
import { loggable } from '../errors.ts';
import { findTable, SourceMismatch, type Table, type Wanted } from './table.ts';

/** How many rows of a cursor are asked for at a time. */
const fetchRows = 1_000;

/** A row of a cursor: every value as text. */
export type SourceRow = Readonly<Record<string, string>>;

/** The database that rows are copied from, over one connection that only reads. */
export class Source {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async connect(config: pg.ClientConfig): Promise<Source> {
    const client = new pg.Client({ ...config, application_name: 'notify-import' });
    client.on('error', () => {}); // a lost connection fails the statement that runs
    const source = new Source(client);
    try {
      await client.connect().catch((error: unknown) => {
        throw unreadable(error);
      });
      // sorting a large table takes as long as it takes
      await source.#run('SET statement_timeout = 0');
      await source.#run('SET default_transaction_read_only = on');
      return source;
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** See findTable. */
  async table(wanted: Wanted): Promise<Table | undefined> {
    try {
      return await findTable(this.#client, wanted);
    } catch (error) {
      throw error instanceof SourceMismatch ? error : unreadable(error);
    }
  }

  async count(table: Table): Promise<number> {
    const [row] = await this.#run(`SELECT count(*)::text AS rows FROM ${table.sql}`);
    return Number(row?.rows);
  }

  /**
   * The rows of a query, some at a time. The query runs once, and Postgres keeps its result in a temporary file: so no
   * transaction stays open meanwhile, which would keep the vacuum from the busiest tables.
   */
  async *rows(query: string): AsyncGenerator<SourceRow[], void, undefined> {
    await this.#run('BEGIN');
    await this.#run(`SET LOCAL work_mem = '64MB'`);
    await this.#run(`DECLARE import NO SCROLL CURSOR WITH HOLD FOR ${query}`);
    await this.#run('COMMIT');
    for (;;) {
      const rows = await this.#run(`FETCH ${fetchRows} FROM import`);
      if (rows.length === 0) break;
      yield rows;
    }
    await this.#run('CLOSE import');
  }

  async query(text: string, values: readonly unknown[]): Promise<SourceRow[]> {
    return this.#run(text, values);
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }

  async #run(text: string, values?: readonly unknown[]): Promise<SourceRow[]> {
    try {
      const { rows } = await this.#client.query<SourceRow>(text, values as unknown[]);
      return rows;
    } catch (error) {
      throw unreadable(error);
    }
  }
}

/** What Postgres says of an error may quote rows: that is left out. */
const unreadable = (error: unknown): Error =>
  new Error('cannot read the tables to copy from', { cause: loggable(error) });
