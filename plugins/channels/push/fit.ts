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
  const withBody = (of: PushContent) => longest(content.body, (body) => fits({ ...of, body }));
  const body = withBody(content);
  if (body !== undefined) return { ...content, body };

  const { url } = content.data;
  const bare = { title: content.title, body: '', data: url === undefined ? {} : { url } };
  const bodyBeside = withBody(bare);
  if (bodyBeside !== undefined) return { ...bare, body: bodyBeside };
  const title = longest(content.title, (tried) => fits({ ...bare, title: tried }));
  if (title !== undefined) return { ...bare, title };
  const last = longest(content.title, (tried) => fits({ title: tried, body: '', data: {} }));
  return { title: last ?? '', body: '', data: {} };
}

/** The longest beginning of a text, in whole characters, that a condition still holds for; undefined: not even none of it. */
function longest(text: string, holds: (beginning: string) => boolean): string | undefined {
  if (!holds('')) return undefined;
  let fits = 0;
  let tooLong = text.length + 1;
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (holds(beginning(text, middle))) fits = middle;
    else tooLong = middle;
  }
  return beginning(text, fits);
}

/** The first code units of a text, without the first half of a character. */
function beginning(text: string, length: number): string {
  const isParted = /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(Math.max(0, length - 1), length + 1));
  return text.slice(0, isParted ? length - 1 : length);
}
