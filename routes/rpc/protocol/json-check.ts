import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { createScanner } from 'jsonc-parser';
import type { Violation } from '../../../src/core/errors.ts';

/** What is wrong is collected up to this many; a message names fewer, and counts the rest. */
export const mostViolations = 10_000;

/** Kinds of tokens by the scanner's numbers, whose own enum cannot be imported without a compiler. */
const token = {
  '{': 1,
  '}': 2,
  '[': 3,
  ']': 4,
  ',': 5,
  ':': 6,
  string: 10,
  lineBreak: 14,
  blank: 15,
  end: 17,
};

/** null, true, false, strings and numbers. */
const isScalar = (kind: number): boolean => kind >= 7 && kind <= 11;

/**
 * Where a text stops being JSON, as line and column from 1. For error messages only: JSON.parse's own quote the input.
 * It keeps its own stack, since a text may nest as deep as it is long.
 */
export function jsonErrorAt(text: string): { line: number; column: number } {
  const before = text.slice(0, errorOffset(text));
  return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') };
}

function errorOffset(text: string): number {
  const scanner = createScanner(text);
  const closers: number[] = [];
  let next: 'value' | 'value or ]' | 'name' | 'name or }' | 'colon' | 'separator' = 'value';
  for (;;) {
    const kind: number = scanner.scan();
    if (kind === token.blank || kind === token.lineBreak) continue;
    const closer = closers.at(-1);
    if (scanner.getTokenError() !== 0) break;
    if (next.startsWith('value') && kind === token['{']) {
      closers.push(token['}']);
      next = 'name or }';
    } else if (next.startsWith('value') && kind === token['[']) {
      closers.push(token[']']);
      next = 'value or ]';
    } else if (next.startsWith('value') && isScalar(kind)) next = 'separator';
    else if (next.startsWith('name') && kind === token.string) next = 'colon';
    else if (next === 'colon' && kind === token[':']) next = 'value';
    else if (next === 'separator' && closer !== undefined && kind === token[','])
      next = closer === token['}'] ? 'name' : 'value';
    else if (/separator|or/.test(next) && closer !== undefined && kind === closer) {
      closers.pop();
      next = 'separator';
    } else break;
  }
  return scanner.getTokenOffset();
}

/**
 * Which fields of a JSON object do not fit a message, with what is expected. For error messages only: the decoder's own
 * name just one field, and quote it.
 */
export function misfits(desc: DescMessage, value: object): Violation[] {
  const found: Violation[] = [];
  checkMessage(desc, value, '', found);
  return found;
}

function checkMessage(desc: DescMessage, value: unknown, path: string, found: Violation[]): void {
  if (!isObject(value)) {
    found.push({ field: path, description: 'must be a JSON object' });
    return;
  }
  if (desc.typeName.startsWith('google.protobuf.')) return;
  for (const field of desc.fields) {
    const here = path === '' ? field.name : `${path}.${field.name}`;
    if (
      field.name !== field.jsonName &&
      Object.hasOwn(value, field.name) &&
      Object.hasOwn(value, field.jsonName)
    )
      found.push({ field: here, description: `is there twice, as ${field.name} and as ${field.jsonName}` });
    const held = value[field.jsonName] ?? value[field.name];
    if (held === undefined || held === null) continue;
    if (field.fieldKind === 'list') {
      if (!Array.isArray(held)) found.push({ field: here, description: 'must be a JSON array' });
      else
        for (let i = 0; i < held.length && found.length < mostViolations; i++)
          checkItem(field, held[i], `${here}[${i}]`, found);
    } else if (field.fieldKind === 'map') {
      if (!isObject(held)) found.push({ field: here, description: 'must be a JSON object' });
      else
        for (const [key, item] of Object.entries(held)) {
          if (found.length >= mostViolations) break;
          if (!key.isWellFormed()) found.push({ field: here, description: `must have keys of ${unicode}` });
          checkItem(field, item, `${here}.*`, found); // keys are the producer's own: not quoted
        }
    } else checkItem(field, held, here, found);
  }
}

function checkItem(field: DescField, value: unknown, path: string, found: Violation[]): void {
  if (field.message) {
    checkMessage(field.message, value, path, found);
    return;
  }
  const expected = field.scalar === undefined ? enumMisfit(value) : scalarMisfit(field.scalar, value);
  if (expected !== undefined) found.push({ field: path, description: `must be ${expected}` });
}

/** Which names and numbers there are is told elsewhere. */
const enumMisfit = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' ? undefined : "an enum value's name or number";

const unicode = 'valid Unicode, without lone surrogates';

function scalarMisfit(type: ScalarType, value: unknown): string | undefined {
  switch (type) {
    case ScalarType.STRING:
      if (typeof value !== 'string') return 'a string';
      return value.isWellFormed() ? undefined : unicode;
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
  if (typeof value !== 'number' && !(typeof value === 'string' && /^-?\d{1,20}$/.test(value))) return false;
  const integer = BigInt(value);
  return integer >= -(1n << bits) && integer < 1n << bits;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
