import type { Notification, UserKey } from '../glossary.ts';
import type { Store } from '../store.ts';
import type { ItemEvent } from './events.ts';
import type { Session } from './session.ts';
import { bufferLimitBytes, replayPage } from './settings.ts';

/**
 * Reads what is new for all sessions of a user, once, and hands it to each.
 * @param sessions all that the user has here
 * @param position up to which there is something new
 */
export async function readOnce(
  store: Pick<Store, 'notificationsSince'>,
  owner: UserKey,
  sessions: readonly Session[],
  position: number,
  itemEvent: (notification: Notification) => ItemEvent,
): Promise<void> {
  const live = sessions.filter(({ isLive }) => isLive);
  const after = Math.min(...live.map(({ sentPosition }) => sentPosition));
  if (live.length > 0 && after < position) {
    const query = { after, limit: replayPage, maxBytes: bufferLimitBytes, untakenAtMs: undefined };
    const page = await store.notificationsSince(owner, query);
    if (!page.isOfAnother) {
      let last = after;
      for (const notification of page.notifications) {
        const event = itemEvent(notification);
        for (const session of live) session.announce(notification.position, event, last);
        last = notification.position;
      }
      if (!page.more) for (const session of live) session.announce(page.through, undefined, last);
    }
  }
  // those that were not ready for it, for which it was too much, or whose inbox is no more, read on by themselves
  for (const session of sessions) session.hear(position);
}
