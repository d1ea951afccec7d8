import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DeliverySchema } from '../../../proto/gen/notify/v1/delivery_pb.ts';
import type { DeliveryRecord } from '../../../src/core/delivery-log.ts';
import { channelToWire, statusToWire } from './enums.ts';

/** A delivery of the log as protobuf. */
export function deliveryToWire(record: DeliveryRecord): MessageInitShape<typeof DeliverySchema> {
  const { delivery } = record;
  return {
    id: delivery.id,
    userId: record.userId,
    notificationId: record.notificationId,
    itemId: record.id,
    channel: channelToWire[delivery.channel],
    destination: delivery.destination,
    provider: delivery.provider,
    status: statusToWire[delivery.status],
    reason: delivery.reason,
    attemptCount: delivery.attempts,
    providerMessageId: delivery.providerMessageId,
    createdAtMs: record.createdAtMs,
    dueAtMs: delivery.dueAtMs,
    deliveredAtMs: delivery.deliveredAtMs,
    ackAtMs: delivery.ackAtMs,
    attempts: record.log.map((attempt) => ({
      ...attempt,
      durationMs: BigInt(Math.round(attempt.durationMs)),
      status: statusToWire[attempt.status],
    })),
    openedAtMs: delivery.openedAtMs,
    clickedAtMs: delivery.clickedAtMs,
    receipts: [...record.receipts],
  };
}
