import { parseArgs } from 'node:util';
import { importPostgres, type NamedDsn } from '../plugins/store/postgres/import/index.ts';
import { InvalidValue } from './config.ts';
import { system } from './system.ts';

/**
 * `npm run db:import`: copies the first implementation's notifications and devices into our tables. They are looked for in the
 * same database, or in that of NOTIFY_IMPORT_DSN or `--from <dsn>`.
 */
const again = 'Start it again to go on: what was copied stays, and is skipped.';

const into = named('NOTIFY_POSTGRES_DIRECT_DSN') ?? named('NOTIFY_POSTGRES_DSN');
const given = fromArguments();
if (given === undefined) fail('usage: npm run db:import [-- --from <dsn>]');
else if (into === undefined) fail('NOTIFY_POSTGRES_DSN is not set: it says which database to copy into');
else
  try {
    const from = given ?? named('NOTIFY_IMPORT_DSN') ?? into;
    const refused = await importPostgres({
      into,
      from,
      random: system.random,
      say: (line) => process.stdout.write(`${line}\n`),
    });
    if (refused > 0)
      fail(
        `${refused.toLocaleString('en')} rows were not copied: each is named above, with the reason. Everything else was.`,
      );
  } catch (error) {
    fail(explain(error));
  }

/** @returns null without `--from`; undefined for arguments that are none of ours, which must not be repeated: one may be a DSN */
function fromArguments(): NamedDsn | null | undefined {
  try {
    const { from } = parseArgs({ options: { from: { type: 'string' } } }).values;
    if (from === undefined) return null;
    return from.trim() === '' ? undefined : { dsn: from.trim(), variable: '--from' };
  } catch {
    return undefined;
  }
}

function named(variable: string): NamedDsn | undefined {
  const dsn = process.env[variable]?.trim();
  return dsn ? { dsn, variable } : undefined;
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  const hint = /Mismatch$/.test(error.name) || error instanceof InvalidValue ? '' : ` ${again}`;
  return `${error.message}${cause}.${hint}`;
}

function fail(message: string): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
