/**
 * The service as src/main.ts runs it, with what a test of failures may replace: the clock (CHAOS_CLOCK_SHIFT_MS), the
 * dispatcher's numbers (CHAOS_DISPATCHER, as JSON), so that leases run out in seconds, and a backplane that loses a share of what
 * comes over it (CHAOS_LOSS, with the dice of CHAOS_SEED).
 */
import { buildApp, built } from '../../../src/app.ts';
import { parseConfig } from '../../../src/config.ts';
import { createLogger } from '../../../src/logger.ts';
import { system } from '../../../src/system.ts';
import { mulberry32 } from '../../support/ambient.ts';
import { lossy } from './lossy-transport.ts';

const {
  CHAOS_CLOCK_SHIFT_MS = '0',
  CHAOS_DISPATCHER = '{}',
  CHAOS_LOSS = '0',
  CHAOS_SEED = '1',
} = process.env;
const shiftMs = Number(CHAOS_CLOCK_SHIFT_MS);
const dice = mulberry32(Number(CHAOS_SEED));
const config = parseConfig(process.env, built);
const { logger, flush } = createLogger(config.log.level);
const app = await buildApp(config, {
  logger,
  ambient: { ...system, clock: { ...system.clock, now: () => Date.now() + shiftMs } },
  wrapTransport: lossy(() => dice() < Number(CHAOS_LOSS)),
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
