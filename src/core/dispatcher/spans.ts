/** A time from one moment to another, in milliseconds. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** For how long all of them were at once, in milliseconds. @param all of each its times, which do not overlap */
export function commonMs(all: readonly (readonly Span[])[]): number {
  const [first = [], ...others] = all;
  const common = others.reduce<readonly Span[]>(
    (some, more) =>
      some.flatMap((a) =>
        more
          .map((b) => ({ fromMs: Math.max(a.fromMs, b.fromMs), toMs: Math.min(a.toMs, b.toMs) }))
          .filter(({ fromMs, toMs }) => fromMs < toMs),
      ),
    first,
  );
  return common.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
}
