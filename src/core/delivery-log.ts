import type { Attempt, Channel, Delivery, DeliveryStatus, EpochMs, UserKey } from './glossary.ts';
import type { KeptReceipt } from './receipts/receipt.ts';

/** What an operator looks up about deliveries. A part of every Store. */
export interface DeliveryLog {
  /** Newest notification first, its deliveries in their order. */
  listDeliveries(query: DeliveryQuery): Promise<DeliveryPage>;

  /** One delivery with every attempt. @throws NotifyError not_found */
  getDelivery(tenantId: string, deliveryId: string): Promise<DeliveryRecord>;
}

export interface DeliveryQuery {
  readonly tenantId: string;
  /** '': any, as below. */
  readonly userId: string;
  readonly notificationId: string;
  readonly channel: Channel | undefined;
  readonly status: DeliveryStatus | undefined;
  /** When the notification was accepted; 0n: no bound. The first is inclusive, the second is not. */
  readonly sinceMs: EpochMs;
  readonly untilMs: EpochMs;
  readonly after: DeliveryPlace | undefined;
  /** 1 to 1,000. */
  readonly limit: number;
}

/** Where a page ends: a delivery's notification and its place among the deliveries of that. */
export interface DeliveryPlace {
  readonly id: string;
  readonly ordinal: number;
}

export interface DeliveryPage {
  readonly deliveries: readonly DeliveryRecord[];
  /** Where the next page begins; undefined on the last one. */
  readonly next: DeliveryPlace | undefined;
}

/** A delivery, and whose it is. */
export interface DeliveryRecord extends UserKey {
  /** The notification's id. */
  readonly id: string;
  readonly notificationId: string;
  readonly createdAtMs: EpochMs;
  readonly delivery: Delivery;
  /** Oldest first; of in-app deliveries none are kept. Only getDelivery fills it. */
  readonly log: readonly Attempt[];
  /** Those that changed something, in the order they came. Only getDelivery fills it. */
  readonly receipts: readonly KeptReceipt[];
}
