import type { RetrySettings } from './settings.ts';

/**
 * The pause before the next attempt, in milliseconds: exponential with full jitter, so that what failed together does not come
 * back together (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 * @param attempts how many were made, 1 or more
 * @param random uniform in [0, 1)
 */
export function backoffMs(
  attempts: number,
  { baseMs, maxMs }: Pick<RetrySettings, 'baseMs' | 'maxMs'>,
  random: () => number,
): number {
  // 2^n overflows into Infinity, which is more than any maximum
  return Math.floor(random() * Math.min(maxMs, baseMs * 2 ** (attempts - 1)));
}
