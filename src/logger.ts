import pino from 'pino';
import type { Config } from './config.ts';

/** Lines are handed on together once this many characters wait, or after the interval, whichever comes first. */
const batchLength = 32 * 1024;
const flushIntervalMs = 50;

/** The four words that pipelines know; whatever is worse than an error is one too. */
const words: Readonly<Record<string, string>> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
};

/**
 * JSON lines with `time` (RFC 3339), `level` in words and `msg`, which existing pipelines parse. Written in batches off
 * the hot path; `flush` writes what waits, at once.
 * @param destination stdout, unless something else is given
 */
export function createLogger(
  level: Config['log']['level'],
  destination = pino.destination({ dest: 1, sync: false }),
) {
  const stream = batched(destination);
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      timestamp: isoTime(),
      formatters: { level: (label) => ({ level: words[label] ?? 'ERROR' }) },
      serializers: { err: describeError },
    },
    stream,
  );
  return { logger, flush: stream.flush };
}

/**
 * Gathers lines before they go to pino's own stream, which looks at all that waits on every write: eight times the cost
 * of a line at full load.
 */
function batched(stream: ReturnType<typeof pino.destination>) {
  let waiting = '';
  let timer: NodeJS.Timeout | undefined;
  const handOn = () => {
    clearTimeout(timer);
    timer = undefined;
    const lines = waiting;
    waiting = '';
    if (lines !== '') stream.write(lines);
  };
  return {
    write(line: string): void {
      waiting += line;
      if (waiting.length >= batchLength) handOn();
      else timer ??= setTimeout(handOn, flushIntervalMs).unref();
    },
    flush(): void {
      handOn();
      try {
        stream.flushSync();
      } catch {
        // the stream is not open yet, or its reader has gone: there is nobody to tell
      }
    },
  };
}

/** `time` as RFC 3339, formatted once a millisecond: many lines share one. */
function isoTime(): () => string {
  let atMs = 0;
  let text = '';
  return () => {
    const nowMs = Date.now();
    if (nowMs !== atMs) {
      atMs = nowMs;
      text = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return text;
  };
}

/**
 * An error without what it may carry: properties of SDKs' errors hold keys and message texts, so only the type, message,
 * code, stack and cause are kept.
 */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  return {
    type: name,
    message,
    code: (error as { code?: unknown }).code,
    stack,
    ...(cause !== undefined && depth < 3 && { cause: describeError(cause, depth + 1) }),
  };
}
