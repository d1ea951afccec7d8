import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Writes a module for NOTIFY_PLUGINS, in a folder that goes with the test. @returns its path */
export function moduleFile(t: Pick<TestContext, 'after'>, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'notify-module-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'module.mjs');
  writeFileSync(file, text);
  return file;
}
