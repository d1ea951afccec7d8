import type { Channel, Content, DeliveryStatus, EpochMs, Reason } from '../glossary.ts';

/** What a producer asks for in one call. */
export interface NotifyCommand {
  readonly tenantId: string;
  readonly userIds: readonly string[];
  /** Empty: every channel that has both an active provider and a destination. */
  readonly channels: readonly Channel[];
  /** By user id, then by channel. '' keeps the row and sends nothing. */
  readonly addresses: ReadonlyMap<string, Readonly<Partial<Record<Channel, string>>>>;
  readonly content: Content;
  /** When it goes out; 0n, and what is past: at once. */
  readonly sendAtMs: EpochMs;
  readonly returnResults: boolean;
}

/** Counts per (user, channel), and one result for each where they were asked for. */
export interface NotifyAnswer {
  readonly delivered: number;
  readonly pending: number;
  readonly failed: number;
  readonly suppressed: number;
  readonly results: readonly NotifyResult[];
}

export interface NotifyResult {
  readonly userId: string;
  readonly id: string;
  readonly channel: Channel;
  readonly status: DeliveryStatus;
  readonly reason: Reason;
  readonly created: boolean;
  /** 0n: no attempt is due. */
  readonly dueAtMs: EpochMs;
}

/** What of a notification is not to go out any more. */
export interface CancelCommand {
  readonly tenantId: string;
  readonly notificationId: string;
  /** Empty: everybody who has it. */
  readonly userIds: readonly string[];
  readonly retract: boolean;
}

/** A hint to some users' live sessions. */
export interface DataChangeCommand {
  readonly tenantId: string;
  readonly userIds: readonly string[];
  readonly idempotencyKey: string;
  readonly subjectRef: string;
  readonly subjectType: string;
}
