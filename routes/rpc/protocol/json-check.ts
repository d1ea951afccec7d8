import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { type ParseError, parseTree } from 'jsonc-parser';
import type { Violation } from '../../../src/core/errors.ts';

/**
 * Where a text stops being JSON, as line and column from 1. For error messages only: JSON.parse's own quote the input.
 */
export function jsonErrorAt(text: string): { line: number; column: number } {
  const errors: ParseError[] = [];
  parseTree(text, errors, { disallowComments: true, allowTrailingComma: false });
  const before = text.slice(0, errors[0]?.offset ?? text.length);
  const line = before.split('\n').length;
  return { line, column: before.length - before.lastIndexOf('\n') };
}

/**
 * Which fields of a JSON value do not fit a message, with the type that is expected. For error messages only: the
 * decoder's own name just one field, and quote it.
 */
export function misfits(desc: DescMessage, value: unknown, path = ''): Violation[] {
  if (value === null && path !== '') return [];
  if (!isObject(value)) return [{ field: path, description: 'must be a JSON object' }];
  if (desc.typeName.startsWith('google.protobuf.')) return [];
  const found: Violation[] = [];
  for (const field of desc.fields) {
    const held = value[field.jsonName] ?? value[field.name];
    if (held === undefined || held === null) continue;
    const here = path === '' ? field.name : `${path}.${field.name}`;
    if (field.fieldKind === 'list') {
      if (!Array.isArray(held)) found.push({ field: here, description: 'must be a JSON array' });
      else
        held.forEach((item, i) => {
          found.push(...misfit(field, item, `${here}[${i}]`, false));
        });
    } else if (field.fieldKind === 'map') {
      if (!isObject(held)) found.push({ field: here, description: 'must be a JSON object' });
      else for (const item of Object.values(held)) found.push(...misfit(field, item, `${here}.*`, false));
    } else found.push(...misfit(field, held, here, true));
  }
  return found;
}

function misfit(field: DescField, value: unknown, path: string, nullable: boolean): Violation[] {
  if (value === null && nullable) return [];
  if (field.message)
    return value === null
      ? [{ field: path, description: 'must not be null' }]
      : misfits(field.message, value, path);
  const expected = field.scalar === undefined ? enumMisfit(value) : scalarMisfit(field.scalar, value);
  return expected === undefined ? [] : [{ field: path, description: `must be ${expected}` }];
}

const enumMisfit = (value: unknown): string | undefined =>
  typeof value === 'string' || (typeof value === 'number' && Number.isInteger(value))
    ? undefined
    : "an enum value's name or number";

function scalarMisfit(type: ScalarType, value: unknown): string | undefined {
  switch (type) {
    case ScalarType.STRING:
      return typeof value === 'string' ? undefined : 'a string';
    case ScalarType.BOOL:
      return typeof value === 'boolean' ? undefined : 'true or false';
    case ScalarType.INT32:
      return isInteger(value, 31n) ? undefined : 'a 32-bit integer';
    case ScalarType.INT64:
      return isInteger(value, 63n) ? undefined : 'a 64-bit integer, as a number or a string of digits';
    default:
      return undefined;
  }
}

function isInteger(value: unknown, bits: bigint): boolean {
  if (typeof value === 'number' && !Number.isInteger(value)) return false;
  if (typeof value !== 'number' && !(typeof value === 'string' && /^-?\d+$/.test(value))) return false;
  const integer = BigInt(value);
  return integer >= -(1n << bits) && integer < 1n << bits;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
