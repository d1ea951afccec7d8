import type { FastifyInstance } from 'fastify';
import { Tallies } from './tallies.ts';

type Client = FastifyInstance['metrics']['client'];
type Registry = InstanceType<Client['Registry']>;
type Counter = InstanceType<Client['Counter']>;

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Every metric of this service, in one place. Names are frozen: dashboards expect them. No tenant or user label, since
 * their number has no bound.
 */
export function createMeters(client: Client, registry: Registry) {
  const registers = [registry];
  /** A counter of what happens too often to look it up by its labels each time. */
  const tallied = (name: string, help: string, labelNames: string[]): Tallies => {
    const tallies = new Tallies();
    const counter: Counter = new client.Counter({
      name,
      help,
      labelNames,
      registers,
      collect: () => tallies.handOver(counter),
    });
    return tallies;
  };
  const notifyRequests = tallied(
    'notify_notify_requests_total',
    'Notify calls, by the code they were answered with.',
    ['code'],
  );
  const sends = new client.Counter({
    name: 'notify_send_total',
    help: 'Attempts to hand a delivery to its provider, by outcome.',
    labelNames: ['channel', 'provider', 'status'],
    registers,
  });
  const sendSeconds = new client.Histogram({
    name: 'notify_send_duration_seconds',
    help: 'Time an attempt took; for in_app, from storing the item until a live stream took it.',
    labelNames: ['channel', 'provider'],
    buckets: secondsBuckets,
    registers,
  });
  const diverted = new client.Counter({
    name: 'notify_sandbox_total',
    help: 'Messages that NOTIFY_SANDBOX kept or sent to an address of its own.',
    labelNames: ['channel', 'provider', 'diversion'],
    registers,
  });
  const storeOps = tallied('notify_store_op_total', 'Calls to the store, by operation and outcome.', [
    'op',
    'code',
  ]);
  const storeOpSeconds = new client.Histogram({
    name: 'notify_store_op_duration_seconds',
    help: 'Time a call to the store took.',
    labelNames: ['op'],
    buckets: secondsBuckets,
    registers,
  });
  const receipts = tallied(
    'notify_receipts_total',
    'What providers said of deliveries afterwards, by kind.',
    ['provider', 'kind'],
  );
  const liveConnections = new client.Gauge({
    name: 'notify_live_connections',
    help: 'Open live streams, by device type.',
    labelNames: ['device_type'],
    registers,
  });
  const backplaneConnected = new client.Gauge({
    name: 'notify_backplane_connected',
    help: 'Whether this replica hears the others, and they it: 1, or 0 while it looks at the store every second.',
    labelNames: ['transport'],
    registers,
  });
  const streamEvents = tallied('notify_stream_events_total', 'Events handed to live streams, by kind.', [
    'kind',
  ]);
  const streamEnds = new client.Counter({
    name: 'notify_stream_ends_total',
    help: 'Live streams that ended, by reason; slow: the reader did not drain its socket and was cut.',
    labelNames: ['reason'],
    registers,
  });
  const streamsBlocked = new client.Counter({
    name: 'notify_streams_blocked_total',
    help: 'Times a live stream had to wait for its reader to drain the socket.',
    registers,
  });

  /** Meters by label, looked up once. */
  const cached = <T>(make: (key: string) => T): ((key: string) => T) => {
    const made = new Map<string, T>();
    return (key) => {
      let value = made.get(key);
      if (value === undefined) {
        value = make(key);
        made.set(key, value);
      }
      return value;
    };
  };
  const notifyRequest = cached((code) => notifyRequests.of({ code }));
  const streamEvent = cached((kind) => streamEvents.of({ kind }));
  const receiptsOf = cached((provider) => cached((kind) => receipts.of({ provider, kind })));
  const storeOp = cached((op) => ({
    seconds: storeOpSeconds.labels({ op }),
    codes: cached((code) => storeOps.of({ op, code })),
  }));

  return {
    notifyRequest: (code: string): void => notifyRequest(code)(),
    send(channel: string, provider: string, status: string, seconds: number): void {
      sends.inc({ channel, provider, status });
      sendSeconds.observe({ channel, provider }, seconds);
    },
    /** @param diversion sandbox_captured or sandbox_redirected */
    diverted: (channel: string, provider: string, diversion: string): void =>
      diverted.inc({ channel, provider, diversion }),
    storeOp(op: string, code: string, seconds: number): void {
      const meter = storeOp(op);
      meter.codes(code)();
      meter.seconds.observe(seconds);
    },
    receipt: (provider: string, kind: string): void => receiptsOf(provider)(kind)(),
    liveConnections: (deviceType: string, change: 1 | -1): void =>
      liveConnections.inc({ device_type: deviceType }, change),
    /** @param transport postgres or redis */
    backplaneConnected: (transport: string, value: boolean): void =>
      backplaneConnected.set({ transport }, value ? 1 : 0),
    streamEvent: (kind: string): void => streamEvent(kind)(),
    streamEnd: (reason: string): void => streamEnds.inc({ reason }),
    streamBlocked: (): void => streamsBlocked.inc(),
  };
}

export type Meters = ReturnType<typeof createMeters>;
