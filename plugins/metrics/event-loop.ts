import type { FastifyInstance } from 'fastify';

type DelayReading = ReturnType<ReturnType<FastifyInstance['measureEventLoopDelay']>>;
type Client = FastifyInstance['metrics']['client'];
type Registry = InstanceType<Client['Registry']>;

/** 75 samples between two scrapes that are 15 s apart. */
const everyMs = 200;

/** By the middle of their names, which dashboards know from the library's own. */
const gauges: Readonly<Record<keyof DelayReading, string>> = {
  min: 'The least delay of the event loop since the last scrape.',
  max: 'The greatest delay of the event loop since the last scrape.',
  mean: 'The mean delay of the event loop since the last scrape.',
  stddev: 'The standard deviation of the delays of the event loop since the last scrape.',
  p50: 'The 50th percentile of the delays of the event loop since the last scrape.',
  p90: 'The 90th percentile of the delays of the event loop since the last scrape.',
  p99: 'The 99th percentile of the delays of the event loop since the last scrape.',
};

/** The library would look at how busy the event loop was ten times a second. */
const utilizationEveryMs = 1_000;

/** The library takes no other word for "never". */
const neverMs = 2_147_483_647;

/**
 * The process's metrics. Those of the event loop's delay are measured here: the library wakes the process up a hundred times a
 * second for them, and counts the time between two wake-ups as delay.
 */
export function collectProcessMetrics(app: FastifyInstance, registry: Registry): void {
  const { client } = app.metrics;
  client.collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: neverMs,
    eventLoopUtilizationTimeout: utilizationEveryMs,
  });
  const read = app.measureEventLoopDelay(everyMs);
  let reading = read();
  for (const [name, help] of Object.entries(gauges)) {
    const of = name as keyof DelayReading;
    const metric = `nodejs_eventloop_lag_${of}_seconds`;
    registry.removeSingleMetric(metric);
    const gauge: InstanceType<Client['Gauge']> = new client.Gauge({
      name: metric,
      help,
      registers: [registry],
      collect() {
        // one reading for all of them: the first is asked first
        if (of === 'min') reading = read();
        gauge.set(reading[of] / 1_000);
      },
    });
  }
}
