import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TestPostgres } from '../../support/postgres.ts';

/** A way to make a database's disk full, and to make room again. */
export interface Filling {
  fill(): Promise<void>;
  free(): Promise<void>;
  /** How it is done, for the output. */
  readonly how: string;
}

/**
 * Puts a database on a disk of its own that a test can fill. Where nothing may be mounted, a trigger says what a full disk would
 * make Postgres say.
 */
export async function tinyDisk(
  t: Pick<TestContext, 'after'>,
  postgres: TestPostgres,
  dsn: string,
): Promise<Filling> {
  const folder = mountTiny(t, postgres);
  if (folder === undefined) return fakeFullDisk(postgres, dsn);
  await postgres.sql(`CREATE TABLESPACE tiny LOCATION '${join(folder, 'space')}'`);
  await postgres.sql(`ALTER DATABASE ${new URL(dsn).pathname.slice(1)} SET TABLESPACE tiny`);
  const filler = join(folder, 'filler');
  return {
    how: 'a tablespace on a tmpfs of 64 MB, filled up',
    async fill() {
      try {
        for (let part = 0; ; part++) writeFileSync(`${filler}-${part}`, Buffer.alloc(2 ** 16, 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    },
    free: async () => {
      spawnSync('/bin/sh', ['-c', `rm -f "${filler}"-*`]);
    },
  };
}

/** @returns undefined where this process may not mount */
function mountTiny(t: Pick<TestContext, 'after'>, { folder: data }: TestPostgres): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'notify-tiny-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder]);
  t.after(() => {
    // lazily: Postgres, which has files open in there, ends after the test
    if (status === 0) spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  if (status !== 0) return undefined;
  const space = join(folder, 'space');
  spawnSync('mkdir', ['-m', '700', space]);
  const { uid, gid } = statSync(data);
  chownSync(space, uid, gid);
  return folder;
}

function fakeFullDisk(postgres: TestPostgres, dsn: string): Filling {
  const tables = ['notify.notifications', 'notify.deliveries'];
  return {
    how: 'a trigger that raises 53100',
    async fill() {
      await postgres.sql(
        `CREATE OR REPLACE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`,
        dsn,
      );
      for (const table of tables)
        await postgres.sql(
          `CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON ${table} EXECUTE FUNCTION no_space()`,
          dsn,
        );
    },
    async free() {
      for (const table of tables) await postgres.sql(`DROP TRIGGER IF EXISTS no_space ON ${table}`, dsn);
    },
  };
}
