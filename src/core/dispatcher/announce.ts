import type { LiveHub } from '../live/hub.ts';
import type { InboxMoved } from '../outbox.ts';

/** Tells the live streams what happened to inboxes without their users. */
export function announce(hub: LiveHub, changes: readonly InboxMoved[]): void {
  for (const { tenantId, userId, appeared, removedIds, summary } of changes) {
    for (const notification of appeared) hub.publish(notification);
    if (removedIds.length > 0) hub.inboxChanged({ tenantId, userId }, { summary, removedIds });
  }
}
