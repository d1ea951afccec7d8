/**
 * Array parameters as Postgres's own text (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO). pg makes them too,
 * element by element through a converter that looks at every type; for a thousand rows of twenty columns that took longer than
 * writing them.
 */

/** For uuid[], bigint[], int[], boolean[]: values whose text needs no quotes. Undefined is NULL. */
export function plainArray(values: readonly (string | number | bigint | boolean | undefined)[]): string {
  let text = '{';
  for (let i = 0; i < values.length; i++) {
    if (i > 0) text += ',';
    const value = values[i];
    text += value === undefined ? 'NULL' : value;
  }
  return `${text}}`;
}

const special = /["\\]/;
const specials = /["\\]/g;

/** For text[]. Undefined is NULL. */
export function textArray(values: readonly (string | undefined)[]): string {
  let text = '{';
  for (let i = 0; i < values.length; i++) {
    if (i > 0) text += ',';
    const value = values[i];
    if (value === undefined) text += 'NULL';
    else text += special.test(value) ? `"${value.replace(specials, '\\$&')}"` : `"${value}"`;
  }
  return `${text}}`;
}
