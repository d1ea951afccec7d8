/** How long the steps of a stop may wait for peers, in milliseconds. */
export interface StopShares {
  readonly drainWindowMs: number;
  readonly finishTimeoutMs: number;
  readonly lingerTimeoutMs: number;
  readonly arrivalTimeoutMs: number;
}

/**
 * How long the steps of a stop may wait for peers, one after the other: streams end, their readers take the end (and those that do
 * not are cut, in half that time), connections close. A quarter of the time at most for each, so that one is left for the resources.
 * Requests that are still arriving get half of one, since the ops port waits for its own at the very end.
 */
export function stopShares(shutdownTimeoutMs: number): StopShares {
  const quarterMs = shutdownTimeoutMs / 4;
  return {
    drainWindowMs: Math.min(5_000, quarterMs),
    finishTimeoutMs: Math.min(2_000, quarterMs),
    lingerTimeoutMs: Math.min(2_000, quarterMs),
    arrivalTimeoutMs: Math.min(2_000, quarterMs / 2),
  };
}
