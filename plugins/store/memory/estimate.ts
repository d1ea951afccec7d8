import type { Address, Recipient } from '../../../src/core/addresses.ts';
import type { Content } from '../../../src/core/glossary.ts';
import type { NewDevice, NewNotification } from '../../../src/core/store.ts';

/** A row's objects, two map entries and its places in the lists, without deliveries and texts. */
const rowBytes = 1_024;
const deliveryBytes = 256;
const deviceBytes = 512;
const recipientBytes = 512;
const deadAddressBytes = 512;

/** What a user costs before the first row; it stays when all rows have gone, since positions must not start again. */
export const inboxBytes = 1_024;

/**
 * What storing a row may take, in bytes: an upper estimate. Texts count two bytes a UTF-16 unit, the most V8 needs,
 * and count once per row although the rows of one call share them. It reads lengths only, whatever the size.
 */
export function estimateRowBytes(row: NewNotification): number {
  return (
    rowBytes +
    deliveryBytes * row.deliveries.length +
    2 * textUnits(row.content) +
    estimateDestinationBytes(row.deliveries)
  );
}

/** The length of all texts of a content together, in UTF-16 units. */
export function textUnits(content: Content): number {
  let units =
    content.notificationId.length +
    content.type.length +
    content.subjectRef.length +
    content.subjectType.length +
    content.title.length +
    content.body.length +
    (content.data?.length ?? 0) +
    (content.actionUrl?.length ?? 0) +
    (content.iconUrl?.length ?? 0);
  for (const action of content.actions) units += action.label.length + action.url.length;
  return units;
}

/** The part of a row's estimate that its deliveries' destinations take. */
export function estimateDestinationBytes(deliveries: readonly { readonly destination: string }[]): number {
  return deliveries.reduce((sum, { destination }) => sum + 2 * destination.length, 0);
}

/** The same for a device. */
export function estimateDeviceBytes(device: Pick<NewDevice, 'userId' | 'deviceId' | 'token'>): number {
  return deviceBytes + 2 * (device.userId.length + device.deviceId.length + device.token.length);
}

/** The same for a record. */
export function estimateRecipientBytes(recipient: Recipient): number {
  const { userId, addresses, locale, timeZone, attributes } = recipient;
  let units = userId.length + locale.length + timeZone.length + (attributes?.length ?? 0);
  for (const address of Object.values(addresses)) units += address.length;
  return recipientBytes + 2 * units;
}

/** The same for a mark of a dead address. */
export const estimateDeadAddressBytes = ({ address }: Address): number =>
  deadAddressBytes + 2 * address.length;
