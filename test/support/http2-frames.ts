const types = {
  data: 0,
  headers: 1,
  rst_stream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window_update: 8,
} as const;

/** Flags of frames: the last of a stream's direction, and a complete block of headers. */
export const endStream = 0x1;
export const endHeaders = 0x4;

/** One frame, as bytes, for what no client library does. */
export function frame(
  type: keyof typeof types,
  { stream = 0, flags = 0, payload = Buffer.alloc(0) as Uint8Array } = {},
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(types[type], 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** What an HTTP/2 client sends first, with settings that change nothing (RFC 9113 §3.4). */
export const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame('settings')]);

/** The same, and windows of 2 GiB for the connection and its streams: only TCP holds the peer back. */
export const openPreface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame('settings', { payload: Buffer.of(0, 4, 0x7f, 0xff, 0xff, 0xff) }),
  frame('window_update', { payload: Buffer.of(0x7f, 0xff, 0, 0) }),
]);

/** A length with a prefix of 7 bits (RFC 7541 §5.1). */
function lengthOf(text: string): Buffer {
  if (text.length < 127) return Buffer.of(text.length);
  const bytes = [127];
  let rest = text.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** The start of a request: texts in full, without tables (RFC 7541 §6.2.2). */
export function requestHeaders(
  stream: number,
  path: string,
  headers: Record<string, string>,
  flags = 0,
): Buffer {
  const all = { ':method': 'POST', ':scheme': 'http', ':authority': 'test', ':path': path, ...headers };
  const payload = Object.entries(all).flatMap(([name, value]) => [
    Buffer.of(0),
    lengthOf(name),
    Buffer.from(name),
    lengthOf(value),
    Buffer.from(value),
  ]);
  return frame('headers', { stream, flags: endHeaders | flags, payload: Buffer.concat(payload) });
}

/** The frame that takes a stream back: CANCEL. */
export const reset = (stream: number): Buffer =>
  frame('rst_stream', { stream, payload: Buffer.of(0, 0, 0, 8) });
