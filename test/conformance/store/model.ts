import type { DeliveryStatus } from '../../../src/core/glossary.ts';

export type ChangeKind = 'read' | 'unread' | 'archive' | 'unarchive' | 'delete';

/** A notification as the model has it. */
export interface ModelItem {
  readonly key: string;
  readonly id: string;
  readonly type: string;
  /** The in-app delivery's status; undefined where there is none. */
  inApp: DeliveryStatus | undefined;
  readonly hasEmail: boolean;
  readonly expiresAtMs: bigint;
  /** Counted from 1 in the order of becoming visible; 0 for one that never did. */
  readonly n: number;
  read: boolean;
  archived: boolean;
  deleted: boolean;
  /** 0n: no stream took it. */
  takenAtMs: bigint;
}

/** An inbox that keeps no counts and no order: it filters all its items for every answer. */
export class ModelInbox {
  readonly items: ModelItem[] = [];
  newest = 0;
  seen = 0;

  add(item: Pick<ModelItem, 'key' | 'id' | 'type' | 'inApp' | 'hasEmail' | 'expiresAtMs'>): ModelItem {
    const n = item.inApp === 'suppressed' ? 0 : ++this.newest;
    const added = { ...item, n, read: false, archived: false, deleted: false, takenAtMs: 0n };
    this.items.push(added);
    return added;
  }

  /** Everything in the inbox, archived items included, oldest first. */
  get shown(): ModelItem[] {
    return this.items.filter((item) => !item.deleted && item.inApp !== 'suppressed');
  }

  get unread(): ModelItem[] {
    return this.shown.filter((item) => item.inApp !== undefined && !item.read && !item.archived);
  }

  get unseenCount(): number {
    return this.unread.filter((item) => item.n > this.seen).length;
  }

  streamed(after: number, untakenAtMs: bigint | undefined): ModelItem[] {
    return this.shown.filter((item) => {
      if (item.n <= after || item.inApp === undefined || item.archived) return false;
      if (item.inApp === 'pending') return !item.read && item.n > this.seen;
      return untakenAtMs === undefined || (item.takenAtMs !== 0n && item.takenAtMs >= untakenAtMs);
    });
  }

  /** @returns whether the seen position moved */
  see(position: number): boolean {
    const target = Math.min(position, this.newest);
    if (target <= this.seen) return false;
    this.seen = target;
    return true;
  }

  /** @returns whether the item changed */
  change(item: ModelItem, kind: ChangeKind): boolean | 'not_found' {
    if (kind === 'delete' && item.deleted) return false;
    if (!this.shown.includes(item)) return 'not_found';
    const before = { ...item };
    if (kind === 'delete') item.deleted = true;
    else if (kind === 'read' || kind === 'unread') item.read = kind === 'read';
    else item.archived = kind === 'archive';
    return before.deleted !== item.deleted || before.read !== item.read || before.archived !== item.archived;
  }

  /** @returns whether the inbox changed: an item left it */
  outcome(item: ModelItem, status: DeliveryStatus, nowMs: bigint): boolean {
    const moves = item.inApp === 'pending' || (item.inApp === 'delivered' && status === 'acked');
    if (!moves) return false;
    const wasShown = this.shown.includes(item);
    item.inApp = status;
    if ((status === 'delivered' || status === 'acked') && item.takenAtMs === 0n) item.takenAtMs = nowMs;
    return wasShown && !this.shown.includes(item);
  }

  /** @returns whether the inbox changed */
  expire(nowMs: bigint): boolean {
    const due = this.unread.filter(
      (item) => item.inApp === 'pending' && item.expiresAtMs !== 0n && item.expiresAtMs <= nowMs,
    );
    for (const item of due) item.inApp = 'suppressed';
    return due.length > 0;
  }
}
