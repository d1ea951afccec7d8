import { readFile } from 'node:fs/promises';
import type pg from 'pg';
import type { PostgresDsn } from '../../../src/config.ts';

/**
 * A DSN as pg wants it: one configuration for each way to connect, in the order to try them. There are two ways for
 * sslmode=prefer and allow, which pg itself does not know.
 * @throws Error for a certificate file that cannot be read
 */
export async function connectionConfigs(dsn: PostgresDsn): Promise<pg.ClientConfig[]> {
  const base: pg.ClientConfig = {
    application_name: dsn.applicationName ?? 'notify',
    keepAlive: true,
    ...(dsn.host !== undefined && { host: dsn.host }),
    ...(dsn.port !== undefined && { port: dsn.port }),
    ...(dsn.user !== undefined && { user: dsn.user }),
    ...(dsn.password !== undefined && { password: dsn.password }),
    ...(dsn.database !== undefined && { database: dsn.database }),
    ...(dsn.options !== undefined && { options: dsn.options }),
    ...(dsn.connectTimeoutS && { connectionTimeoutMillis: dsn.connectTimeoutS * 1_000 }),
  };
  const plain = { ...base, ssl: false };
  // like libpq: a Unix socket needs no TLS
  if (dsn.sslMode === 'disable' || dsn.host?.startsWith('/')) return [plain];
  const encrypted = { ...base, ssl: await tls(dsn) };
  if (dsn.sslMode === 'prefer') return [encrypted, plain];
  if (dsn.sslMode === 'allow') return [plain, encrypted];
  return [encrypted];
}

/** What of the server's certificate is checked (https://www.postgresql.org/docs/current/libpq-ssl.html). */
async function tls(dsn: PostgresDsn): Promise<Exclude<pg.ClientConfig['ssl'], boolean | undefined>> {
  const { sslMode, sslRootCert, sslCert, sslKey } = dsn;
  const ca =
    sslRootCert === undefined || sslRootCert === 'system' ? undefined : await pem('sslrootcert', sslRootCert);
  const own = {
    ...(ca !== undefined && { ca }),
    ...(sslCert !== undefined && { cert: await pem('sslcert', sslCert) }),
    ...(sslKey !== undefined && { key: await pem('sslkey', sslKey) }),
  };
  if (sslMode === 'verify-full' || sslRootCert === 'system') return own;
  // with a root certificate, require is as strict as verify-ca: the chain is checked, the name is not
  if (ca !== undefined) return { ...own, checkServerIdentity: () => undefined };
  return { ...own, rejectUnauthorized: false };
}

async function pem(parameter: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new Error(`the Postgres DSN's ${parameter} names a file that cannot be read`, { cause });
  }
}

/** Whether a server that refused one way to connect may take the other. */
export function refusedForTls(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: string };
  // 28000: pg_hba.conf has no entry for a connection with, or without, encryption
  return (
    /server does not support SSL/i.test(error.message) ||
    (code === '28000' && /pg_hba|encryption/.test(error.message))
  );
}
