import { codes } from '../../../src/core/channel.ts';
import type { Definition } from './definition.ts';
import type { TemplateReader } from './reader.ts';
import { refusal } from './refusal.ts';
import type { Values } from './template.ts';

const contentTypes = {
  json: 'application/json',
  xml: 'application/xml; charset=utf-8',
  text: 'text/plain; charset=utf-8',
} as const;
/** What is said of a message that a template makes no JSON of. */
export const noJson = 'the template of the body makes no JSON of this message';
const formType = 'application/x-www-form-urlencoded';

/** A body before there is a message. */
export interface Body {
  readonly headers: Readonly<Record<string, string>>;
  render(values: Values): string;
}

/** @returns undefined where there is none */
export function readBody(body: Definition['body'], reader: TemplateReader): Body | undefined {
  if (body === undefined) return undefined;
  if (body.form !== undefined) {
    const fields = Object.entries(body.form).map(
      ([name, text]) => [name, reader.read(`body.form.${name}`, text, 'text')] as const,
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
    const render = readJson('body.json', body.json, reader);
    return {
      headers: { 'content-type': contentTypes.json },
      render: (values) => JSON.stringify(render(values)),
    };
  }
  const format = body.format ?? 'json';
  const template = reader.read('body.template', [body.template].flat().join('\n'), format);
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
function readJson(place: string, value: unknown, reader: TemplateReader): (values: Values) => unknown {
  if (typeof value === 'string') {
    const template = reader.read(place, value, 'jsonString');
    return (values) => template.render(values);
  }
  if (Array.isArray(value)) {
    const items = value.map((item, i) => readJson(`${place}[${i}]`, item, reader));
    return (values) => items.map((item) => item(values));
  }
  if (typeof value !== 'object' || value === null) return () => value;
  const members = Object.entries(value).map(
    ([name, member]) => [name, readJson(`${place}.${name}`, member, reader)] as const,
  );
  return (values) => Object.fromEntries(members.map(([name, member]) => [name, member(values)]));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
