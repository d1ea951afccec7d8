import type { StreamStart } from '../../src/core/live/stream-start.ts';

/**
 * Where a stream begins.
 * @param position decimal text, as in an event id; undefined replays what no stream has taken
 */
export function parseStart(position: string | undefined): StreamStart {
  if (position === undefined) return { kind: 'untaken' };
  const number = Number(position);
  return /^\d{1,16}$/.test(position) && Number.isSafeInteger(number)
    ? { kind: 'after', position: number }
    : { kind: 'unreadable' };
}
