import { Drop, Liquid, LiquidError } from 'liquidjs';
import { cutTo } from '../text/beginning.ts';

/** What a template's output becomes a part of: it decides how values are escaped. */
export type Format = 'json' | 'xml' | 'text' | 'url' | 'header' | 'jsonString';

/** Values by name, as templates see them. */
export type Values = Readonly<Record<string, unknown>>;

/** A template cannot be read, or not rendered. The message quotes no value. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

/** One template, read. */
export interface Template {
  /** @throws TemplateError where it needs too much time or memory */
  render(values: Values): string;
  /** What it reads, each as a path; a part that is computed is undefined. */
  readonly reads: readonly (readonly (string | undefined)[])[];
}

/** What may happen in a template: decisions, loops, names. No other files; and nothing that prints past the escaping, or twice through it. */
const tags = new Set([
  ...['assign', 'break', 'case', 'comment', 'continue', 'for', 'if', 'liquid', 'raw', 'unless', '#'],
]);

/** In characters of all templates of one parse. */
const longestTemplate = 100_000;
/** In milliseconds. */
const longestRendering = 1_000;
/** In characters, roughly, that filters and loops make: a body of 1 MiB goes through a dozen of them. */
const mostMemory = 50_000_000;

const escapes: Readonly<Record<Format, (text: string) => string>> = {
  json: jsonEscaped,
  xml: (text) =>
    text
      .replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)
      // XML 1.0 §2.2 has no form for these
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are meant
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, ''),
  text: (text) => text,
  // RFC 3986 §3.3: these two need none in a path or a query, and a bot's token has one
  url: (text) => encodeURIComponent(text).replaceAll(/%3A|%40/g, decodeURIComponent),
  header: (text) => text.replaceAll(/\p{Cc}+/gu, ' '),
  // put into JSON by whoever renders it
  jsonString: (text) => text,
};

/** The bytes that a text takes in a body of the format, escapes included. */
const bytesOf = (format: Format, text: string): number =>
  Buffer.byteLength(format === 'jsonString' ? jsonEscaped(text) : escapes[format](text));

const engines = new Map<Format, Liquid>();

/**
 * Reads a Liquid template whose values are escaped for a format, unless they go through `raw`. Filters beside Liquid's own:
 * `cut: n` keeps n characters (UTF-16 code units) of a text, `cut_bytes: n` what fits n bytes of the body, `mrkdwn: n` is Slack's
 * escaping with at most n characters.
 * @throws TemplateError
 */
export function templateOf(text: string, format: Format): Template {
  const engine = engines.get(format) ?? engineOf(format);
  engines.set(format, engine);
  return readBy(engine, text);
}

function readBy(engine: Liquid, text: string): Template {
  try {
    const parsed = engine.parse(text);
    const reads = engine
      .globalVariableSegmentsSync(parsed)
      .map((path) => path.map((part) => (typeof part === 'string' ? part : undefined)));
    return {
      reads,
      render(values) {
        try {
          return String(engine.renderSync(parsed, values));
        } catch (error) {
          throw notRendered(error);
        }
      },
    };
  } catch (error) {
    throw notRead(error);
  }
}

/** In the library's words, which quote the template at most: of that, names alone are kept. */
function notRead(error: unknown): unknown {
  if (!(error instanceof LiquidError)) return error;
  const [line = ''] = error.message.split('\n');
  return new TemplateError(`is no Liquid template: ${line.replaceAll(/"(?![\w#-]{1,40}")[^"]*"/g, '"…"')}`);
}

/** In words of ours: a filter's may quote a value. */
function notRendered(error: unknown): unknown {
  if (!(error instanceof LiquidError)) return error;
  if (error.originalError instanceof TemplateError) return error.originalError;
  if (/limit exceeded/.test(error.message))
    return new TemplateError('needs more time or memory than a template may');
  return new TemplateError('has a filter that fails for the values of this message');
}

function engineOf(format: Format): Liquid {
  const engine = new Liquid({
    outputEscape: (value) => escapes[format](textOf(value)),
    strictFilters: true,
    ownPropertyOnly: true,
    // in the place of the file system
    templates: {},
    parseLimit: longestTemplate,
    renderLimit: longestRendering,
    memoryLimit: mostMemory,
  });
  for (const tag of Object.keys(engine.tags)) if (!tags.has(tag)) delete engine.tags[tag];
  const limit = (value: unknown) => {
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    throw new TemplateError('has a filter that cuts whose limit is no whole number above 0');
  };
  engine.registerFilter('cut', (value, most) => cutTo(textOf(value), limit(most), (text) => text.length));
  engine.registerFilter('cut_bytes', (value, most) =>
    cutTo(textOf(value), limit(most), (text) => bytesOf(format, text)),
  );
  engine.registerFilter('mrkdwn', (value, most) =>
    mrkdwn(cutTo(textOf(value), limit(most), (text) => mrkdwn(text).length)),
  );
  return engine;
}

/** Slack's escaping (docs.slack.dev, "Formatting message text"): these three alone. */
const mrkdwn = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function jsonEscaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** A value as text: a list or an object is its JSON, what is not there is nothing. */
function textOf(value: unknown): string {
  const plain: unknown = value instanceof Drop ? value.valueOf() : value;
  if (plain === undefined || plain === null) return '';
  return typeof plain === 'object' ? JSON.stringify(plain) : String(plain);
}
