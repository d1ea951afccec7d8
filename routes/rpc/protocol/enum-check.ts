import type { DescEnum, DescField, DescMessage } from '@bufbuild/protobuf';
import type { Violation } from '../../../src/core/errors.ts';

/** The fields of a message through which an enum can be reached, so that the rest of it is not walked. */
const enumFields = new Map<DescMessage, readonly DescField[]>();

function fieldsWithEnums(desc: DescMessage): readonly DescField[] {
  let fields = enumFields.get(desc);
  if (fields === undefined) {
    enumFields.set(desc, []); // a message that contains itself ends here
    fields = desc.fields.filter(
      (field) =>
        enumOf(field) !== undefined ||
        (messageOf(field) && fieldsWithEnums(messageOf(field) as DescMessage).length > 0),
    );
    enumFields.set(desc, fields);
  }
  return fields;
}

const enumOf = (field: DescField): DescEnum | undefined =>
  field.fieldKind === 'map' ? undefined : field.enum;

const messageOf = (field: DescField): DescMessage | undefined =>
  field.message?.typeName.startsWith('google.protobuf.') ? undefined : field.message;

/**
 * Enum values that the contract does not have. Protobuf keeps unknown numbers and drops unknown names where unknown
 * fields are ignored, so a misspelt channel would become "all channels".
 * @param value a decoded message, or what JSON.parse made of one
 * @param isJson where it is JSON: fields by either name, enums by name or number
 */
export function unknownEnums(desc: DescMessage, value: unknown, isJson: boolean): Violation[] {
  const found: Violation[] = [];
  walk(desc, value, isJson, '', found);
  return found;
}

function walk(desc: DescMessage, value: unknown, isJson: boolean, path: string, found: Violation[]): void {
  if (typeof value !== 'object' || value === null) return;
  const record = value as Record<string, unknown>;
  for (const field of fieldsWithEnums(desc)) {
    const held = heldBy(field, record, isJson);
    if (held === undefined || held === null) continue;
    const here = path === '' ? field.name : `${path}.${field.name}`;
    const items: readonly [string, unknown][] =
      field.fieldKind === 'list'
        ? (Array.isArray(held) ? held : []).map((item, i) => [`${here}[${i}]`, item])
        : [[here, held]];
    const wanted = enumOf(field);
    for (const [at, item] of items) {
      if (wanted === undefined) walk(messageOf(field) as DescMessage, item, isJson, at, found);
      else if (!isKnown(wanted, item))
        found.push({
          field: at,
          description: `must be one of ${wanted.values.map((v) => v.name).join(', ')}`,
        });
    }
  }
}

function heldBy(field: DescField, record: Record<string, unknown>, isJson: boolean): unknown {
  if (isJson) return record[field.jsonName] ?? record[field.name];
  if (field.oneof === undefined) return record[field.localName];
  const chosen = record[field.oneof.localName] as { case?: string; value?: unknown } | undefined;
  return chosen?.case === field.localName ? chosen.value : undefined;
}

/** Values of another JSON type are not looked at: decoding refuses them. */
function isKnown(desc: DescEnum, value: unknown): boolean {
  if (typeof value === 'string')
    return desc.values.some((v) => v.name === value || String(v.number) === value);
  if (typeof value === 'number') return desc.values.some((v) => v.number === value);
  return true;
}
