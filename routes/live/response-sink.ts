import type { ServerResponse } from 'node:http';
import type { NotifyError } from '../../src/core/errors.ts';
import { endings } from '../../src/core/live/endings.ts';
import type { LiveEvent } from '../../src/core/live/events.ts';
import type { StreamSink } from '../../src/core/live/sink.ts';
import { asChunk } from './chunk.ts';
import { cutOff } from './raw-response.ts';

/** How events become bytes, and how a response ends. */
export interface StreamEncoding {
  event(event: LiveEvent, sessionId: string, position: number | undefined): string | Uint8Array;
  /** Writes what ends the response, and why. */
  finish(response: ServerResponse, error: NotifyError): void;
}

/** How this process serves live streams. */
export interface StreamOptions {
  readonly liveEnabled: boolean;
  /** A reader that has not taken the end of its stream by then is cut, so that it holds up no stop and no memory. */
  readonly finishTimeoutMs: number;
}

/**
 * The socket is handed at most this many bytes at a time, and larger events in slices of it. Whatever is handed over together
 * counts as written only when its last byte is: so a slow reader of a large event shows its progress slice by slice.
 */
const sliceBytes = 16 * 1024;

const ignore = (): void => {};

interface Slice {
  readonly bytes: string | Uint8Array;
  /** Runs once the bytes have left. */
  readonly written: (() => void) | undefined;
}

/** A write that the socket was handed. */
interface Handed {
  readonly size: number;
  readonly written: (() => void) | undefined;
  /** The write after it. */
  next: Handed | undefined;
}

/** A live stream's response, over HTTP/1.1 or HTTP/2. Bytes are counted until the socket has taken them. */
export class ResponseSink implements StreamSink {
  readonly #response: ServerResponse;
  readonly #encoding: StreamEncoding;
  readonly #finishTimeoutMs: number;
  /** Over HTTP/1.1: chunks are made here, and not by Node for each stream anew. */
  readonly #isChunked: boolean;
  /** What the socket has not been handed yet. */
  readonly #waiting: Slice[] = [];
  /** The first and the last write that the socket was handed and has not taken: it tells of them in order. */
  #oldest: Handed | undefined;
  #newest: Handed | undefined;
  /** Their bytes. */
  #writing = 0;
  #buffered = 0;
  #progress: (() => void) | undefined;
  #error: NotifyError | undefined;

  /** @param finishTimeoutMs see StreamOptions */
  constructor(response: ServerResponse, encoding: StreamEncoding, finishTimeoutMs: number) {
    this.#response = response;
    this.#encoding = encoding;
    this.#finishTimeoutMs = finishTimeoutMs;
    this.#isChunked = response.chunkedEncoding === true;
    if (this.#isChunked) response.chunkedEncoding = false;
    // a broken pipe is followed by 'close', which ends the session
    response.on('error', ignore);
  }

  send(event: LiveEvent, sessionId: string, position: number | undefined, written?: () => void): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    const encoded = this.#encoding.event(event, sessionId, position);
    const bytes = this.#isChunked ? asChunk(encoded) : encoded;
    if (this.#waiting.length === 0 && this.#writing + bytes.length <= sliceBytes) {
      this.#buffered += bytes.length;
      this.#write(bytes, written);
      return;
    }
    for (const slice of slices(bytes, written)) {
      this.#buffered += slice.bytes.length;
      this.#waiting.push(slice);
    }
    this.#writeOn();
  }

  bufferedBytes(): number {
    return this.#buffered;
  }

  onProgress(task: (() => void) | undefined): void {
    this.#progress = task;
  }

  /** Why this side has ended the stream; undefined where it has not. */
  get error(): NotifyError | undefined {
    return this.#error;
  }

  finish(error: NotifyError): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    this.#error = error;
    for (const { bytes, written } of this.#waiting.splice(0)) this.#write(bytes, written);
    if (this.#isChunked) this.#response.chunkedEncoding = true;
    this.#encoding.finish(this.#response, error);
    const cut = setTimeout(() => this.destroy(), this.#finishTimeoutMs).unref();
    this.#response.once('close', () => clearTimeout(cut));
  }

  destroy(): void {
    this.#error ??= endings.slow;
    cutOff(this.#response, this.#finishTimeoutMs / 2);
  }

  #writeOn(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#writing > 0 && this.#writing + next.bytes.length > sliceBytes) return;
      this.#waiting.shift();
      this.#write(next.bytes, next.written);
    }
  }

  #write(bytes: string | Uint8Array, written: (() => void) | undefined): void {
    const handed: Handed = { size: bytes.length, written, next: undefined };
    if (this.#newest) this.#newest.next = handed;
    else this.#oldest = handed;
    this.#newest = handed;
    this.#writing += handed.size;
    this.#response.write(bytes, this.#whenTaken);
  }

  /** One for all writes: Node keeps that of the last one, which must keep no event, and a new one for each would be old garbage. */
  readonly #whenTaken = (error: Error | null | undefined): void => {
    const handed = this.#oldest;
    if (handed === undefined) return;
    this.#oldest = handed.next;
    if (handed.next === undefined) this.#newest = undefined;
    this.#writing -= handed.size;
    this.#buffered -= handed.size;
    if (error) return;
    handed.written?.();
    this.#writeOn();
    this.#progress?.();
  };
}

/** An event cut into what the socket is handed at a time. Short texts stay texts: their UTF-16 length is near enough. */
function slices(event: string | Uint8Array, written: (() => void) | undefined): readonly Slice[] {
  if (event.length <= sliceBytes) return [{ bytes: event, written }];
  const bytes = typeof event === 'string' ? Buffer.from(event) : event;
  const count = Math.ceil(bytes.length / sliceBytes);
  return Array.from({ length: count }, (_, i) => ({
    bytes: bytes.subarray(i * sliceBytes, (i + 1) * sliceBytes),
    written: i === count - 1 ? written : undefined,
  }));
}
