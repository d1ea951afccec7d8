import { invalidArgument } from './errors.ts';

const prefix = 'n1.';

/** An opaque page cursor: the position of the last item on the page. */
export const encodeCursor = (position: number): string =>
  Buffer.from(`${prefix}${position}`).toString('base64url');

/**
 * The position in a cursor; undefined for the empty cursor of a first page.
 * @throws NotifyError invalid_argument for text that no page of ours ended with
 */
export function decodeCursor(cursor: string): number | undefined {
  if (cursor === '') return undefined;
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const position = Number(text.slice(prefix.length));
  if (
    !text.startsWith(prefix) ||
    !Number.isSafeInteger(position) ||
    position < 0 ||
    encodeCursor(position) !== cursor
  )
    throw invalidArgument([
      {
        field: 'cursor',
        description: 'is not one that this service gave; pass next_cursor of the previous page, or nothing',
      },
    ]);
  return position;
}
