import { schema, testProvider } from '../config/schema.ts';
import type { Config } from '../config.ts';

/**
 * What `npm run dev -- --test-providers` adds to an environment: the test provider for every channel whose variable is not
 * set. One that says `none` stays without.
 */
export function testProvidersFor(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const free = Object.values(schema.providers).filter(({ name }) => !env[name]?.trim());
  return Object.fromEntries(free.map(({ name }) => [name, testProvider]));
}

/** The channels that the test provider takes. */
export function channelsOfTestProvider({ providers }: Pick<Config, 'providers'>): string[] {
  return Object.entries(providers)
    .filter(([, names]) => names.includes(testProvider))
    .map(([channel]) => channel);
}
