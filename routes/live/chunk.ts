/** The body that was framed last, and its frame. */
let lastBody: string | Uint8Array | undefined;
let lastChunk: string | Uint8Array = '';

/**
 * Bytes as one chunk of an HTTP/1.1 body (RFC 9112 §7.1). Node would frame them for each stream anew, in four writes; here all streams
 * that are sent one body in a row are sent one frame, which is also what waits for the slow ones among them.
 */
export function asChunk(body: string | Uint8Array): string | Uint8Array {
  if (body !== lastBody) {
    lastChunk = typeof body === 'string' ? textChunk(body) : bytesChunk(body);
    lastBody = body;
  }
  return lastChunk;
}

const textChunk = (body: string): string => `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;

function bytesChunk(body: Uint8Array): Uint8Array {
  const head = Buffer.from(`${body.length.toString(16)}\r\n`, 'latin1');
  return Buffer.concat([head, body, lineEnd]);
}

const lineEnd = Buffer.from('\r\n', 'latin1');
