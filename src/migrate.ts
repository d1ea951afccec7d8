import { migratePostgres } from '../plugins/store/postgres/index.ts';
import { InvalidValue } from './config.ts';

/** `npm run db:migrate`: brings the tables up to this version, for deployments that set NOTIFY_POSTGRES_AUTOMIGRATE=false. */
const { NOTIFY_POSTGRES_DIRECT_DSN: direct, NOTIFY_POSTGRES_DSN: usual } = process.env;
const [variable, dsn] = direct?.trim()
  ? ['NOTIFY_POSTGRES_DIRECT_DSN', direct]
  : ['NOTIFY_POSTGRES_DSN', usual?.trim()];
if (!dsn) fail('NOTIFY_POSTGRES_DSN is not set: it says which database to migrate');
else
  try {
    const applied = await migratePostgres(dsn);
    process.stdout.write(applied === 0 ? 'nothing to migrate\n' : `applied ${applied} migrations\n`);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
    const prefix = error instanceof InvalidValue ? `${variable} ` : '';
    fail(`${prefix}${error instanceof Error ? error.message : 'failed'}${cause}`);
  }

function fail(message: string): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
