import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { NotifyError } from '../../../src/core/errors.ts';

/** The largest request message, after decompression, in bytes. */
export const maxMessageBytes = 4 * 1024 * 1024;

const envelopeHeadBytes = 5;
const compressedFlag = 1;
const gunzipAsync = promisify(gunzip);

export const tooLarge = (): NotifyError =>
  new NotifyError(
    'resource_exhausted',
    `the request is larger than ${maxMessageBytes / 1024 / 1024} MiB; split it into several calls`,
  );

/**
 * The one message of an enveloped request: unary and server-streaming calls send exactly one.
 * @param encoding of compressed messages: the header grpc-encoding or connect-content-encoding
 * @throws NotifyError invalid_argument, resource_exhausted or unimplemented
 */
export async function readEnvelope(body: Readable, encoding: string | undefined): Promise<Buffer> {
  const bytes = await readAll(body, maxMessageBytes + envelopeHeadBytes);
  if (bytes.length < envelopeHeadBytes)
    throw new NotifyError('invalid_argument', 'the request holds no message; send exactly one');
  const flags = bytes.readUInt8(0);
  const length = bytes.readUInt32BE(1);
  if (length > maxMessageBytes) throw tooLarge();
  const message = bytes.subarray(envelopeHeadBytes, envelopeHeadBytes + length);
  if (message.length < length)
    throw new NotifyError('invalid_argument', 'the request ends in the middle of its message');
  if (bytes.length > envelopeHeadBytes + length)
    throw new NotifyError('unimplemented', 'the request holds more than one message; send exactly one');
  if ((flags & compressedFlag) === 0) return message;
  if (encoding === undefined || encoding === 'identity')
    throw new NotifyError('invalid_argument', 'the message is compressed, but no encoding is named');
  return decompress(message, encoding);
}

/**
 * @param encoding `identity` or `gzip`
 * @throws NotifyError invalid_argument for damaged data, resource_exhausted past the limit, unimplemented otherwise
 */
export async function decompress(bytes: Buffer, encoding: string): Promise<Buffer> {
  if (encoding === 'identity' || bytes.length === 0) return bytes;
  if (encoding !== 'gzip')
    throw new NotifyError('unimplemented', 'unknown compression; use gzip or identity');
  try {
    return await gunzipAsync(bytes, { maxOutputLength: maxMessageBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw new NotifyError('invalid_argument', 'the compressed data is damaged', { cause: error });
  }
}

async function readAll(body: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // leaving the loop must not destroy the request: with HTTP/2 the answer would go with it
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      body.resume();
      throw tooLarge();
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
