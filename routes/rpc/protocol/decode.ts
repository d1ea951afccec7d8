import { isUtf8 } from 'node:buffer';
import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
} from '@bufbuild/protobuf';
import { configureTextEncoding } from '@bufbuild/protobuf/wire';
import { invalidArgument, NotifyError, type Violation } from '../../../src/core/errors.ts';
import type { InputChecks } from '../call.ts';
import { unknownEnums } from './enum-check.ts';
import { jsonErrorAt, misfits } from './json-check.ts';
import { type ListLimit, tooLongInBinary, tooLongInJson } from './list-check.ts';
import { readPlain } from './plain-json.ts';

const encoder = new TextEncoder();
// proto3 strings are UTF-8, and a decoder that replaces what is not would change texts silently
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
configureTextEncoding({
  encodeUtf8: (text) => encoder.encode(text),
  decodeUtf8: (bytes) => decoder.decode(bytes),
  checkUtf8: (text) => text.isWellFormed(),
});

/**
 * A request message from its bytes, in JSON or binary. Every protocol's requests come through here, so that all answer
 * alike. Messages of the decoders, which quote the input, are replaced.
 * @param checks `lists` are looked at first; `all` says what else is wrong with a message of which some enum values are
 *   unknown, to be named together
 * @throws NotifyError invalid_argument, with field path and expected type, or line and column
 */
export function decodeMessage<Desc extends DescMessage>(
  desc: Desc,
  bytes: Buffer,
  isJson: boolean,
  { all = () => [], lists = [] }: InputChecks = {},
): MessageShape<Desc> {
  const { message, unknown } = isJson ? decodeJson(desc, bytes, lists) : decodeBinary(desc, bytes, lists);
  if (unknown.length === 0) return message;
  const named = new Set(unknown.map(({ field }) => field));
  throw invalidArgument([...unknown, ...all(message).filter(({ field }) => !named.has(field))]);
}

interface Decoded<Desc extends DescMessage> {
  readonly message: MessageShape<Desc>;
  /** Enum values that the contract does not have. */
  readonly unknown: readonly Violation[];
}

const noneUnknown: readonly Violation[] = [];

function decodeJson<Desc extends DescMessage>(
  desc: Desc,
  bytes: Buffer,
  lists: readonly ListLimit[],
): Decoded<Desc> {
  if (bytes.length === 0) throw malformed('the body is empty; send {} for a request without fields');
  if (!isUtf8(bytes)) throw malformed('the body must be UTF-8');
  const text = bytes.toString('utf8');
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    const { line, column } = jsonErrorAt(text);
    throw malformed(`the body is not valid JSON at line ${line}, column ${column}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('the body must be a JSON object');
  refuse(tooLongInJson(desc, value, lists));
  const plain = readPlain(desc, value);
  if (plain !== undefined) return { message: plain, unknown: noneUnknown };
  const unknown = unknownEnums(desc, value, true);
  try {
    return { message: fromJson(desc, value, { ignoreUnknownFields: true }), unknown };
  } catch {
    const wrong = unknown.concat(misfits(desc, value));
    if (wrong.length > 0) throw invalidArgument(wrong);
    throw malformed(`the body does not fit ${desc.typeName}; look for values nested over 90 levels deep`);
  }
}

function decodeBinary<Desc extends DescMessage>(
  desc: Desc,
  bytes: Buffer,
  lists: readonly ListLimit[],
): Decoded<Desc> {
  refuse(tooLongInBinary(desc, bytes, lists));
  let message: MessageShape<Desc>;
  try {
    message = fromBinary(desc, bytes);
  } catch {
    throw malformed(
      `the message is not a valid ${desc.typeName}: truncated, not protobuf, or with text that is not UTF-8`,
    );
  }
  return { message, unknown: unknownEnums(desc, message, false) };
}

function refuse(violations: readonly Violation[]): void {
  if (violations.length > 0)
    throw invalidArgument(violations.map(({ field, description }) => ({ field, description })));
}

const malformed = (text: string): NotifyError => new NotifyError('invalid_argument', text);
