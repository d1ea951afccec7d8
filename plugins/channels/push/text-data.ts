import type { Content } from '../../../src/core/glossary.ts';

/**
 * What an app gets beside the texts: the producer's data as a map of texts, since push services take no others. What is no text
 * comes as JSON. `url` is the action_url where there is one: it is opened on a click.
 */
export function textData({ data, actionUrl }: Content): Record<string, string> {
  const found: [string, string][] = [];
  for (const [key, value] of Object.entries(data === undefined ? {} : (JSON.parse(data) as object)))
    found.push([key, typeof value === 'string' ? value : JSON.stringify(value)]);
  if (actionUrl !== undefined && actionUrl !== '') found.push(['url', actionUrl]);
  return Object.fromEntries(found);
}
