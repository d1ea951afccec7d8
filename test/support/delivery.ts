import { MemoryStore } from '../../plugins/store/memory/memory-store.ts';
import type { Ambient } from '../../src/core/ambient.ts';
import { Attempts } from '../../src/core/dispatcher/attempts.ts';
import { Dispatcher } from '../../src/core/dispatcher/dispatcher.ts';
import { type DispatcherSettings, dispatcherDefaults } from '../../src/core/dispatcher/settings.ts';
import type { Channel, Delivery } from '../../src/core/glossary.ts';
import { LiveHub } from '../../src/core/live/hub.ts';
import type { NotifyAnswer, NotifyCommand } from '../../src/core/notifier/command.ts';
import { Notifier } from '../../src/core/notifier/notifier.ts';
import type { Store } from '../../src/core/store.ts';
import { type FakeAmbient, fakeAmbient } from './ambient.ts';
import type { FakeProvider } from './fake-provider.ts';

const hourMs = 3_600_000;

/** The delivery engine of one process, on a clock that the test moves. */
export interface Engine {
  readonly ambient: FakeAmbient;
  readonly store: Store;
  readonly notifier: Notifier;
  readonly dispatcher: Dispatcher;
  readonly attempts: Attempts;
  /** What went wrong with nobody to hear of it. */
  readonly failures: string[];
  /** What was said of the providers' health. */
  readonly health: string[];
  /** What was said of each attempt. */
  readonly attempted: string[];
  /** Notifies one user on a channel of each provider. */
  notify(
    over?: Partial<NotifyCommand> & { readonly expiresAtMs?: bigint; readonly user?: string },
  ): Promise<NotifyAnswer>;
  /** The only delivery of a user on a channel. */
  delivery(user: string, channel: Channel): Promise<Delivery>;
}

export function engine(
  providers: readonly FakeProvider[],
  settings: Partial<DispatcherSettings> = {},
  shared: { readonly ambient?: FakeAmbient; readonly store?: Store } = {},
): Engine {
  const ambient = shared.ambient ?? fakeAmbient();
  const store = shared.store ?? memoryStore(ambient);
  const failures: string[] = [];
  const health: string[] = [];
  const attempted: string[] = [];
  const silent = { opened() {}, closed() {}, sent() {}, delivered() {}, slow() {}, failed() {} };
  const hub = new LiveHub(store, ambient, liveSettings, silent);
  const channels = [...new Set(providers.map(({ channel }) => channel))];
  const table = new Map(channels.map((name) => [name, providers.filter(({ channel }) => channel === name)]));
  const all: DispatcherSettings = {
    ...dispatcherDefaults,
    retry: { baseMs: 10_000, maxMs: hourMs, forMs: { email: 24 * hourMs, sms: 4 * hourMs } },
    ...settings,
  };
  const failed = (what: string) => failures.push(what);
  const attempts = new Attempts({ outbox: store, providers: table, ambient }, all, {
    attempted: ({ provider, status, next }) =>
      attempted.push(`${provider} ${status}${next === undefined ? '' : `, ${next} is next`}`),
    providerDown: ({ channel, provider, reason }) => health.push(`${channel}/${provider} down: ${reason}`),
    providerUp: ({ channel, provider }) => health.push(`${channel}/${provider} up`),
    leaseLost: () => failed('lease lost'),
    handedBack() {},
    failed,
  });
  const dispatcher = new Dispatcher({ outbox: store, hub, attempts, ambient }, all, {
    storeAway: () => failed('store away'),
    storeBack: () => failed('store back'),
  });
  const notifier = new Notifier(
    { store, hub, providers: table, attempts, ambient },
    { liveEnabled: true, syncAttemptTimeoutMs: 5_000, confirmTimeoutMs: 250 },
    failed,
  );
  let count = 0;
  return {
    ambient,
    store,
    notifier,
    dispatcher,
    attempts,
    failures,
    health,
    attempted,
    notify({ expiresAtMs = 0n, user = 'ada', ...over } = {}) {
      const userIds = over.userIds ?? [user];
      return notifier.notify({
        tenantId: 'demo',
        userIds,
        channels,
        addresses: new Map(
          userIds.map((id) => [
            id,
            Object.fromEntries(channels.map((channel) => [channel, `${id}@${channel}`])),
          ]),
        ),
        content: {
          notificationId: `note-${++count}`,
          type: '',
          subjectRef: '',
          subjectType: '',
          title: 'title',
          body: '',
          urgency: undefined,
          data: undefined,
          actionUrl: undefined,
          iconUrl: undefined,
          actions: [],
          expiresAtMs,
        },
        sendAtMs: 0n,
        returnResults: true,
        ...over,
      });
    },
    async delivery(userId, channel) {
      const { deliveries } = await store.listDeliveries({
        tenantId: 'demo',
        userId,
        notificationId: '',
        channel,
        status: undefined,
        sinceMs: 0n,
        untilMs: 0n,
        after: undefined,
        limit: 2,
      });
      const [only, other] = deliveries;
      if (only === undefined || other !== undefined)
        throw new Error(`${userId} has not one delivery on ${channel}`);
      return only.delivery;
    },
  };
}

export const memoryStore = (ambient: Pick<Ambient, 'clock'>): Store =>
  new MemoryStore({ ambient, limits: { notificationsPerUser: 10_000, bytes: 2 ** 30 } });

/** A store as one process sees it, until the process dies: then nothing that it asks is ever answered. */
export function mortal(store: Store): { readonly store: Store; die(): void } {
  let isDead = false;
  const seen = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => (isDead ? new Promise(() => {}) : value.apply(target, args));
    },
  });
  return {
    store: seen,
    die() {
      isDead = true;
    },
  };
}

const liveSettings = {
  enabled: true,
  heartbeatIntervalMs: 30_000,
  retryMaxAttempts: 3,
  retryIntervalMs: 5_000,
  maxAgeMs: 0,
  maxStreamsPerUser: 20,
  maxStreams: 20_000,
  maxStreamsPerTenant: 0,
  confirmTimeoutMs: 250,
  endAtTokenExpiry: true,
};
