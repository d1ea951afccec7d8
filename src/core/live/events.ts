import type { InboxSummary, Notification } from '../glossary.ts';

/** What a live stream carries, before any encoding. One object may go to many sessions. */
export type LiveEvent =
  | { readonly kind: 'heartbeat'; readonly timestampMs: number; readonly inboxVersion: number }
  | ItemEvent
  | { readonly kind: 'data_change'; readonly hint: Hint }
  | InboxEvent
  | { readonly kind: 'reset' }
  | { readonly kind: 'end'; readonly reason: EndReason; readonly reconnect: boolean };

export interface ItemEvent {
  readonly kind: 'notification';
  readonly notification: Notification;
  /** No stream had taken the item before: the first to write it out records it as delivered. */
  readonly first: boolean;
}

export interface InboxEvent {
  readonly kind: 'inbox';
  readonly change: InboxNews;
}

/** Why the server ends a stream, as the `end` event says it. */
export type EndReason =
  | 'shutdown'
  | 'max_age'
  | 'token_expired'
  | 'too_many_streams'
  | 'overloaded'
  | 'slow'
  | 'erased';

/** A data-change event. Best effort: repeated until acknowledged, never stored. */
export interface Hint {
  readonly idempotencyKey: string;
  readonly subjectRef: string;
  readonly subjectType: string;
}

/** What changed in an inbox. Ids are left out where there are too many: the client fetches the inbox again. */
export interface InboxNews {
  readonly summary: Pick<InboxSummary, 'unreadCount' | 'unseenCount' | 'version'>;
  readonly readIds?: readonly string[];
  readonly unreadIds?: readonly string[];
  readonly removedIds?: readonly string[];
  /** 0: none. */
  readonly readUpToPosition?: number;
  readonly updated?: readonly Notification[];
}
