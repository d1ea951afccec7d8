import type { z } from 'zod';
import type { Channel } from '../core/glossary.ts';

/** What a version may lack. A variable that belongs to one of these is refused where it is not built. */
export const features = [
  'console',
  'http_providers',
  'jwks',
  'plugins',
  'rate_limits',
  'redis',
  'retention',
  'retry',
  'sandbox',
  'send_rates',
  'templates_dir',
  'webhook',
  'workers',
] as const;
export type Feature = (typeof features)[number];

/** The channels whose providers are named by a variable. Webhook has one way to send and in_app none. */
export type ProviderChannel = Exclude<Channel, 'in_app' | 'webhook'>;

/** One environment variable: a leaf of the schema. */
export interface Variable<T> {
  readonly kind: 'variable';
  readonly name: string;
  readonly type: z.ZodType<T, string>;
  /**
   * Read in place of an unset variable. Without one an unset variable is undefined, or refused if required.
   */
  readonly default?: string;
  readonly required?: boolean;
  /** Where the value comes from while the variable is unset, and how it is found in that variable's text. */
  readonly source?: { readonly name: string; readonly pick: (text: string) => string | undefined };
  readonly feature?: Feature;
  readonly choice?: Choice;
  /** Read in its place where it is set: this block's alone, while other blocks read the variable too. */
  readonly own?: string;
}

/** A store driver or a channel's provider; without a name any provider of the channel. */
export interface Choice {
  readonly of: 'store' | ProviderChannel;
  readonly name?: string;
}

/** Settings that are read, checked and present only where their driver or provider is chosen. */
export interface Block<S> {
  readonly kind: 'block';
  readonly choice: Choice;
  readonly settings: S;
}

export interface Settings {
  readonly [key: string]: Variable<unknown> | Block<Settings> | Settings;
}

/** The values that a tree of settings stands for. */
export type Values<S> =
  S extends Variable<infer T>
    ? T
    : S extends Block<infer Inner>
      ? Values<Inner> | undefined
      : { readonly [K in keyof S]: Values<S[K]> };

/** The same while there may be violations: what could not be read is undefined. */
export type Draft<S> =
  S extends Variable<infer T>
    ? T | undefined
    : S extends Block<infer Inner>
      ? Draft<Inner> | undefined
      : { readonly [K in keyof S]: Draft<S[K]> };

/** Narrows when a variable counts: with this feature only, or while this choice is made only. */
interface Limits {
  readonly feature?: Feature;
  readonly choice?: Choice;
}

/** A variable with a default, written as the variable would be. */
export function setting<T>(
  name: string,
  type: z.ZodType<T, string>,
  fallback: string,
  limits: Limits = {},
): Variable<T> {
  return { kind: 'variable', name, type, default: fallback, ...limits };
}

/** A variable that may be unset. */
export function optional<T>(
  name: string,
  type: z.ZodType<T, string>,
  limits: Limits = {},
): Variable<T | undefined> {
  return { kind: 'variable', name, type: type as z.ZodType<T | undefined, string>, ...limits };
}

/** A variable that must be set wherever its block is read. */
export function required<T>(name: string, type: z.ZodType<T, string>): Variable<T> {
  return { kind: 'variable', name, type, required: true };
}

/** A variable that another one's text answers for while it is unset. Stands behind that one in the schema. */
export function derived<T>(
  name: string,
  type: z.ZodType<T, string>,
  source: string,
  pick: (text: string) => string | undefined,
): Variable<T> {
  return { kind: 'variable', name, type, required: true, source: { name: source, pick } };
}

/**
 * A variable that several providers of a channel read, with one that this provider alone reads: `NOTIFY_EMAIL_API_KEY`, and
 * `NOTIFY_EMAIL_SES_API_KEY`.
 */
export function shared<T>(provider: string, variable: Variable<T>): Variable<T> {
  const own = variable.name.replace(/^NOTIFY_[A-Z]+_/, (channel) => `${channel}${provider.toUpperCase()}_`);
  return { ...variable, own };
}

/** Settings of one driver or provider. */
export function block<S extends Settings>(of: Choice['of'], name: string | undefined, settings: S): Block<S> {
  return { kind: 'block', choice: name === undefined ? { of } : { of, name }, settings };
}

export function isVariable(node: Settings[string]): node is Variable<unknown> {
  return node.kind === 'variable';
}

export function isBlock(node: Settings[string]): node is Block<Settings> {
  return node.kind === 'block';
}

/** The blocks of a tree of settings, those within others included. */
export function* blocksOf(settings: Settings): Generator<Block<Settings>> {
  for (const node of Object.values(settings)) {
    if (isVariable(node)) continue;
    if (isBlock(node)) yield node;
    yield* blocksOf(isBlock(node) ? node.settings : node);
  }
}

/** Every variable of a tree of settings; one that several blocks share comes several times. */
export function* variablesOf(settings: Settings): Generator<Variable<unknown>> {
  for (const node of Object.values(settings)) {
    if (isVariable(node)) {
      yield node;
      if (node.own !== undefined) yield { ...node, name: node.own };
    } else yield* variablesOf(isBlock(node) ? node.settings : node);
  }
}
