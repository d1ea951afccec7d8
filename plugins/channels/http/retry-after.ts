import type { IncomingHttpHeaders } from 'node:http';

/** RFC 9110 §5.6.7; the two obsolete forms of a date are not read. */
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * When a server wants to be asked again: seconds or a date (RFC 9110 §10.2.3).
 * @returns milliseconds from now, 0 or more; undefined where it does not say, or nothing that can be read
 */
export function retryAfterMs(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  const value = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const atMs = httpDate.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}
