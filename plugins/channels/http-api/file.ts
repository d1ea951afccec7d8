import { readFile } from 'node:fs/promises';
import { type ParseError, parse, printParseErrorCode } from 'jsonc-parser';
import { z } from 'zod';
import type { Channel } from '../../../src/core/glossary.ts';
import { type Compiled, compile } from './compile.ts';
import { definitionSchema } from './definition.ts';
import type { Complain, Environment } from './reader.ts';

/** One place in the file that is wrong. */
export interface FileViolation {
  /** `providers.acme.errors[0].is`; '' where it is the whole file. */
  readonly path: string;
  readonly message: string;
}

/** The file of NOTIFY_HTTP_PROVIDERS is not usable. The message has one line a violation. */
export class HttpProvidersError extends Error {
  override readonly name = 'HttpProvidersError';
  readonly violations: readonly FileViolation[];

  constructor(violations: readonly FileViolation[]) {
    const heading = violations.length === 1 ? 'one thing is' : `${violations.length} things are`;
    const lines = violations.map(({ path, message }) => `  ${path === '' ? message : `${path}: ${message}`}`);
    super([`NOTIFY_HTTP_PROVIDERS: ${heading} wrong in the file:`, ...lines].join('\n'));
    this.violations = violations;
  }
}

export interface FileRules {
  /** What templates may read as env. */
  readonly env: Environment;
  /** Whether a channel has a provider of that name from elsewhere. */
  isTaken(channel: Channel, name: string): boolean;
}

const fileSchema = z.strictObject({ providers: z.record(z.string(), z.unknown()) });
const nameForm = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** @throws HttpProvidersError with every violation there is, or where the file cannot be read */
export async function readHttpProviders(path: string, rules: FileRules): Promise<Map<string, Compiled>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const word = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new HttpProvidersError([{ path: '', message: `it cannot be read (${word})` }]);
  }
  return httpProvidersOf(text, rules);
}

/** @throws HttpProvidersError with every violation there is */
export function httpProvidersOf(text: string, { env, isTaken }: FileRules): Map<string, Compiled> {
  const json = jsonOf(text);
  const file = fileSchema.safeParse(json);
  const violations = (file.error?.issues ?? []).flatMap((issue) => violationsOf('', issue));
  const providers = (json as { providers?: unknown } | null)?.providers;
  const found = new Map<string, Compiled>();
  for (const [name, written] of Object.entries(typeof providers === 'object' ? (providers ?? {}) : {})) {
    const path = `providers.${name}`;
    const complain: Complain = (place, message) => violations.push({ path: `${path}${place}`, message });
    if (!nameForm.test(name)) complain('', 'a name has lower-case letters, digits, - and _');
    const { data: definition, error } = definitionSchema.safeParse(written);
    violations.push(...(error?.issues ?? []).flatMap((issue) => violationsOf(path, issue)));
    if (definition === undefined) continue;
    for (const channel of definition.channels)
      if (name === 'none' || isTaken(channel, name))
        complain('', `${channel} has a provider of this name already; choose another`);
    const compiled = compile(definition, env, (place, message) => complain(`.${place}`, message));
    if (compiled !== undefined) found.set(name, compiled);
  }
  if (violations.length > 0) throw new HttpProvidersError(violations);
  return found;
}

/** By a parser that says where it is wrong, and quotes nothing. */
function jsonOf(text: string): unknown {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { disallowComments: true });
  const [first] = errors;
  if (first === undefined) return value;
  const before = text.slice(0, first.offset).split('\n');
  const at = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  throw new HttpProvidersError([
    { path: '', message: `it is no JSON: ${printParseErrorCode(first.error)} at ${at}` },
  ]);
}

/** In our own words where zod's would say too little. */
function violationsOf(base: string, issue: z.core.$ZodIssue): FileViolation[] {
  const path = issue.path.reduce<string>(
    (all, key) => (typeof key === 'number' ? `${all}[${key}]` : joined(all, String(key))),
    base,
  );
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: joined(path, key),
      message: 'is not known; remove it, or look for a misspelling',
    }));
  if (issue.code === 'invalid_key')
    return [{ path, message: issue.issues.map(({ message }) => message).join('; ') }];
  if (issue.code === 'invalid_union') {
    // of the alternatives, the one that was understood furthest tells most
    const depth = (issues: readonly z.core.$ZodIssue[]) =>
      Math.max(0, ...issues.map((one) => one.path.length));
    const [best] = [...issue.errors].sort((a, b) => depth(b) - depth(a));
    const inner = best?.[0];
    if (inner !== undefined)
      return violationsOf(base, { ...inner, path: [...issue.path, ...inner.path] } as z.core.$ZodIssue);
  }
  return [{ path, message: issue.message }];
}

const joined = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);
