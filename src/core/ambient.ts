/**
 * Time, ids and randomness: everything the core takes from the outside world beside the store. Injected, so that
 * tests decide what time it is and never sleep.
 */
export interface Ambient {
  readonly clock: Clock;
  readonly ids: Ids;
  /** Uniform in [0, 1). */
  random(): number;
}

export interface Clock {
  /** UTC epoch milliseconds. */
  now(): number;
  /** Milliseconds since some moment of the past: for durations, since nobody sets it, and it never goes back. */
  elapsed(): number;
  /**
   * Runs `task` once after `delayMs`. The timer does not keep the process alive.
   * @returns cancels it; harmless after it ran.
   */
  after(delayMs: number, task: () => void): () => void;
}

export interface Ids {
  /** A fresh id that sorts by time: UUIDv7, lower case (RFC 9562 §5.7). */
  next(): string;
  /** A fresh random id that tells nothing: UUIDv4 (RFC 9562 §5.4). */
  random(): string;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether a text is a UUID in its usual form, of any version. */
export const isUuid = (text: string): boolean => uuidPattern.test(text);
