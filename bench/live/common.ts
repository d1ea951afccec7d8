import type { EmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import type { Figure } from '../figures.ts';
import { type Service, startService } from '../processes.ts';

/** Starts a service on a database. */
export const startOn = (database: EmbeddedPostgres, env: Record<string, string> = {}): Promise<Service> =>
  startService({
    NOTIFY_STORE_DRIVER: 'postgres',
    NOTIFY_POSTGRES_DSN: database.dsn(),
    NOTIFY_LOG_LEVEL: 'error',
    ...env,
  });

/** A figure that is good where it is no larger than its target. */
export const atMost = (name: string, value: number, unit: string, target: number): Figure => ({
  name,
  value: `${value.toFixed(1)} ${unit}`,
  target: `at most ${target} ${unit}`,
  met: value <= target,
});
