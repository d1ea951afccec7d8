/**
 * The service as src/main.ts runs it, with what a test of failures may replace: the clock (CHAOS_CLOCK_SHIFT_MS) and the
 * dispatcher's numbers (CHAOS_DISPATCHER, as JSON), so that leases run out in seconds.
 */
import { buildApp, built } from '../../../src/app.ts';
import { parseConfig } from '../../../src/config.ts';
import { createLogger } from '../../../src/logger.ts';
import { system } from '../../../src/system.ts';

const { CHAOS_CLOCK_SHIFT_MS = '0', CHAOS_DISPATCHER = '{}' } = process.env;
const shiftMs = Number(CHAOS_CLOCK_SHIFT_MS);
const config = parseConfig(process.env, built);
const { logger, flush } = createLogger(config.log.level);
const app = await buildApp(config, {
  logger,
  ambient: { ...system, clock: { ...system.clock, now: () => Date.now() + shiftMs } },
  dispatcher: JSON.parse(CHAOS_DISPATCHER),
  // a machine that is busy with other tests is no overload
  pressure: { maxEventLoopDelayMs: 60_000, sampleIntervalMs: 1_000 },
});
process.on('exit', flush);
process.on('SIGTERM', async () => {
  await app.close();
  process.exit(0);
});
const ports = await app.listen();
process.stdout.write(`${JSON.stringify({ level: 'INFO', msg: 'server_listen', ...ports })}\n`);
