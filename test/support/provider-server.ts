import type { TestContext } from 'node:test';

/**
 * How a server misbehaves once it has read a message: `reset` ends the connection without a word; `half_body` sends the first half
 * of an answer, and ends it; `hang` never answers; `hang_body` never ends its answer.
 */
export type Fault<Reply> = 'reset' | 'hang' | { readonly half_body: Reply } | { readonly hang_body: Reply };

/** A provider's server on this machine, whose answers a test writes. */
export interface ProviderServer<Request, Reply> {
  /** Where it listens: scheme, host and port. */
  readonly url: string;
  /** All messages so far, as they came. */
  readonly received: readonly Request[];
  /** Connections so far. */
  readonly connections: number;
  /** What it does with every message from now on. */
  play(answer: Reply | Fault<Reply>): void;
  /** Whoever connects after this is refused. */
  close(): Promise<void>;
}

/** What the suite for all providers must know of a protocol. */
export interface Wire<Request, Reply> {
  /** Listens on 127.0.0.1 until the test ends. @param isTls with a certificate that nobody signed */
  listen(t: Pick<TestContext, 'after'>, isTls?: boolean): Promise<ProviderServer<Request, Reply>>;
  /** A header of a message; undefined where it has none of that name. */
  headerOf(request: Request, name: string): unknown;
  /** "Not now", with a text of any length, and the code that says so. */
  busy(text: string): { readonly reply: Reply; readonly code: string };
  /** What the protocol does not have, and why: those tests are skipped with these words. */
  readonly lacks: {
    /** A way to say when to come back. */
    readonly retryAfter?: string;
    /** A verdict at the beginning of an answer. */
    readonly earlyVerdict?: string;
    readonly tls?: string;
  };
}
