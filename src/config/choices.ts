import type { Channel } from '../core/glossary.ts';
import { quote } from './invalid.ts';
import { knownProviders, knownStores, schema, testProvider } from './schema.ts';
import { oneOf } from './types.ts';
import type { Choice, Feature, ProviderChannel, Variable } from './variable.ts';

/** What this version has the code of. The names come from the tables in plugins/. */
export interface Built {
  /** Names of drivers, lower case. */
  readonly stores: readonly string[];
  /** Names of providers by channel, lower case. */
  readonly providers: Readonly<Partial<Record<Channel, readonly string[]>>>;
  readonly features: readonly Feature[];
}

/** The driver and the providers that are named and may be used. */
export type Choices = Readonly<Record<Choice['of'], readonly string[]>>;

/** The text of a variable; undefined while it is unset, empty or blank. */
export type Read = (variable: string) => string | undefined;

export type Refuse = (variable: string, message: string) => void;

const providerChannels = Object.keys(knownProviders) as ProviderChannel[];

/** The names that a variable may take. */
interface Names {
  readonly known: readonly string[];
  readonly built: readonly string[];
  /** Whether a name that is not known may still come from elsewhere. */
  readonly open: boolean;
  /** A name that only dev mode may take. */
  readonly refused?: string;
  /** The word for nothing, where that is a choice. */
  readonly none?: string;
}

/**
 * Which driver and providers are chosen. A name that is not known passes where a module (NOTIFY_PLUGINS), or
 * the file of HTTP providers (NOTIFY_HTTP_PROVIDERS), may still bring it.
 */
export function readChoices(read: Read, built: Built, refuse: Refuse): Choices {
  const modules = read('NOTIFY_PLUGINS') !== undefined;
  const file = read('NOTIFY_HTTP_PROVIDERS') !== undefined;
  const devMode = schema.auth.devMode.type.safeParse(read(schema.auth.devMode.name) ?? 'false');
  // what is neither true nor false is refused where all variables are read
  const production = devMode.data === false ? { refused: testProvider } : {};

  function choose(variable: Variable<unknown>, names: Names): readonly string[] {
    const parsed = variable.type.safeParse(read(variable.name) ?? variable.default ?? '');
    // what is no list of names is refused where all variables are read
    const named = parsed.success ? ([parsed.data].flat() as string[]) : [];
    const wrong = named.map((name) => wrongName(name, names));
    for (const message of wrong) if (message !== undefined) refuse(variable.name, message);
    return named.filter((_, index) => wrong[index] === undefined);
  }

  const providers = providerChannels.map((channel) => {
    const names = {
      known: knownProviders[channel],
      built: built.providers[channel] ?? [],
      open: modules || (file && !channel.endsWith('_push')),
      none: 'none',
      ...production,
    };
    return [channel, choose(schema.providers[channel], names)] as const;
  });
  return {
    store: choose(schema.store.driver, { known: knownStores, built: built.stores, open: modules }),
    ...(Object.fromEntries(providers) as Record<ProviderChannel, readonly string[]>),
  };
}

function wrongName(name: string, names: Names): string | undefined {
  const { known, open, none, refused } = names;
  if (name === refused)
    return `${quote(name)} sends nothing and is for dev mode only; name a real provider or none, or set NOTIFY_AUTH_DEV_MODE=true on your own machine`;
  const built = names.built.filter((one) => one !== refused);
  if (built.includes(name)) return undefined;
  const always = none === undefined ? [] : [none];
  if (known.includes(name)) {
    return `${quote(name)} is not built into this version; use ${oneOf([...always, ...built])}`;
  }
  if (open) return undefined;
  const all = new Set([...always, ...known, ...built]);
  return `${quote(name)} is not known; the known ones are ${[...all].join(', ')}`;
}

/** The variable that makes a choice. */
export function choosing({ of }: Choice): string {
  return of === 'store' ? schema.store.driver.name : schema.providers[of].name;
}
