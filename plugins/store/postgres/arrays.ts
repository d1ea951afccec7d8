/**
 * Array parameters as Postgres's own text (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO). pg makes them too,
 * element by element through a converter that looks at every type; for a thousand rows of twenty columns that took longer than
 * writing them.
 */

/** For uuid[], bigint[], int[], boolean[]: values whose text needs no quotes. Undefined is NULL. */
export const plainArray = (values: readonly (string | number | bigint | boolean | undefined)[]): string =>
  arrayOf(values, plain);

/** For text[]. Undefined is NULL. */
export const textArray = (values: readonly (string | undefined)[]): string => arrayOf(values, quoted);

/** Most columns of most batches hold one value throughout: that is written once, and repeated without an object for each. */
function arrayOf<T>(values: readonly T[], write: (value: T) => string): string {
  const [first] = values;
  if (values.length === 0) return '{}';
  const one = write(first as T);
  let same = 1;
  while (same < values.length && values[same] === first) same++;
  let text = `{${one}${`,${one}`.repeat(same - 1)}`;
  for (let i = same; i < values.length; i++) text += `,${write(values[i] as T)}`;
  return `${text}}`;
}

const plain = (value: string | number | bigint | boolean | undefined): string =>
  value === undefined ? 'NULL' : String(value);

const special = /["\\]/;
const specials = /["\\]/g;

function quoted(value: string | undefined): string {
  if (value === undefined) return 'NULL';
  return special.test(value) ? `"${value.replace(specials, '\\$&')}"` : `"${value}"`;
}
