import { longestBeginning } from '../text/beginning.ts';

/** What of a notification travels in a push message. */
export interface PushContent {
  readonly title: string;
  readonly body: string;
  readonly data: Readonly<Record<string, string>>;
}

/**
 * Takes away what a push service has no room for, the least needed first: the end of the body, then the data except `url`, then
 * the end of the title, then `url`.
 * @param bytes the size of a message with this content
 */
export function fit(
  content: PushContent,
  limitBytes: number,
  bytes: (content: PushContent) => number,
): PushContent {
  const fits = (tried: PushContent) => bytes(tried) <= limitBytes;
  if (fits(content)) return content;
  const withBody = (of: PushContent) => longestBeginning(content.body, (body) => fits({ ...of, body }));
  const body = withBody(content);
  if (body !== undefined) return { ...content, body };

  const { url } = content.data;
  const bare = { title: content.title, body: '', data: url === undefined ? {} : { url } };
  const bodyBeside = withBody(bare);
  if (bodyBeside !== undefined) return { ...bare, body: bodyBeside };
  const title = longestBeginning(content.title, (tried) => fits({ ...bare, title: tried }));
  if (title !== undefined) return { ...bare, title };
  const last = longestBeginning(content.title, (tried) => fits({ title: tried, body: '', data: {} }));
  return { title: last ?? '', body: '', data: {} };
}
