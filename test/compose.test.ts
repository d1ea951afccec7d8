import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { built } from '../src/app.ts';
import { parseConfig } from '../src/config.ts';

it('compose.yaml configures the service: every variable exists and has a value that is accepted', () => {
  const text = readFileSync(new URL('../compose.yaml', import.meta.url), 'utf8');
  const env = Object.fromEntries(
    [...text.matchAll(/^ +(NOTIFY_[A-Z_]+): "?(.*?)"?$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
  const config = parseConfig(env, built);
  assert.deepEqual(config.unknownVariables, []);
  assert.equal(config.store.driver, 'postgres');
  assert.ok(Object.values(config.providers).every((names) => names.join() === 'test'));
  for (const [variable, port] of Object.entries(config.ports))
    assert.ok(text.includes(`"127.0.0.1:${port}:${port}"`), `the ${variable} port, for this machine alone`);
});
