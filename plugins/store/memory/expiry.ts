import { withoutInApp } from './suppression.ts';
import type { UserInbox } from './user-inbox.ts';

/** Takes out of an inbox what has expired before a stream took it. Call it before each look at the inbox. */
export function expireItems(inbox: UserInbox, nowMs: number): void {
  let row = inbox.firstExpiring;
  if (row === undefined || row.content.expiresAtMs > nowMs) return;
  while (row !== undefined && row.content.expiresAtMs <= nowMs) {
    inbox.setDeliveries(row, withoutInApp(row.deliveries, 'expired'), false);
    row = inbox.firstExpiring;
  }
  inbox.countChange();
}
