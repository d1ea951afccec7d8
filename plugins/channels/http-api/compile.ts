import { codes, DeliveryError } from '../../../src/core/channel.ts';
import { noJson, readBody } from './body.ts';
import type { Definition } from './definition.ts';
import { type Complain, type Environment, TemplateReader } from './reader.ts';
import { refusal } from './refusal.ts';
import { bareSample, fullSample, nobody } from './samples.ts';
import { type Template, TemplateError, type Values } from './template.ts';
import { readUrl } from './url.ts';

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
  /** Whether a destination is one by its form. */
  takes(destination: string): boolean;
  /**
   * The request for a message.
   * @param values without env
   * @throws DeliveryError for good, where the destination or the message cannot be sent by it
   */
  prepare(values: Values): PreparedRequest;
  /** The request that sends nothing; undefined where the definition has none. */
  readonly check: PreparedRequest | undefined;
}

/**
 * Reads a definition's templates and checks what can be checked before there is a message.
 * @param env what templates may read as env; nothing else of the environment
 * @returns undefined where something is wrong; all of it has been told then
 */
export function compile(definition: Definition, env: Environment, complain: Complain): Compiled | undefined {
  const reader = new TemplateReader(env, complain);
  const url = readUrl('url', definition.url, reader);
  const checkUrl = definition.check && readUrl('check.url', definition.check.url, reader);
  const query = Object.entries(definition.query).map(
    ([name, text]) => [name, reader.read(`query.${name}`, text, 'text')] as const,
  );
  const headers = Object.entries(definition.headers).map(
    ([name, text]) => [name.toLowerCase(), reader.read(`headers.${name}`, text, 'header')] as const,
  );
  const body = readBody(definition.body, reader);
  if (definition.method === 'GET' && body !== undefined)
    reader.wrong('body', 'a GET has none; use query, or another method');
  if (definition.check !== undefined && checkUrl === undefined)
    reader.wrong('check.url', 'must not be the destination: a check has none');
  const pattern = readPattern(definition.destination, reader);
  if (reader.isWrong) return undefined;

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
      if (error instanceof TemplateError)
        throw refusal(codes.messageRefused, `a template of this provider ${error.message}`);
      throw error;
    }
  };
  const isUrl = url === undefined && pattern === undefined;
  const takes = (destination: string): boolean =>
    isUrl ? destination.includes('://') : (pattern?.test(destination) ?? true);
  const check = (): PreparedRequest | undefined => {
    if (definition.check === undefined) return undefined;
    const values = { ...nobody, env };
    return {
      method: definition.check.method,
      url: checkUrl?.(values),
      query: [],
      headers: { 'user-agent': 'notify', ...headersOf(headers, values) },
      body: undefined,
    };
  };
  tryOut(definition, render, reader);
  if (reader.isWrong) return undefined;
  return {
    definition,
    isDestination: url === undefined,
    variables: reader.variables,
    check: check(),
    takes,
    prepare(values) {
      if (!isUrl && !takes(String(values.destination)))
        throw refusal(codes.invalidDestination, 'the destination is none that this provider sends to');
      return render(values);
    },
  };
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

function readPattern(text: string | undefined, reader: TemplateReader): RegExp | undefined {
  if (text === undefined) return undefined;
  try {
    return new RegExp(`^(?:${text})$`, 'u');
  } catch {
    reader.wrong('destination', 'is no regular expression of JavaScript with the flag u');
    return undefined;
  }
}

/** Renders two messages: one of signs that break what is not escaped, one that says next to nothing. */
function tryOut(
  definition: Definition,
  render: (values: Values) => PreparedRequest,
  reader: TemplateReader,
): void {
  for (const [sample, what] of [
    [fullSample, 'with quotes and line breaks in its texts'],
    [bareSample, 'without action_url, data and body'],
  ] as const) {
    try {
      render(sample);
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      const inBody = definition.body?.template === undefined ? 'body' : 'body.template';
      const place = error.code === codes.invalidDestination ? 'url' : inBody;
      const hint = '; put every {{ … }} between quotes, and a comma only where a member follows';
      const isBroken = error.message.endsWith(noJson);
      reader.wrong(place, isBroken ? `makes no JSON of a message ${what}${hint}` : error.message);
      return;
    }
  }
}
