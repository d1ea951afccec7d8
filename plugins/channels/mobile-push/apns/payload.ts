import type { Content } from '../../../../src/core/glossary.ts';
import { fit, type PushContent } from '../../push/fit.ts';
import { textData } from '../../push/text-data.ts';

/** "Generating a remote notification": 4 KB. */
export const apnsLimitBytes = 4_096;

/** An alert, with the data beside `aps`, where an app finds them as it finds FCM's. */
export function apnsPayload(content: Content): string {
  const { aps: _, ...data } = textData(content);
  const isLow = content.urgency === 'low';
  const text = ({ title, body, data: own }: PushContent) =>
    JSON.stringify({ ...own, aps: { alert: { title, body }, ...(!isLow && { sound: 'default' }) } });
  const whole = { title: content.title, body: content.body, data };
  return text(fit(whole, apnsLimitBytes, (tried) => Buffer.byteLength(text(tried))));
}
