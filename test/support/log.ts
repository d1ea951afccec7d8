import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { FastifyBaseLogger } from 'fastify';
import pino from 'pino';
import { createLogger } from '../../src/logger.ts';

export type LogLine = Readonly<Record<string, unknown>>;

/** The service's own logger, into a file. */
export interface LogFile {
  readonly logger: FastifyBaseLogger;
  /** Everything logged so far, as written. */
  text(): string;
  lines(msg?: string): LogLine[];
}

/** A logger at the finest level that can be configured. The file goes with the test. */
export function logFile(t: Pick<TestContext, 'after'>): LogFile {
  const folder = mkdtempSync(join(tmpdir(), 'notify-log-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'log');
  // what is written on the way could not be read back at once
  const { logger, flush } = createLogger('debug', pino.destination({ dest: file, sync: true }));
  const text = () => {
    flush();
    return readFileSync(file, 'utf8');
  };
  return {
    logger: logger as FastifyBaseLogger,
    text,
    lines: (msg) =>
      text()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as LogLine)
        .filter((line) => msg === undefined || line.msg === msg),
  };
}
