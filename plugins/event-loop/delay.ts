import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How late the event loop ran its timers, in milliseconds. */
export interface DelayReading {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/**
 * Measures by a timer of Node's (node:perf_hooks, monitorEventLoopDelay). Libraries have it every 10 ms, and to wake up that often
 * takes 1 % of a core: as much as thousands of idle streams.
 * @param everyMs between two samples, whole
 */
export function measureDelay(everyMs: number): {
  /** What was measured since the last reading. */
  read(): DelayReading;
  stop(): void;
} {
  const histogram = monitorEventLoopDelay({ resolution: everyMs });
  histogram.enable();
  let readAtMs = performance.now();
  // what it records is the time from one of its timers to the next
  const late = (betweenNs: number): number => Math.max(0, betweenNs / 1e6 - everyMs);
  return {
    read() {
      const sinceMs = performance.now() - readAtMs;
      readAtMs += sinceMs;
      // too soon for a sample, or the loop had no turn for one
      if (histogram.count === 0) return alike(late(sinceMs * 1e6));
      const reading = {
        min: late(histogram.min),
        max: late(histogram.max),
        mean: late(histogram.mean),
        stddev: histogram.stddev / 1e6,
        p50: late(histogram.percentile(50)),
        p90: late(histogram.percentile(90)),
        p99: late(histogram.percentile(99)),
      };
      histogram.reset();
      return reading;
    },
    stop: () => histogram.disable(),
  };
}

const alike = (ms: number): DelayReading => ({
  min: ms,
  max: ms,
  mean: ms,
  stddev: 0,
  p50: ms,
  p90: ms,
  p99: ms,
});
