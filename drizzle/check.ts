import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * `npm run db:check`: fails where schema.ts says something that no migration does. It lets drizzle-kit generate into a copy of
 * migrations/, which must get nothing new.
 */
const root = new URL('..', import.meta.url).pathname;
// below node_modules: drizzle-kit takes paths of the project only, and nobody commits it there
const copy = mkdtempSync(join(root, 'node_modules', '.migrations-'));
try {
  cpSync(join(root, 'migrations'), copy, { recursive: true });
  const before = readdirSync(copy).length;
  const { status, stdout, stderr } = spawnSync(
    join(root, 'node_modules', '.bin', 'drizzle-kit'),
    ['generate', '--dialect=postgresql', '--schema=./drizzle/schema.ts', `--out=${copy.slice(root.length)}`],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  );
  if (status !== 0) {
    process.stderr.write(stdout + stderr);
    process.exitCode = 1;
  } else if (readdirSync(copy).length !== before) {
    process.stderr.write(
      'drizzle/schema.ts differs from migrations/; run npm run db:generate and commit what it makes\n',
    );
    process.exitCode = 1;
  } else process.stdout.write('migrations/ is what drizzle/schema.ts says\n');
} finally {
  rmSync(copy, { recursive: true, force: true });
}
