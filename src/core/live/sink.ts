import type { NotifyError } from '../errors.ts';
import type { LiveEvent } from './events.ts';

/**
 * Where a session's events go: one open response. A transport implements it, see routes/live. No method throws, also
 * after the peer has gone; the transport tells the session by calling `Session.gone`.
 */
export interface StreamSink {
  /**
   * Encodes and writes one event.
   * @param sessionId the session's id, which RPC streams carry on every event
   * @param position the position the stream has reached with this event; undefined: it has none yet, as at the end of a
   *   stream that could not begin. A client must not come back with another one than it left with.
   * @param written runs once the bytes have left this process, and never if the stream ends before
   */
  send(event: LiveEvent, sessionId: string, position: number | undefined, written?: () => void): void;
  /** Bytes handed to `send` that have not left this process. */
  bufferedBytes(): number;
  /** Runs `task` each time some of those bytes have left; undefined: no more. */
  onProgress(task: (() => void) | undefined): void;
  /**
   * Ends the response cleanly after what was sent.
   * @param error how RPC says why
   */
  finish(error: NotifyError): void;
  /** Closes the stream without waiting for its reader, which does not keep up. */
  destroy(): void;
}
