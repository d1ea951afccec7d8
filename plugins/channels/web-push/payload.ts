import type { Content } from '../../../src/core/glossary.ts';
import { fit } from '../push/fit.ts';
import { textData } from '../push/text-data.ts';

/** What is left of the 4,096 bytes that every push service takes, after the header, the tag and the padding (RFC 8291 §4). */
export const payloadLimitBytes = 3_993;

/** What a page's service worker gets: {title, body, data}, cut to what push services take. */
export function webPushPayload(content: Content): string {
  const { title, body } = content;
  const whole = { title, body, data: textData(content) };
  return JSON.stringify(
    fit(whole, payloadLimitBytes, (message) => Buffer.byteLength(JSON.stringify(message))),
  );
}
