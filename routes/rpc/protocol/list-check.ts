import type { DescMessage } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Violation } from '../../../src/core/errors.ts';

/** A list of a request that is refused when it has too many items, before they are decoded: that takes seconds for a million. */
export interface ListLimit {
  /** A repeated field of messages, by its name in the .proto file. */
  readonly field: string;
  readonly items: number;
  /** What is wrong with more, in words for the caller. */
  readonly description: string;
}

/** @param value the request as JSON.parse made it */
export function tooLongInJson(
  desc: DescMessage,
  value: Readonly<Record<string, unknown>>,
  limits: readonly ListLimit[],
): Violation[] {
  return limits.filter(({ field, items }) => {
    const jsonName = desc.fields.find(({ name }) => name === field)?.jsonName ?? field;
    const held = value[jsonName] ?? value[field];
    return Array.isArray(held) && held.length > items;
  });
}

/** @param bytes the request in binary; one that is damaged is left to the decoder */
export function tooLongInBinary(
  desc: DescMessage,
  bytes: Uint8Array,
  limits: readonly ListLimit[],
): Violation[] {
  return limits.filter(({ field, items }) => {
    const number = desc.fields.find(({ name }) => name === field)?.number;
    let count = 0;
    try {
      for (const reader = new BinaryReader(bytes); reader.pos < reader.len && count <= items; ) {
        const [found, type] = reader.tag();
        if (found === number) count += 1;
        reader.skip(type, found);
      }
    } catch {
      return false;
    }
    return count > items;
  });
}
