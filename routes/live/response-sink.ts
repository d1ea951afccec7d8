import type { ServerResponse } from 'node:http';
import type { LiveEvent } from '../../src/core/live/events.ts';
import type { StreamSink } from '../../src/core/live/sink.ts';
import { cutOff } from './raw-response.ts';

/** How events become bytes, and how a response ends. */
export interface StreamEncoding {
  event(event: LiveEvent, sessionId: string, position: number): string | Uint8Array;
  /** Writes what ends the response. */
  finish(response: ServerResponse): void;
}

/** A reader that has not taken the end of its stream by then is cut, so that it holds up no shutdown and no memory. */
const finishTimeoutMs = 2_000;

/** A live stream's response, over HTTP/1.1 or HTTP/2. Bytes are counted until the socket has taken them. */
export class ResponseSink implements StreamSink {
  readonly #response: ServerResponse;
  readonly #encoding: StreamEncoding;
  #buffered = 0;
  #drained: (() => void) | undefined;

  constructor(response: ServerResponse, encoding: StreamEncoding) {
    this.#response = response;
    this.#encoding = encoding;
    // a broken pipe is followed by 'close', which ends the session
    response.on('error', () => {});
  }

  send(event: LiveEvent, sessionId: string, position: number, written?: () => void): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    const bytes = this.#encoding.event(event, sessionId, position);
    // UTF-16 length for texts: near enough for a limit, and free
    const size = bytes.length;
    this.#buffered += size;
    this.#response.write(bytes, (error) => {
      this.#buffered -= size;
      if (error) return;
      written?.();
      if (this.#buffered === 0) {
        const drained = this.#drained;
        this.#drained = undefined;
        drained?.();
      }
    });
  }

  bufferedBytes(): number {
    return this.#buffered;
  }

  whenDrained(task: () => void): void {
    if (this.#buffered === 0) task();
    else this.#drained = task;
  }

  finish(): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    this.#encoding.finish(this.#response);
    const cut = setTimeout(() => cutOff(this.#response), finishTimeoutMs).unref();
    this.#response.once('close', () => clearTimeout(cut));
  }

  destroy(): void {
    cutOff(this.#response);
  }
}
