import pino from 'pino';
import type { Config } from './config.ts';

/** Lines are written together once this many bytes wait, or after the interval, whichever comes first. */
const batchBytes = 8 * 1024;
const flushIntervalMs = 100;

/**
 * JSON lines with `time` (RFC 3339), `level` in words and `msg`, which existing pipelines parse. Written in batches off
 * the hot path; `flush` writes what waits, at once.
 */
export function createLogger(level: Config['log']['level'], destination: string | number = 1) {
  const stream = pino.destination({
    dest: destination,
    sync: false,
    minLength: batchBytes,
    periodicFlush: flushIntervalMs,
  });
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      serializers: { err: describeError },
    },
    stream,
  );
  return {
    logger,
    flush(): void {
      try {
        stream.flushSync();
      } catch {
        // the stream is not open yet, or its reader has gone: there is nobody to tell
      }
    },
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
