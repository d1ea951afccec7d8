/** A row as Postgres writes it: every value as text. */
export type Row = Readonly<Record<string, string | null>>;

/** A statement that is planned once per connection, under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export type Value = string | number | bigint | Buffer | null;

/** Where statements run. */
export interface Runner {
  /** In a transaction they run in the order of the calls, also where one is called before another has answered. */
  run(statement: Statement, values: readonly Value[]): Promise<Row[]>;
}

/** A transaction under way. */
export interface Transaction extends Runner {
  /** Runs a statement and commits with it: nothing may follow. */
  last(statement: Statement, values: readonly Value[]): Promise<Row[]>;
  /** Gives back every lock and starts afresh. */
  restart(): Promise<void>;
}
