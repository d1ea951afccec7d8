/**
 * The environment's NOTIFY_* variables as a typed Config. The list of variables is config/schema.ts; a
 * variable's own type refuses a wrong text (config/types.ts, config/credentials.ts), config/rules.ts what
 * does not go together, and this file what is missing or not built.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Built, type Choices, choosing, type Read, type Refuse, readChoices } from './config/choices.ts';
import { checkRules } from './config/rules.ts';
import {
  type Config,
  type ConfigDraft,
  httpVariablePrefix,
  schema,
  testProvider,
  variableNames,
} from './config/schema.ts';
import {
  type Block,
  type Choice,
  isBlock,
  isVariable,
  type Settings,
  type Variable,
} from './config/variable.ts';

export type { Built } from './config/choices.ts';
export { parseDuration } from './config/duration.ts';
export { InvalidValue } from './config/invalid.ts';
export { type PostgresDsn, parsePostgresDsn } from './config/postgres-dsn.ts';
export type { Config } from './config/schema.ts';
export { testProvider, variableNames } from './config/schema.ts';
export { type Feature, features } from './config/variable.ts';

/** One variable that is wrong. */
export interface ConfigViolation {
  readonly variable: string;
  /** What is wrong and what to do about it. Quotes no secret. */
  readonly message: string;
}

/** The environment is not usable. The message has one line a violation. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly violations: readonly ConfigViolation[];

  constructor(violations: readonly ConfigViolation[]) {
    const heading =
      violations.length === 1 ? 'one setting is wrong' : `${violations.length} settings are wrong`;
    super([`${heading}:`, ...violations.map((v) => `  ${v.variable}: ${v.message}`)].join('\n'));
    this.violations = violations;
  }
}

/**
 * Reads all variables at once. An empty or blank one is unset; NOTIFY_* names that are not known are
 * collected in `unknownVariables`; other names are not looked at.
 *
 * @param env such as process.env
 * @param built what this version has the code of: other drivers, providers and features are refused by name
 * @returns times in milliseconds, names in lower case
 * @throws ConfigError with every violation there is
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>, built: Built): Config {
  const violations: ConfigViolation[] = [];
  const refuse: Refuse = (variable, message) => {
    // one variable may stand in several blocks
    const said = violations.some((known) => known.variable === variable && known.message === message);
    if (!said) violations.push({ variable, message });
  };
  const read: Read = (variable) => (env[variable]?.trim() ? env[variable] : undefined);

  const choices = readChoices(read, built, refuse);
  const isRefused = (variable: string) => violations.some((known) => known.variable === variable);
  const values = readSettings(schema, { read, built, choices, refuse, isRefused });
  checkRules({
    draft: values as ConfigDraft,
    features: built.features,
    isSet: (variable) => read(variable) !== undefined,
    refuse,
  });
  if (violations.length > 0) throw new ConfigError(violations);

  const unknown = Object.keys(env)
    .filter((name) => name.startsWith('NOTIFY_') && !variableNames.has(name) && read(name) !== undefined)
    .sort();
  const hasFile = (values as Config).httpProvidersFile !== undefined;
  const isHttp = (name: string) => hasFile && name.startsWith(httpVariablePrefix);
  return {
    ...(values as Config),
    unknownVariables: unknown.filter((name) => !isHttp(name)),
    httpVariables: Object.fromEntries(unknown.filter(isHttp).map((name) => [name, env[name] ?? ''])),
  };
}

interface Context {
  readonly read: Read;
  readonly built: Built;
  readonly choices: Choices;
  readonly refuse: Refuse;
  isRefused(variable: string): boolean;
}

/** The tree of values for a tree of settings; undefined where a block is not chosen or a text is refused. */
function readSettings(settings: Settings, context: Context, within?: Choice): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [key, node] of Object.entries(settings)) {
    values[key] = isVariable(node)
      ? readVariable(node, context, within)
      : isBlock(node)
        ? readBlock(node, context)
        : readSettings(node, context, within);
  }
  return values;
}

function readBlock({ choice, settings }: Block<Settings>, context: Context) {
  const { of, name } = choice;
  const chosen = context.choices[of];
  // what every provider of a channel needs, one that sends nothing does not
  const isNeeded = name === undefined ? chosen.some((one) => one !== testProvider) : chosen.includes(name);
  return isNeeded ? readSettings(settings, context, choice) : undefined;
}

function isChosen({ of, name }: Choice, choices: Choices): boolean {
  return name === undefined ? choices[of].length > 0 : choices[of].includes(name);
}

function readVariable(variable: Variable<unknown>, context: Context, within?: Choice): unknown {
  const { type, feature, choice, own } = variable;
  const { read, built, choices, refuse } = context;
  if (choice !== undefined && !isChosen(choice, choices)) return undefined;

  const name = own !== undefined && read(own) !== undefined ? own : variable.name;
  const given = read(name);
  if (given === undefined) return readUnset(variable, context, within);
  const result = type.safeParse(given);
  if (feature !== undefined && !built.features.includes(feature)) {
    // a setting that would be ignored is as good as wrong, unless it says what happens anyway
    const unset = variable.default === undefined ? undefined : type.parse(variable.default);
    if (result.success && unset !== undefined && isDeepStrictEqual(result.data, unset)) return unset;
    const keep = variable.default ? `, or keep ${variable.default}` : '';
    refuse(name, `${feature} is not built into this version; unset it${keep}`);
    return undefined;
  }
  for (const issue of result.error?.issues ?? []) refuse(name, issue.message);
  return result.data;
}

function readUnset(variable: Variable<unknown>, context: Context, within?: Choice): unknown {
  const { name, type, source } = variable;
  const { read, choices, refuse } = context;
  if (variable.default !== undefined) return type.parse(variable.default);
  if (!variable.required) return undefined;
  if (source === undefined) {
    // several blocks may require it; once is enough
    if (context.isRefused(name)) return undefined;
    const chosen = within && `${choosing(within)}=${within.name ?? choices[within.of].join(',')}`;
    refuse(name, chosen === undefined ? 'is required' : `is required for ${chosen}`);
    return undefined;
  }
  const sourceText = context.isRefused(source.name) ? undefined : read(source.name);
  // a source that is missing or wrong has been named itself
  if (sourceText === undefined) return undefined;
  const text = source.pick(sourceText);
  if (text === undefined) refuse(name, `is required, since ${source.name} does not tell it`);
  return type.safeParse(text).data;
}
