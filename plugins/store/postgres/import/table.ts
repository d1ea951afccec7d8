import type pg from 'pg';

/** What the import needs of a table. */
export interface Wanted {
  readonly name: string;
  /** Without these a row means nothing. */
  readonly required: readonly string[];
  /** Where one is missing, '' or 0 stands in its place. Any other column of the table is left alone. */
  readonly optional: readonly string[];
  /** Which of all those are times, in whole milliseconds. */
  readonly times: readonly string[];
}

/** A table as it was found. */
export interface Table {
  /** For statements. */
  readonly sql: string;
  readonly name: string;
  has(column: string): boolean;
  /** The type of a column, for statements. */
  typeOf(column: string): string;
}

/** The source does not have what the import needs. The message says what. */
export class SourceMismatch extends Error {
  override readonly name = 'SourceMismatch';
}

const schema = 'public';
const wholeNumbers = ['bigint', 'integer', 'smallint', 'numeric'];
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/**
 * Looks a table up.
 * @returns undefined where there is none that the role may read
 * @throws SourceMismatch where it lacks a column, or a time is no number
 */
export async function findTable(client: pg.Client, wanted: Wanted): Promise<Table | undefined> {
  const { rows } = await client.query<Record<'name' | 'kind' | 'type_schema' | 'type', string>>(
    `SELECT column_name AS name, data_type AS kind, udt_schema AS type_schema, udt_name AS type
     FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2`,
    [schema, wanted.name],
  );
  if (rows.length === 0) return undefined;
  const name = `${schema}.${wanted.name}`;
  const columns = new Map(rows.map((row) => [row.name, row]));
  const missing = wanted.required.filter((column) => !columns.has(column));
  if (missing.length > 0)
    throw new SourceMismatch(
      `${name} lacks the column${missing.length > 1 ? 's' : ''} ${missing.join(', ')}, or this role may not read ${missing.length > 1 ? 'them' : 'it'}`,
    );
  for (const column of wanted.times) {
    const kind = columns.get(column)?.kind;
    if (kind !== undefined && !wholeNumbers.includes(kind))
      throw new SourceMismatch(
        `${name}.${column} is ${kind}; it should be bigint, in UTC epoch milliseconds`,
      );
  }
  return {
    name,
    sql: `${quoted(schema)}.${quoted(wanted.name)}`,
    has: (column) => columns.has(column),
    typeOf(column) {
      const found = columns.get(column);
      if (found === undefined) throw new Error(`${name} has no column ${column}`);
      return `${quoted(found.type_schema)}.${quoted(found.type)}`;
    },
  };
}

/** A column as text, '' for NULL and where there is no such column. */
export const textOf = (table: Table, column: string): string =>
  table.has(column) ? `coalesce(${quoted(column)}::text, '')` : `''::text`;

/** A time as text, `missing` for NULL and where there is no such column. */
export const timeOf = (table: Table, column: string, missing: '' | '0' = '0'): string =>
  table.has(column) ? `coalesce(${quoted(column)}::text, '${missing}')` : `'${missing}'::text`;
