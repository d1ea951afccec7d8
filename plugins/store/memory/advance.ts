import type { EpochMs, UserKey } from '../../../src/core/glossary.ts';
import type { Advanced, InboxMoved } from '../../../src/core/outbox.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { expiryLookMs } from '../deliveries.ts';
import type { Row } from './row.ts';
import { replaceDelivery } from './row-deliveries.ts';
import { isExpiring } from './row-order.ts';
import { stopped, withoutInApp } from './suppression.ts';
import type { ItemRef, Tables } from './tables.ts';
import type { UserInbox } from './user-inbox.ts';

/** What moved in each user's inbox, by the user's key. */
type Moved = Map<string, { owner: UserKey; appeared: string[]; removed: string[] }>;

/** Does what is due with items themselves, see Outbox.advanceItems. */
export function advanceItems(tables: Tables, limit: number): Advanced {
  const { dueItems } = tables;
  const nowMs = BigInt(tables.clock.now());
  const moved: Moved = new Map();
  for (let done = 0; done < limit; done++) {
    const first = dueItems.first();
    if (first === undefined || first.dueAtMs > nowMs) break;
    advanceItem(tables, first.item, nowMs, moved);
  }
  const changes = [...moved.values()].map(({ owner, appeared, removed }): InboxMoved => {
    const inbox = tables.inboxes.get(owner);
    return {
      ...owner,
      appeared: appeared.flatMap((id) => {
        const row = inbox?.row(id);
        return inbox && row ? [inbox.show(row)] : [];
      }),
      removedIds: removed,
      summary: tables.summary(inbox),
    };
  });
  const next = dueItems.first()?.dueAtMs ?? 0n;
  return {
    changes,
    more: next !== 0n && next <= nowMs,
    nextDueInMs: next > nowMs ? Number(next - nowMs) : undefined,
  };
}

function advanceItem(tables: Tables, { owner, id }: ItemRef, nowMs: EpochMs, moved: Moved): void {
  const inbox = tables.inboxes.get(owner);
  const row = inbox?.row(id);
  if (inbox === undefined || row === undefined) {
    tables.dueItems.set(id, { owner, id }, 0n);
    return;
  }
  const isUnderWay = isOver(row, nowMs) && expireDeliveries(tables, inbox, row);
  const change = moveItem(inbox, row, nowMs);
  const now = inbox.row(id);
  // it comes up once more, for the deliveries that were under way
  if (isUnderWay && now !== undefined) now.dueAtMs = nowMs + BigInt(expiryLookMs);
  tables.schedule(now);
  if (change === undefined) return;
  const key = userKey(owner);
  const of = moved.get(key) ?? { owner, appeared: [], removed: [] };
  moved.set(key, of);
  (change === 'appeared' ? of.appeared : of.removed).push(id);
}

const isOver = ({ content: { expiresAtMs } }: Row, nowMs: EpochMs): boolean =>
  expiresAtMs !== 0n && expiresAtMs <= nowMs;

/** What is under way is not stopped. @returns whether something is */
function expireDeliveries({ outbox }: Tables, inbox: UserInbox, row: Row): boolean {
  let isUnderWay = false;
  for (const delivery of row.deliveries) {
    if (delivery.channel === 'in_app' || delivery.status !== 'pending') continue;
    if (outbox.isLeased(delivery.id)) {
      isUnderWay = true;
      continue;
    }
    const expired = stopped(delivery, 'expired');
    replaceDelivery(inbox, row, expired);
    outbox.settle(expired);
  }
  return isUnderWay;
}

/** Has an item appear, come back or expire. @returns whether it appeared or left the inbox */
function moveItem(inbox: UserInbox, row: Row, nowMs: EpochMs): 'appeared' | 'left' | undefined {
  if (row.dueAtMs === 0n || row.dueAtMs > nowMs) return undefined;
  const { expiresAtMs } = row.content;
  const over = isOver(row, nowMs);
  const status = row.inApp?.status;
  const isAgain = over && row.position !== 0 && row.dueAtMs > expiresAtMs;
  row.dueAtMs = 0n;
  if (isAgain) return undefined;
  if (row.deletedAtMs !== 0n || (status === 'suppressed' && row.position === 0)) {
    inbox.settle(row);
    return undefined;
  }
  if (row.position !== 0) {
    if (!over) row.dueAtMs = expiresAtMs;
    // the lazy look was faster: the streams have not been told
    if (status === 'suppressed') return 'left';
    if (!over || !isExpiring(row)) return undefined;
    inbox.setDeliveries(row, withoutInApp(row.deliveries, 'expired'));
    return 'left';
  }
  if (over && (status === 'pending' || (status === undefined && row.snoozedUntilMs === 0n))) {
    inbox.setDeliveries(row, withoutInApp(row.deliveries, 'expired'), false);
    return undefined;
  }
  inbox.appear(row);
  inbox.countChange();
  return 'appeared';
}
