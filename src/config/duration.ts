import { InvalidValue, quote } from './invalid.ts';

/** Go's units (https://pkg.go.dev/time#ParseDuration; both signs for micro), and a day of 24 hours. */
const unitNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};
const part = /(?:(?<whole>\d+)(?:\.(?<decimals>\d*))?|\.(?<only>\d+))(?<unit>ns|us|µs|μs|ms|s|m|h|d)/gu;
const wholeText = /^\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d))+$/u;

/** Go's longest duration, 2^63 − 1 ns: 292 years. */
const longestNs = 2n ** 63n - 1n;

/**
 * Reads a duration in Go's notation: one or more numbers with a unit each, such as `500ms`, `1m30s`, `1.5h`;
 * `d` is 24 hours. Units are lower case. A bare `0` needs no unit.
 *
 * @returns whole milliseconds, a started one counted as one, so that only zero is 0
 * @throws InvalidValue when it is negative, has no unit, is longer than 292 years or is no duration; the
 *   message quotes the text
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (text.startsWith('-')) throw new InvalidValue(`${quote(text)} is negative; use 0 or a longer duration`);
  if (/^\+?(?:\d+\.?\d*|\.\d+)$/.test(text)) {
    throw new InvalidValue(
      `${quote(text)} has no unit; write ${text}s for seconds, or ${text}ms, ${text}m, ${text}h`,
    );
  }
  if (!wholeText.test(text)) {
    throw new InvalidValue(`${quote(text)} is no duration; write for example 500ms, 30s, 1m30s, 1h or 90d`);
  }
  let ns = 0n;
  for (const { groups = {} } of text.matchAll(part)) {
    const decimals = groups.only ?? groups.decimals ?? '';
    const digits = BigInt(`${groups.whole ?? '0'}${decimals}`);
    ns += (digits * (unitNs[groups.unit ?? ''] ?? 0n)) / 10n ** BigInt(decimals.length);
  }
  if (ns > longestNs) throw new InvalidValue(`${quote(text)} is too long; use at most 106751d (292 years)`);
  return Number((ns + 999_999n) / 1_000_000n);
}
