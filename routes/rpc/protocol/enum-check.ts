import type { DescEnum, DescField, DescMessage } from '@bufbuild/protobuf';
import type { Violation } from '../../../src/core/errors.ts';
import { mostViolations } from './json-check.ts';

/** A field through which an enum can be reached: it holds one, or a message with such fields. */
interface EnumField {
  readonly field: DescField;
  readonly holds: DescMessage | KnownEnum;
}

/** What an enum field may hold. */
class KnownEnum {
  readonly names: ReadonlySet<string>;
  readonly numbers: ReadonlySet<number>;
  /** What is wrong with any other value. UNSPECIFIED is no choice. */
  readonly description: string;

  constructor({ values }: DescEnum) {
    this.names = new Set(values.map(({ name }) => name));
    this.numbers = new Set(values.map(({ number }) => number));
    const choices = values.filter(({ number }) => number !== 0).map(({ name }) => name);
    this.description = `must be one of ${choices.join(', ')}`;
  }

  /** Values of another JSON type are not looked at: decoding refuses them. A number in quotes is no number. */
  has(value: unknown): boolean {
    if (typeof value === 'string') return this.names.has(value);
    if (typeof value === 'number') return this.numbers.has(value);
    return true;
  }
}

/** By message, so that the rest of it is not walked. */
const enumFields = new Map<DescMessage, readonly EnumField[]>();

function fieldsWithEnums(desc: DescMessage): readonly EnumField[] {
  let fields = enumFields.get(desc);
  if (fields === undefined) {
    enumFields.set(desc, []); // a message that contains itself ends here
    fields = desc.fields.flatMap((field) => {
      const holds = heldType(field);
      const leads = holds instanceof KnownEnum || (holds !== undefined && fieldsWithEnums(holds).length > 0);
      return leads ? [{ field, holds }] : [];
    });
    enumFields.set(desc, fields);
  }
  return fields;
}

function heldType(field: DescField): DescMessage | KnownEnum | undefined {
  if (field.fieldKind === 'map' || field.message?.typeName.startsWith('google.protobuf.')) return undefined;
  return field.enum ? new KnownEnum(field.enum) : field.message;
}

/**
 * Enum values that the contract does not have. Protobuf keeps unknown numbers and drops unknown names where unknown
 * fields are ignored, so a misspelt channel would become "all channels".
 * @param value a decoded message, or what JSON.parse made of one
 * @param isJson where it is JSON: fields by either name, enums by name or number
 */
export function unknownEnums(desc: DescMessage, value: unknown, isJson: boolean): Violation[] {
  const found: Violation[] = [];
  walk(desc, value, isJson, () => '', found);
  return found;
}

/** @param path made only where it is needed: a list may hold millions of values */
function walk(
  desc: DescMessage,
  value: unknown,
  isJson: boolean,
  path: () => string,
  found: Violation[],
): void {
  if (typeof value !== 'object' || value === null) return;
  for (const { field, holds } of fieldsWithEnums(desc)) {
    const held = heldBy(field, value as Record<string, unknown>, isJson);
    const here = () => (path() === '' ? field.name : `${path()}.${field.name}`);
    if (field.fieldKind !== 'list') check(holds, held, isJson, here, found);
    else if (Array.isArray(held))
      for (let i = 0; i < held.length && found.length < mostViolations; i++)
        check(holds, held[i], isJson, () => `${here()}[${i}]`, found);
  }
}

function check(
  holds: DescMessage | KnownEnum,
  value: unknown,
  isJson: boolean,
  path: () => string,
  found: Violation[],
): void {
  if (!(holds instanceof KnownEnum)) walk(holds, value, isJson, path, found);
  else if (!holds.has(value)) found.push({ field: path(), description: holds.description });
}

function heldBy(field: DescField, record: Record<string, unknown>, isJson: boolean): unknown {
  if (isJson) return record[field.jsonName] ?? record[field.name];
  if (field.oneof === undefined) return record[field.localName];
  const chosen = record[field.oneof.localName] as { case?: string; value?: unknown } | undefined;
  return chosen?.case === field.localName ? chosen.value : undefined;
}
