import type { Content } from '../../../../src/core/glossary.ts';
import { fit, type PushContent } from '../../push/fit.ts';
import { textData } from '../../push/text-data.ts';
import { timeToLiveSeconds } from '../../push/time-to-live.ts';

/** firebase.google.com/docs/cloud-messaging: 4,096 bytes. Whether the notification counts is not said, so it does here. */
export const fcmLimitBytes = 4_096;

/** Keys that FCM keeps for itself: a message with one is refused (REST reference, Message.data). */
const reservedKey = /^(from|message_type|gcm(\..*)?|google.*)$/;

/** A message as messages:send takes it (REST v1, projects.messages). */
export function fcmMessage(token: string, content: Content, nowMs: number): object {
  const data = Object.fromEntries(
    Object.entries(textData(content)).filter(([key]) => !reservedKey.test(key)),
  );
  const whole = { title: content.title, body: content.body, data };
  const { title, body, data: kept } = fit(whole, fcmLimitBytes, bytesOf);
  const isLow = content.urgency === 'low';
  const seconds = timeToLiveSeconds(content.expiresAtMs, nowMs);
  return {
    message: {
      token,
      notification: { title, body },
      data: kept,
      android: { priority: isLow ? 'NORMAL' : 'HIGH', ttl: `${seconds}s` },
      apns: {
        headers: {
          'apns-priority': isLow ? '5' : '10',
          'apns-expiration': String(seconds === 0 ? 0 : Math.floor(nowMs / 1000) + seconds),
        },
        payload: { aps: isLow ? {} : { sound: 'default' } },
      },
    },
  };
}

/** Keys and values, as FCM counts, with the notification's texts. */
function bytesOf({ title, body, data }: PushContent): number {
  let sum = Buffer.byteLength(title) + Buffer.byteLength(body);
  for (const [key, value] of Object.entries(data)) sum += Buffer.byteLength(key) + Buffer.byteLength(value);
  return sum;
}
