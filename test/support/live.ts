import { MemoryStore } from '../../plugins/store/memory/memory-store.ts';
import type { NotifyError } from '../../src/core/errors.ts';
import type { Notification } from '../../src/core/glossary.ts';
import type { LiveEvent } from '../../src/core/live/events.ts';
import { LiveHub } from '../../src/core/live/hub.ts';
import { noPeers, type Peers } from '../../src/core/live/peers.ts';
import type { Session } from '../../src/core/live/session.ts';
import type { LiveObserver, LiveSettings } from '../../src/core/live/settings.ts';
import type { StreamSink } from '../../src/core/live/sink.ts';
import type { StreamStart } from '../../src/core/live/stream-start.ts';
import type { NewDelivery, Store } from '../../src/core/store.ts';
import { type FakeAmbient, fakeAmbient } from './ambient.ts';

export interface Received {
  readonly event: LiveEvent;
  readonly position: number | undefined;
  readonly sessionId: string;
}

/** A stream's far end. It takes everything at once, unless `stalled`. */
export class TestSink implements StreamSink {
  readonly received: Received[] = [];
  stalled = false;
  finished = false;
  destroyed = false;
  /** What an RPC client is told at the end. */
  error: NotifyError | undefined;
  #buffered = 0;
  #waiting: (() => void)[] = [];
  #progress: (() => void) | undefined;

  send(event: LiveEvent, sessionId: string, position: number | undefined, written?: () => void): void {
    this.received.push({ event, sessionId, position });
    if (this.stalled) {
      this.#buffered += event.kind === 'notification' ? event.notification.body.length + 300 : 100;
      if (written) this.#waiting.push(written);
    } else written?.();
  }

  bufferedBytes(): number {
    return this.#buffered;
  }

  onProgress(task: (() => void) | undefined): void {
    this.#progress = task;
  }

  /** The reader takes some of what is buffered, but not all. */
  take(bytes: number): void {
    this.#buffered -= bytes;
    this.#progress?.();
  }

  /** The reader takes what is buffered, and whatever comes. */
  drain(): void {
    this.stalled = false;
    this.#buffered = 0;
    for (const written of this.#waiting.splice(0)) written();
    this.#progress?.();
  }

  finish(error: NotifyError): void {
    this.finished = true;
    this.error = error;
  }

  destroy(): void {
    this.destroyed = true;
  }

  get kinds(): string[] {
    return this.received.map(({ event }) => event.kind);
  }

  /** The notification ids that arrived, in order. */
  get ids(): string[] {
    return this.received.flatMap(({ event }) =>
      event.kind === 'notification' ? [event.notification.notificationId] : [],
    );
  }

  of<Kind extends LiveEvent['kind']>(kind: Kind): Extract<LiveEvent, { kind: Kind }>[] {
    return this.received
      .map(({ event }) => event)
      .filter((event): event is Extract<LiveEvent, { kind: Kind }> => event.kind === kind);
  }

  get lastPosition(): number {
    return this.received.at(-1)?.position ?? 0;
  }
}

export interface LiveBench {
  readonly ambient: FakeAmbient;
  readonly store: Store;
  readonly hub: LiveHub;
  /** What the observer was told, as `kind detail`. */
  readonly seen: string[];
  /** Stores an item and tells the hub, as Notify does. */
  notify(
    id: string,
    options?: {
      user?: string;
      tenant?: string;
      body?: string;
      quiet?: boolean;
      channels?: NewDelivery['channel'][];
    },
  ): Promise<Notification>;
  open(options?: {
    user?: string;
    tenant?: string;
    start?: StreamStart;
    tokenExpiresAtMs?: number;
    sink?: TestSink;
  }): Promise<{ sink: TestSink; session: Session }>;
  settle(): Promise<void>;
}

/** A hub on a memory store, with time in the test's hand. */
export function liveBench(
  settings: Partial<LiveSettings> = {},
  wrap: (store: Store) => Store = (s) => s,
  { ambient = fakeAmbient(), peers = noPeers }: { ambient?: FakeAmbient; peers?: Peers } = {},
): LiveBench {
  const store = wrap(new MemoryStore({ ambient, limits: { notificationsPerUser: 10_000, bytes: 2 ** 30 } }));
  const seen: string[] = [];
  const observer: LiveObserver = {
    opened: () => seen.push('opened'),
    closed: (_session, reason) => seen.push(`closed ${reason}`),
    sent: () => {},
    delivered: (afterMs) => seen.push(`delivered after ${afterMs} ms`),
    slow: (_session, cut) => seen.push(cut ? 'cut' : 'blocked'),
    failed: (what, error) => seen.push(`failed ${what}: ${String(error)}`),
  };
  const hub = new LiveHub(
    store,
    ambient,
    {
      heartbeatIntervalMs: 30_000,
      retryIntervalMs: 5_000,
      retryMaxAttempts: 3,
      maxAgeMs: 0,
      maxStreamsPerUser: 20,
      maxStreams: 20_000,
      maxStreamsPerTenant: 0,
      endAtTokenExpiry: true,
      ...settings,
    },
    observer,
    peers,
  );
  const settle = () => ambient.clock.advance(0);
  return {
    ambient,
    store,
    hub,
    seen,
    settle,
    async notify(
      id,
      { user = 'alice', tenant = 'demo', body = '', quiet = false, channels = ['in_app' as const] } = {},
    ) {
      const [outcome] = await store.createNotifications([
        {
          id: ambient.ids.next(),
          tenantId: tenant,
          userId: user,
          createdAtMs: BigInt(ambient.clock.now()),
          appearsAtMs: 0n,
          content: {
            notificationId: id,
            type: '',
            subjectRef: '',
            subjectType: '',
            title: id,
            body,
            urgency: undefined,
            data: undefined,
            actionUrl: undefined,
            iconUrl: undefined,
            actions: [],
            expiresAtMs: 0n,
          },
          deliveries: channels.map((channel) => ({
            id: ambient.ids.next(),
            channel,
            destination: user,
            provider: 'p',
            status: 'pending' as const,
            reason: '',
          })),
        },
      ]);
      if (outcome === undefined || 'error' in outcome) throw new Error('not stored');
      if (!quiet) hub.publish(outcome.notification);
      return outcome.notification;
    },
    async open(options = {}) {
      const {
        user = 'alice',
        tenant = 'demo',
        start = { kind: 'untaken' as const },
        tokenExpiresAtMs,
        sink = new TestSink(),
      } = options;
      const session = hub.open(
        { owner: { tenantId: tenant, userId: user }, deviceType: 'browser', start, tokenExpiresAtMs },
        sink,
      );
      await settle();
      return { sink, session };
    },
  };
}
