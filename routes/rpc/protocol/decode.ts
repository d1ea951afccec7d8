import { isUtf8 } from 'node:buffer';
import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
} from '@bufbuild/protobuf';
import { configureTextEncoding } from '@bufbuild/protobuf/wire';
import { invalidArgument, NotifyError } from '../../../src/core/errors.ts';
import { unknownEnums } from './enum-check.ts';
import { jsonErrorAt, misfits } from './json-check.ts';

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
 * @throws NotifyError invalid_argument, with field path and expected type, or line and column
 */
export function decodeMessage<Desc extends DescMessage>(
  desc: Desc,
  bytes: Buffer,
  isJson: boolean,
): MessageShape<Desc> {
  return isJson ? decodeJson(desc, bytes) : decodeBinary(desc, bytes);
}

function decodeJson<Desc extends DescMessage>(desc: Desc, bytes: Buffer): MessageShape<Desc> {
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
  const unknown = unknownEnums(desc, value, true);
  let message: MessageShape<Desc> | undefined;
  try {
    message = fromJson(desc, value, { ignoreUnknownFields: true });
  } catch {
    unknown.push(...misfits(desc, value));
    if (unknown.length === 0)
      throw malformed(`the body does not fit ${desc.typeName}; look for values nested over 90 levels deep`);
  }
  if (message === undefined || unknown.length > 0) throw invalidArgument(unknown);
  return message;
}

function decodeBinary<Desc extends DescMessage>(desc: Desc, bytes: Buffer): MessageShape<Desc> {
  let message: MessageShape<Desc>;
  try {
    message = fromBinary(desc, bytes);
  } catch {
    throw malformed(
      `the message is not a valid ${desc.typeName}: truncated, not protobuf, or with text that is not UTF-8`,
    );
  }
  const unknown = unknownEnums(desc, message, false);
  if (unknown.length > 0) throw invalidArgument(unknown);
  return message;
}

const malformed = (text: string): NotifyError => new NotifyError('invalid_argument', text);
