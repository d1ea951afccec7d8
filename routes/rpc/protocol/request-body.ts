import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { NotifyError } from '../../../src/core/errors.ts';

/** The largest request message, after decompression, in bytes. */
export const maxMessageBytes = 4 * 1024 * 1024;

const envelopeHeadBytes = 5;
const compressedFlag = 1;
const gunzipAsync = promisify(gunzip);
const nothing = Buffer.alloc(0);

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
  const bytes = await readBody(body, maxMessageBytes + envelopeHeadBytes);
  if (bytes.length < envelopeHeadBytes)
    throw new NotifyError('invalid_argument', 'the request holds no message; send exactly one');
  const flags = bytes.readUInt8(0);
  // in time to tell it from a length that is a piece of text: plain JSON, sent as it is by curl
  if (flags > compressedFlag)
    throw new NotifyError(
      'invalid_argument',
      'the request has no envelope: put a byte 0 and the length in four bytes before the message',
    );
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
 * @param encoding `identity` or `gzip`, in any case
 * @throws NotifyError invalid_argument for damaged data, resource_exhausted past the limit, unimplemented otherwise
 */
export async function decompress(bytes: Buffer, encoding: string): Promise<Buffer> {
  const coding = encoding.toLowerCase(); // RFC 9110 §8.4.1
  if (coding === 'identity' || bytes.length === 0) return bytes;
  if (coding !== 'gzip') throw new NotifyError('unimplemented', 'unknown compression; use gzip or identity');
  try {
    return await gunzipAsync(bytes, { maxOutputLength: maxMessageBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw new NotifyError('invalid_argument', 'the compressed data is damaged', { cause: error });
  }
}

/**
 * A whole body. What is too much is read and dropped: a peer that still sends would not look at an answer, and HTTP/2
 * would leave its stream open.
 * @throws NotifyError resource_exhausted, or canceled where the peer goes away meanwhile
 */
export const readBody = (body: Readable, maxBytes = maxMessageBytes): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    collectBody(body, maxBytes, resolve, reject);
  });

/** The same with callbacks, of which one is called once. */
export function collectBody(
  body: Readable,
  maxBytes: number,
  done: (bytes: Buffer) => void,
  failed: (error: NotifyError) => void,
): void {
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let size = 0;
  // the listeners live as long as the answer, which for a stream may be an hour: what is settled is not kept
  let waiting: { readonly done: typeof done; readonly failed: typeof failed } | undefined = { done, failed };
  const settle = () => {
    const settled = waiting;
    waiting = undefined;
    first = undefined;
    more = undefined;
    return settled;
  };
  const cutOff = () => {
    if (waiting) settle()?.failed(new NotifyError('canceled', 'the request was cut off'));
  };
  // before anybody listened; with HTTP/2 it counts as ended, not as destroyed
  if (body.destroyed || body.readableEnded) {
    cutOff();
    return;
  }
  body.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (waiting === undefined) return;
    if (size > maxBytes) settle()?.failed(tooLarge());
    else if (first === undefined) first = chunk;
    else if (more === undefined) more = [first, chunk];
    else more.push(chunk);
  });
  body.on('end', () => {
    const bytes = more ? Buffer.concat(more) : (first ?? nothing);
    settle()?.done(bytes);
  });
  body.on('error', cutOff);
  body.on('close', () => {
    if (!body.readableEnded) cutOff(); // with HTTP/2 a reset ends the body as well, but closes it first
  });
}
