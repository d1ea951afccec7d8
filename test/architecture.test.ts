import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';

const root = new URL('..', import.meta.url).pathname;

/** Every source file with what it imports, relative imports as paths from the root. */
const imports = new Map<string, string[]>();
for (const folder of ['src', 'plugins', 'routes', 'drizzle'])
  for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
    if (!/\.[jt]s$/.test(file)) continue;
    const path = join(folder, file);
    const text = readFileSync(join(root, path), 'utf8');
    const found = [
      ...text.matchAll(
        /^(?:import|export)\s[^'";]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm,
      ),
    ];
    imports.set(
      path,
      found.map((match) => {
        const target = match[1] ?? match[2] ?? match[3] ?? '';
        return target.startsWith('.') ? normalize(join(dirname(path), target)) : target;
      }),
    );
  }

const inFolder = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);
const isOurs = (target: string): boolean => /^(src|plugins|routes|proto|drizzle|test)\//.test(target);
const packageOf = (target: string): string =>
  target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');

/** Imports of files under a folder that a rule does not allow, as readable lines. */
function violations(folder: string, allowed: (target: string, from: string) => boolean): string[] {
  return [...imports]
    .filter(([from]) => inFolder(from, folder))
    .flatMap(([from, targets]) =>
      targets.filter((target) => !allowed(target, from)).map((target) => `${from} imports ${target}`),
    );
}

describe('who may import whom', () => {
  it('the core imports itself and runtime-neutral libraries', () => {
    const libraries = ['ipaddr.js', 'p-limit'];
    assert.deepEqual(
      violations('src/core', (t) => inFolder(t, 'src/core') || libraries.includes(t)),
      [],
    );
  });

  it('the configuration imports no plugin', () => {
    const allowed = (t: string) => !isOurs(t) || inFolder(t, 'src/core') || inFolder(t, 'src/config');
    assert.deepEqual(violations('src/config', allowed), []);
    assert.deepEqual(violations('src/config.ts', allowed), []);
  });

  it('a plugin imports the core, the configuration and its own folder', () => {
    assert.deepEqual(
      violations('plugins', (target, from) => {
        if (!isOurs(target)) return true;
        const own = from.split('/').slice(0, 2).join('/');
        if (inFolder(target, 'drizzle')) return inFolder(from, 'plugins/store/postgres');
        // where a wire format is spoken
        if (inFolder(target, 'proto/gen')) return inFolder(from, 'plugins/channels/email/emailservice');
        return inFolder(target, 'src/core') || target === 'src/config.ts' || inFolder(target, own);
      }),
      [],
    );
  });

  it('nothing imports Drizzle or pg but the tables, the Postgres store and the Postgres backplane', () => {
    const isDrizzle = (t: string) => packageOf(t) === 'drizzle-orm' || t === 'pg';
    for (const folder of ['src', 'plugins', 'routes'])
      assert.deepEqual(
        violations(
          folder,
          (t, from) =>
            !isDrizzle(t) ||
            inFolder(from, 'plugins/store/postgres') ||
            (t === 'pg' && inFolder(from, 'plugins/backplane/postgres')),
        ),
        [],
      );
  });

  it('the tables import Drizzle, pg and each other', () => {
    const allowed = (t: string) =>
      inFolder(t, 'drizzle') || t.startsWith('node:') || ['drizzle-orm', 'pg'].includes(packageOf(t));
    assert.deepEqual(violations('drizzle', allowed), []);
  });

  it('a route imports the core and other routes, and plugins only for their types', () => {
    const types = (from: string) =>
      readFileSync(join(root, from), 'utf8')
        .match(/^import type .*$/gm)
        ?.join('\n') ?? '';
    assert.deepEqual(
      violations('routes', (target, from) => {
        if (!isOurs(target) || inFolder(target, 'src/core') || inFolder(target, 'routes')) return true;
        if (inFolder(target, 'proto/gen'))
          return inFolder(from, 'routes/rpc') || inFolder(from, 'routes/events');
        return inFolder(target, 'plugins') && types(from).includes(target.replace(/^plugins\//, ''));
      }),
      [],
    );
  });

  it('only main and tests import the composition root', () => {
    const from = [...imports].filter(([, targets]) => targets.includes('src/app.ts')).map(([path]) => path);
    assert.deepEqual(from, ['src/main.ts']);
    const parts = [...imports].filter(([, targets]) => targets.some((t) => inFolder(t, 'src/app')));
    assert.deepEqual(
      parts.map(([path]) => path).filter((path) => path !== 'src/app.ts' && !inFolder(path, 'src/app')),
      [],
    );
  });

  it('every package that is imported is a dependency, and every dependency is imported', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const used = new Set(
      [...imports.values()]
        .flat()
        .filter((t) => !isOurs(t) && !t.startsWith('node:'))
        .map(packageOf),
    );
    assert.deepEqual([...used].sort(), Object.keys(manifest.dependencies).sort());
  });

  it('no import leads back to its own file', () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const walk = (path: string, trail: readonly string[]): void => {
      const start = trail.indexOf(path);
      if (start >= 0) {
        circles.push([...trail.slice(start), path].join(' → '));
        return;
      }
      if (done.has(path)) return;
      for (const target of imports.get(path) ?? []) if (imports.has(target)) walk(target, [...trail, path]);
      done.add(path);
    };
    for (const path of imports.keys()) walk(path, []);
    assert.deepEqual(circles, []);
  });
});
