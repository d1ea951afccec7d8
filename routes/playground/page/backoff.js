/** The pause before a next try, in milliseconds: 500 ms doubling to 10 s, with jitter. */
export const backoff = (attempt) =>
  Math.min(10_000, 500 * 2 ** Math.max(0, attempt - 1)) * (0.5 + Math.random() / 2);
