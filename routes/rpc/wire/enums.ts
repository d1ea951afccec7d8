import {
  DeliveryChannel,
  DeliveryStatus,
  DeviceType as WireDeviceType,
  Urgency as WireUrgency,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import type {
  Channel,
  DeliveryStatus as CoreDeliveryStatus,
  DeviceType,
  Urgency,
} from '../../../src/core/glossary.ts';
import type { WireStatus } from '../../../src/core/status.ts';

export const channelToWire: Record<Channel, DeliveryChannel> = {
  in_app: DeliveryChannel.IN_APP,
  email: DeliveryChannel.EMAIL,
  web_push: DeliveryChannel.WEB_PUSH,
  mobile_push: DeliveryChannel.MOBILE_PUSH,
  sms: DeliveryChannel.SMS,
  whatsapp: DeliveryChannel.WHATSAPP,
  webhook: DeliveryChannel.WEBHOOK,
  chat: DeliveryChannel.CHAT,
};

export const statusToWire: Record<WireStatus, DeliveryStatus> = {
  pending: DeliveryStatus.PENDING,
  delivered: DeliveryStatus.DELIVERED,
  acked: DeliveryStatus.ACKED,
  read: DeliveryStatus.READ,
  failed: DeliveryStatus.FAILED,
  suppressed: DeliveryStatus.SUPPRESSED,
};

export const urgencyToWire: Record<Urgency, WireUrgency> = {
  low: WireUrgency.LOW,
  normal: WireUrgency.NORMAL,
  high: WireUrgency.HIGH,
  critical: WireUrgency.CRITICAL,
};

const reverse = <Word extends string, Wire extends number>(
  table: Record<Word, Wire>,
): ReadonlyMap<Wire, Word> =>
  new Map((Object.entries(table) as [Word, Wire][]).map(([word, wire]) => [wire, word]));

/** Unknown numbers and UNSPECIFIED are not in these. */
export const channelFromWire = reverse(channelToWire);
/** Without READ, which no delivery is. */
export const deliveryStatusFromWire: ReadonlyMap<DeliveryStatus, CoreDeliveryStatus> = new Map(
  (['pending', 'delivered', 'acked', 'failed', 'suppressed'] as const).map((status) => [
    statusToWire[status],
    status,
  ]),
);
export const urgencyFromWire = reverse(urgencyToWire);
export const deviceTypeFromWire: ReadonlyMap<WireDeviceType, DeviceType> = new Map([
  [WireDeviceType.BROWSER, 'browser'],
  [WireDeviceType.ANDROID, 'android'],
  [WireDeviceType.IOS, 'ios'],
]);
