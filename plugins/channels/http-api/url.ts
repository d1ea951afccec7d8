import { codes } from '../../../src/core/channel.ts';
import type { TemplateReader } from './reader.ts';
import { refusal } from './refusal.ts';
import type { Values } from './template.ts';

const destinationAlone = /^\{\{-?\s*destination\s*-?\}\}$/;
/** A base that is written out, or one variable of the environment; then what templates may make. */
const fixedHost =
  /^(?:(?<literal>https?:\/\/[^/?#{}\s]+)|\{\{-?\s*env\.(?<variable>\w+)\s*-?\}\})(?<rest>[/?].*)?$/s;
/** WHATWG URL §4.4 takes these for steps up. */
const dotSegment = /\/\.{1,2}(?=[/?]|$)/;

/**
 * Reads where requests go. No value of a message may stand in a host: a URL is the operator's but for what follows the host, or it
 * is the destination alone.
 * @returns undefined where the destination is the URL
 */
export function readUrl(
  place: string,
  text: string,
  reader: TemplateReader,
): ((values: Values) => URL) | undefined {
  if (destinationAlone.test(text)) return undefined;
  const { literal, variable, rest = '' } = fixedHost.exec(text)?.groups ?? {};
  const written = variable === undefined ? literal : reader.variable(place, variable);
  const base = written?.replace(/\/+$/, '') ?? '';
  const template = reader.read(place, rest, 'url');
  const message = wrongBase(base);
  // a variable that is not set has been told
  if (message !== undefined && (variable === undefined || written !== undefined))
    reader.wrong(place, message);
  if (rest.includes('#')) reader.wrong(place, 'must not have a # in it: a fragment is never sent');
  return (values) => {
    const path = template.render(values);
    const url = URL.parse(`${base}${path}`);
    if (url === null || dotSegment.test(path))
      throw refusal(codes.invalidDestination, 'the destination cannot stand in a URL');
    return url;
  };
}

function wrongBase(base: string): string | undefined {
  const parsed = URL.parse(base);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.search !== '' || parsed.hash !== '')
    return 'must begin with http:// or https:// and a host that is written out, or with {{ env.NAME }} that holds them, or be {{ destination }} alone';
  if (parsed.username !== '' || parsed.password !== '')
    return 'must not hold a user or a password; use a header';
  return undefined;
}
