/** The longest beginning of a text, in whole characters, that a condition still holds for; undefined: not even none of it. */
export function longestBeginning(text: string, holds: (beginning: string) => boolean): string | undefined {
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

const ellipsis = '…';

/**
 * A text that is at most so large, measured as its destination measures it. What is cut off is told by an ellipsis.
 * @param size of a text; it may not shrink when the text grows, and is at least the number of UTF-16 code units
 */
export function cutTo(text: string, limit: number, size: (text: string) => number): string {
  if (text.length <= limit && size(text) <= limit) return text;
  const fits = (kept: string) => size(kept + ellipsis) <= limit;
  const kept = longestBeginning(text.slice(0, limit), fits);
  return kept === undefined ? '' : kept + ellipsis;
}

/** The first code units of a text, without the first half of a character. */
function beginning(text: string, length: number): string {
  const isParted = /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(Math.max(0, length - 1), length + 1));
  return text.slice(0, isParted ? length - 1 : length);
}
