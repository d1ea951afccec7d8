import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/dev/free-port.ts';
import { eventually } from './eventually.ts';

const places = ['/usr/sbin/pgbouncer', '/usr/local/bin/pgbouncer', '/opt/homebrew/bin/pgbouncer'];
const program = places.find((path) => existsSync(path));

/** Why this machine has no PgBouncer; false: it has. */
export const noPgBouncer = (): string | false =>
  program === undefined ? 'PgBouncer is not installed (apt-get install pgbouncer)' : false;

/**
 * Puts a PgBouncer in transaction mode, with two sessions of the server, before a database. It ends with the test.
 * @returns the DSN of the database by way of it
 */
export async function startPgBouncer(
  t: { after(close: () => Promise<void>): void },
  dsn: string,
): Promise<string> {
  const target = new URL(dsn);
  const name = target.pathname.slice(1);
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'notify-pgbouncer-'));
  const file = join(folder, 'pgbouncer.ini');
  const login = `user=${target.username} password=${decodeURIComponent(target.password)}`;
  writeFileSync(
    file,
    `[databases]
${name} = host=${target.hostname} port=${target.port} dbname=${name} ${login}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
`,
  );
  // PgBouncer refuses to be root, and then has to read its file
  chmodSync(folder, 0o755);
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn(program ?? 'pgbouncer', [...user, file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000);
  });
  t.after(async () => {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });
  await eventually('PgBouncer to listen', () => {
    if (child.exitCode !== null) throw new Error(`PgBouncer has ended: ${said}`);
    return canConnect(port);
  });
  return `postgres://${target.username}@127.0.0.1:${port}/${name}?sslmode=disable`;
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
