import type { EpochMs, InboxSummary, UserKey } from '../glossary.ts';
import type { Store } from '../store.ts';
import { bufferLimitBytes } from './settings.ts';

/** Where a stream begins. */
export type StreamStart =
  /** Replay what no stream has taken. */
  | { readonly kind: 'untaken' }
  /** Everything after a position; 0 is from the start. */
  | { readonly kind: 'after'; readonly position: number }
  /** The client named a position that cannot be read: it is told to reset. */
  | { readonly kind: 'unreadable' };

/**
 * The position after which a stream that resumes goes on.
 * @returns undefined where its client has to reset: the position is unreadable, too old, or newer than the newest
 */
export function resumeAfter(
  start: Exclude<StreamStart, { readonly kind: 'untaken' }>,
  { oldestResumable, newestPosition }: InboxSummary,
): number | undefined {
  if (start.kind === 'unreadable') return undefined;
  const { position } = start;
  if (position === 0) return oldestResumable;
  return position < oldestResumable || position > newestPosition ? undefined : position;
}

/** How a stream begins. */
export interface Beginning {
  readonly summary: InboxSummary;
  /** It goes on after this position. */
  readonly position: number;
  /** What was taken before this time is not replayed; undefined: it is. */
  readonly untakenAtMs: EpochMs | undefined;
  readonly isReset: boolean;
}

/** @param openedAtMs what a stream took before this time is not replayed to an `untaken` start */
export async function beginningOf(
  store: Pick<Store, 'inboxSummary' | 'notificationsSince'>,
  owner: UserKey,
  start: StreamStart,
  openedAtMs: EpochMs,
): Promise<Beginning> {
  const summary = await store.inboxSummary(owner);
  if (start.kind === 'untaken') {
    const position = await beforeUntaken(store, owner, openedAtMs);
    return { summary, position, untakenAtMs: openedAtMs, isReset: false };
  }
  const position = resumeAfter(start, summary);
  return {
    summary,
    position: position ?? summary.newestPosition,
    untakenAtMs: undefined,
    isReset: position === undefined,
  };
}

/**
 * Where a stream begins that replays what no other has taken.
 * @param untakenAtMs what was taken later counts as untaken
 * @returns the position before the first such item, or the newest
 */
async function beforeUntaken(
  store: Pick<Store, 'notificationsSince'>,
  owner: UserKey,
  untakenAtMs: EpochMs,
): Promise<number> {
  const query = { after: 0, limit: 1, maxBytes: bufferLimitBytes, untakenAtMs };
  const { notifications, through } = await store.notificationsSince(owner, query);
  return notifications[0] ? notifications[0].position - 1 : through;
}
