import type { EpochMs } from '../../../src/core/glossary.ts';

/** Four weeks: the most that FCM takes, and what web push services keep a message at most. */
export const longestSeconds = 28 * 24 * 3600;

/**
 * How long a push service shall keep a message for a device that is not there.
 * @param expiresAtMs 0n: never
 * @returns whole seconds, never past the expiry; 0: now or never
 */
export function timeToLiveSeconds(expiresAtMs: EpochMs, nowMs: number): number {
  if (expiresAtMs === 0n) return longestSeconds;
  const leftMs = expiresAtMs - BigInt(nowMs);
  const seconds = leftMs / 1000n;
  if (seconds <= 0n) return 0;
  return seconds < longestSeconds ? Number(seconds) : longestSeconds;
}
