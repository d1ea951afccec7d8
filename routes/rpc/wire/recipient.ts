import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import type {
  DeadAddressSchema,
  RecipientSchema,
  Recipient as WireRecipient,
} from '../../../proto/gen/notify/v1/recipient_pb.ts';
import type { DeadAddress, Recipient } from '../../../src/core/addresses.ts';
import type { RecipientDraft } from '../../../src/core/recipients/command.ts';
import { channelToWire } from './enums.ts';

/** A record in the core's words. */
export const recipientFromWire = (recipient: WireRecipient): RecipientDraft => ({
  userId: recipient.userId,
  addresses: recipient.addresses,
  locale: recipient.locale,
  timeZone: recipient.timeZone,
  attributes: recipient.attributes === undefined ? undefined : JSON.stringify(recipient.attributes),
});

/** A record as protobuf. */
export const recipientToWire = (recipient: Recipient): MessageInitShape<typeof RecipientSchema> => ({
  userId: recipient.userId,
  addresses: { ...recipient.addresses },
  locale: recipient.locale,
  timeZone: recipient.timeZone,
  ...(recipient.attributes !== undefined && { attributes: JSON.parse(recipient.attributes) as JsonObject }),
});

/** A dead address as protobuf. */
export const deadAddressToWire = (dead: DeadAddress): MessageInitShape<typeof DeadAddressSchema> => ({
  channel: channelToWire[dead.channel],
  address: dead.address,
  reason: dead.reason,
  deadAtMs: dead.atMs,
});
