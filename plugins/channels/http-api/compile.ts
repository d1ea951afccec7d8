import { codes, DeliveryError } from '../../../src/core/channel.ts';
import type { Definition } from './definition.ts';
import { bareSample, fullSample } from './samples.ts';
import { type Format, type Template, TemplateError, templateOf, type Values } from './template.ts';
import { variableNames } from './values.ts';

/** A request, but for who connects. */
export interface PreparedRequest {
  readonly method: Definition['method'];
  /** Undefined: the destination is the URL; `query` is put into it. */
  readonly url: URL | undefined;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** A definition whose templates have been read. */
export interface Compiled {
  readonly definition: Definition;
  /** Whether the destination is the URL that is asked: anybody chose it. */
  readonly isDestination: boolean;
  /** What its templates read of env. */
  readonly variables: ReadonlySet<string>;
  /**
   * The request for a message.
   * @param values without env
   * @throws DeliveryError for good, where the destination or the message cannot be sent by it
   */
  prepare(values: Values): PreparedRequest;
}

/** Collects what is wrong, by the place in the definition: `body.json.text`, `headers.authorization`. */
export type Complain = (place: string, message: string) => void;

const destinationAlone = /^\{\{-?\s*destination\s*-?\}\}$/;
/** A base that is written out, or one variable of the environment; then what templates may make. */
const fixedHost =
  /^(?:(?<literal>https?:\/\/[^/?#{}\s]+)|\{\{-?\s*env\.(?<variable>\w+)\s*-?\}\})(?<rest>[/?].*)?$/s;
/** WHATWG URL §4.4 takes these for steps up. */
const dotSegment = /\/\.{1,2}(?=[/?]|$)/;

const contentTypes = {
  json: 'application/json',
  xml: 'application/xml; charset=utf-8',
  text: 'text/plain; charset=utf-8',
} as const;
const noJson = 'the template of the body makes no JSON of this message';
const formType = 'application/x-www-form-urlencoded';

/**
 * Reads a definition's templates and checks what can be checked before there is a message.
 * @param env what templates may read as env; nothing else of the environment
 * @returns undefined where something is wrong; all of it has been told then
 */
export function compile(
  definition: Definition,
  env: Readonly<Record<string, string>>,
  complain: Complain,
): Compiled | undefined {
  let isWrong = false;
  const variables = new Set<string>();
  const wrong: Complain = (place, message) => {
    isWrong = true;
    complain(place, message);
  };
  const read = (place: string, text: string, format: Format): Template => {
    try {
      const template = templateOf(text, format);
      for (const path of template.reads) {
        const message = wrongRead(path, env);
        if (path[0] === 'env' && path[1] !== undefined) variables.add(path[1]);
        if (message !== undefined) wrong(place, message);
      }
      return template;
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      wrong(place, error.message);
      return nothing;
    }
  };

  const url = readUrl(definition.url, env, read, wrong, variables);
  const query = Object.entries(definition.query).map(
    ([name, text]) => [name, read(`query.${name}`, text, 'text')] as const,
  );
  const headers = Object.entries(definition.headers).map(
    ([name, text]) => [name.toLowerCase(), read(`headers.${name}`, text, 'header')] as const,
  );
  const body = readBody(definition.body, read);
  if (definition.method === 'GET' && body !== undefined)
    wrong('body', 'a GET has none; use query, or another method');
  const pattern = readPattern(definition.destination, wrong);
  if (isWrong) return undefined;

  const render = (message: Values): PreparedRequest => {
    const values = { ...message, env };
    try {
      return {
        method: definition.method,
        url: url?.(values),
        query: query.map(([name, template]) => [name, template.render(values)]),
        headers: { 'user-agent': 'notify', ...body?.headers, ...headersOf(headers, values) },
        body: body?.render(values),
      };
    } catch (error) {
      if (error instanceof TemplateError) throw refusal(codes.messageRefused, `a template ${error.message}`);
      throw error;
    }
  };
  tryOut(definition, render, wrong);
  if (isWrong) return undefined;
  return {
    definition,
    isDestination: url === undefined,
    variables,
    prepare(values) {
      if (pattern !== undefined && !pattern.test(String(values.destination)))
        throw refusal(codes.invalidDestination, 'the destination is none that this provider sends to');
      return render(values);
    },
  };
}

type Read = (place: string, text: string, format: Format) => Template;

const nothing: Template = { reads: [], render: () => '' };

/** Why a template must not read a value; undefined: it may. */
function wrongRead(
  path: Template['reads'][number],
  env: Readonly<Record<string, string>>,
): string | undefined {
  const [root, name] = path;
  if (root === 'env') {
    if (name === undefined || path.length > 2) return 'reads env without naming one variable; write env.NAME';
    return Object.hasOwn(env, name) ? undefined : `reads env.${name}, which is not set or may not be read`;
  }
  if (root !== undefined && (variableNames as readonly string[]).includes(root)) return undefined;
  return `reads ${root ?? 'a computed name'}, which is no variable; there are ${variableNames.join(', ')} and env`;
}

/** @returns undefined where the destination is the URL */
function readUrl(
  text: string,
  env: Readonly<Record<string, string>>,
  read: Read,
  wrong: Complain,
  variables: Set<string>,
): ((values: Values) => URL) | undefined {
  if (destinationAlone.test(text)) return undefined;
  const { literal, variable, rest = '' } = fixedHost.exec(text)?.groups ?? {};
  const base = (literal ?? (variable === undefined ? undefined : env[variable]))?.replace(/\/+$/, '');
  if (variable !== undefined) variables.add(variable);
  const template = read('url', rest, 'url');
  const parsed = base === undefined ? null : URL.parse(base);
  if (variable !== undefined && base === undefined)
    wrong('url', `reads env.${variable}, which is not set or may not be read`);
  else if (
    parsed === null ||
    !/^https?:$/.test(parsed.protocol) ||
    parsed.search !== '' ||
    parsed.hash !== ''
  )
    wrong(
      'url',
      'must begin with http:// or https:// and a host that is written out, or with {{ env.NAME }} that holds them, or be {{ destination }} alone',
    );
  else if (parsed.username !== '' || parsed.password !== '')
    wrong('url', 'must not hold a user or a password; use a header');
  if (rest.includes('#')) wrong('url', 'must not have a # in it: a fragment is never sent');
  return (values) => {
    const path = template.render(values);
    const url = URL.parse(`${base}${path}`);
    if (url === null || dotSegment.test(path))
      throw refusal(codes.invalidDestination, 'the destination cannot stand in a URL');
    return url;
  };
}

interface Body {
  readonly headers: Readonly<Record<string, string>>;
  render(values: Values): string;
}

function readBody(body: Definition['body'], read: Read): Body | undefined {
  if (body === undefined) return undefined;
  if (body.form !== undefined) {
    const fields = Object.entries(body.form).map(
      ([name, text]) => [name, read(`body.form.${name}`, text, 'text')] as const,
    );
    return {
      headers: { 'content-type': formType },
      render: (values) =>
        new URLSearchParams(
          fields.map(([name, template]): [string, string] => [name, template.render(values)]),
        ).toString(),
    };
  }
  if (body.template === undefined) {
    const render = readJson('body.json', body.json, read);
    return {
      headers: { 'content-type': contentTypes.json },
      render: (values) => JSON.stringify(render(values)),
    };
  }
  const format = body.format ?? 'json';
  const template = read('body.template', [body.template].flat().join('\n'), format);
  return {
    headers: { 'content-type': contentTypes[format] },
    render(values) {
      const text = template.render(values);
      if (format === 'json' && !isJson(text)) throw refusal(codes.messageRefused, noJson);
      return text;
    },
  };
}

/** Every text in a JSON value becomes a template; the rest stays as it is. */
function readJson(place: string, value: unknown, read: Read): (values: Values) => unknown {
  if (typeof value === 'string') {
    const template = read(place, value, 'jsonString');
    return (values) => template.render(values);
  }
  if (Array.isArray(value)) {
    const items = value.map((item, i) => readJson(`${place}[${i}]`, item, read));
    return (values) => items.map((item) => item(values));
  }
  if (typeof value !== 'object' || value === null) return () => value;
  const members = Object.entries(value).map(
    ([name, member]) => [name, readJson(`${place}.${name}`, member, read)] as const,
  );
  return (values) => Object.fromEntries(members.map(([name, member]) => [name, member(values)]));
}

/** One that renders to nothing is left out. What is not ASCII goes as UTF-8. */
function headersOf(
  headers: readonly (readonly [string, Template])[],
  values: Values,
): Record<string, string> {
  const rendered = headers.map(([name, template]) => [
    name,
    Buffer.from(template.render(values).trim(), 'utf8').toString('latin1'),
  ]);
  return Object.fromEntries(rendered.filter(([, value]) => value !== '')) as Record<string, string>;
}

function readPattern(text: string | undefined, wrong: Complain): RegExp | undefined {
  if (text === undefined) return undefined;
  try {
    return new RegExp(`^(?:${text})$`, 'u');
  } catch {
    wrong('destination', 'is no regular expression of JavaScript with the flag u');
    return undefined;
  }
}

/** Renders two messages: one of signs that break what is not escaped, one that says next to nothing. */
function tryOut(definition: Definition, render: (values: Values) => PreparedRequest, wrong: Complain): void {
  for (const [sample, what] of [
    [fullSample, 'with quotes and line breaks in its texts'],
    [bareSample, 'without action_url, data and body'],
  ] as const) {
    try {
      render(sample);
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      const place = definition.body?.template === undefined ? 'body' : 'body.template';
      const hint = '; put every {{ … }} between quotes, and a comma only where a member follows';
      const isBroken = error.message.endsWith(noJson);
      wrong(place, isBroken ? `makes no JSON of a message ${what}${hint}` : error.message);
      return;
    }
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const refusal = (code: string, text: string): DeliveryError =>
  new DeliveryError(code, text, { retryable: false });
