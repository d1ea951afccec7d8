import type { AddressInfo } from 'node:net';
import { cors as connectCors } from '@connectrpc/connect';
import cors from '@fastify/cors';
import sensible from '@fastify/sensible';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerOptions,
  LogController,
} from 'fastify';
import ambient from '../plugins/ambient/index.ts';
import auth from '../plugins/auth/index.ts';
import backplane from '../plugins/backplane/index.ts';
import channels, {
  channelProviders,
  type ProviderTable,
  providerRegistry,
} from '../plugins/channels/index.ts';
import testProviders from '../plugins/channels/test/index.ts';
import deliveries from '../plugins/deliveries/index.ts';
import devices from '../plugins/devices/index.ts';
import dispatcher from '../plugins/dispatcher/index.ts';
import egress from '../plugins/egress/index.ts';
import eventLoop from '../plugins/event-loop/index.ts';
import inbox from '../plugins/inbox/index.ts';
import liveHub from '../plugins/live-hub/index.ts';
import metrics from '../plugins/metrics/index.ts';
import notifier from '../plugins/notifier/index.ts';
import pressure, { defaultPressureLimits, type PressureLimits } from '../plugins/pressure/index.ts';
import receipts from '../plugins/receipts/index.ts';
import recipients from '../plugins/recipients/index.ts';
import store, { type OpenStore, storeDrivers, storeRegistry } from '../plugins/store/index.ts';
import webhookKeys from '../plugins/webhook-keys/index.ts';
import devDeliveries from '../routes/dev/deliveries.ts';
import devTestProvider from '../routes/dev/test-provider.ts';
import { answerConnectionError, answerFrameworkError, errorAnswers } from '../routes/errors.ts';
import events from '../routes/events/index.ts';
import health, { type Readiness } from '../routes/health/index.ts';
import metricsRoute from '../routes/metrics/index.ts';
import playground from '../routes/playground/index.ts';
import receiptsRoute from '../routes/receipts/index.ts';
import rpc from '../routes/rpc/index.ts';
import { deliveryService } from '../routes/rpc/services/delivery.ts';
import { inboxService } from '../routes/rpc/services/inbox.ts';
import { notificationClient } from '../routes/rpc/services/notification-client.ts';
import { notificationInternal } from '../routes/rpc/services/notification-internal.ts';
import { producer } from '../routes/rpc/services/producer.ts';
import { recipient } from '../routes/rpc/services/recipient.ts';
import type { Built, Config } from './config.ts';
import type { Ambient } from './core/ambient.ts';
import type { Transport } from './core/backplane/transport.ts';
import type { DispatcherSettings } from './core/dispatcher/settings.ts';
import type { Channel } from './core/glossary.ts';
import { http1AndHttp2, type ListenerLimits } from './listener.ts';
import { loadModules, type UserModule } from './modules.ts';
import { system } from './system.ts';

export type { UserModule } from './modules.ts';

/** What this version has the code of; the configuration refuses the rest by name. */
export const built: Built = {
  stores: Object.keys(storeDrivers),
  providers: Object.fromEntries(
    Object.entries(channelProviders).map(([channel, providers]) => [channel, Object.keys(providers)]),
  ),
  features: ['http_providers', 'plugins', 'redis', 'retry', 'sandbox', 'send_rates', 'webhook'],
};

/** What tests and embedders may replace. */
export interface Overrides {
  readonly ambient?: Ambient;
  readonly logger?: FastifyBaseLogger;
  /** Beside those that NOTIFY_PLUGINS names. */
  readonly plugins?: readonly UserModule[];
  readonly pressure?: PressureLimits;
  readonly listener?: Partial<ListenerLimits>;
  readonly dispatcher?: Partial<DispatcherSettings>;
  /** Stands between the replicas: a test loses there what it likes. */
  readonly wrapTransport?: (transport: Transport) => Transport;
}

/** The listeners' own addresses, once they listen. */
export type Listeners = Readonly<Record<'client' | 'internal' | 'ops', FastifyInstance>>;

export interface App extends Listeners {
  /** Owns every resource, and never listens. */
  readonly core: FastifyInstance;
  /** Opens the three ports. @returns the ports, which differ from the configured ones where those are 0 */
  listen(): Promise<{ client: number; internal: number; ops: number }>;
  /**
   * Stops without losing anything: not ready at once, streams end cleanly, what is in flight is finished, resources close,
   * and the ops port last. Harmless when repeated.
   */
  close(): Promise<void>;
}

/** Fastify's own. */
const defaultPluginTimeoutMs = 10_000;

/**
 * Composes the service: one core instance with all resources, and an instance for each port that is handed core's
 * decorators, so that a producer's route cannot be reached on the public port whatever a hook does.
 * @throws what a resource throws that cannot be opened
 */
export async function buildApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const readiness: Readiness = { ready: false };
  const stop = stopShares(config.shutdownTimeoutMs);
  const modules = [...(overrides.plugins ?? []), ...(await loadModules(config.plugins))];
  const create = (options: FastifyServerOptions = {}): FastifyInstance =>
    fastify({
      ...(overrides.logger && { loggerInstance: overrides.logger }),
      // RPCs and streams have log lines of their own, which never hold a URL's access_token
      logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
      genReqId,
      // it bounds closing too, which may take as long as a stop may
      pluginTimeout: Math.max(defaultPluginTimeoutMs, config.shutdownTimeoutMs),
      ...options,
    });

  // opening the store has time-outs of its own: a Postgres that is starting is waited for, and a migration may take minutes
  const core = await buildCore(create({ pluginTimeout: 0 }), config, overrides, modules);
  const parts: FastifyInstance[] = [core];
  const closeAll = async () => {
    // in reverse: the ops port was added last and closes last, after core
    await Promise.all(parts.slice(1, -1).map((part) => part.close()));
    await core.close();
    await parts.at(-1)?.close();
  };
  try {
    const listener = async (own: Partial<ListenerLimits> = onlyCalls): Promise<FastifyInstance> => {
      const app = create({
        serverFactory: http1AndHttp2({
          lingerTimeoutMs: stop.lingerTimeoutMs,
          arrivalTimeoutMs: stop.arrivalTimeoutMs,
          ...overrides.listener,
          ...own,
        }),
        clientErrorHandler: answerConnectionError,
        frameworkErrors: answerFrameworkError,
        return503OnClosing: false, // a browser's EventSource would stop for ever
        forceCloseConnections: 'idle',
      });
      parts.push(app);
      share(core, app);
      await app.register(sensible);
      await app.register(errorAnswers);
      return app;
    };
    const client = await listener({});
    if (config.allowedOrigins.length > 0) await client.register(cors, corsOptions(config.allowedOrigins));
    const streams = { liveEnabled: config.live.enabled, finishTimeoutMs: stop.finishTimeoutMs };
    const push = { vapidPublicKey: config.webPush.vapid?.publicKey ?? '' };
    await client.register(rpc, {
      services: [notificationClient(client, streams), inboxService(client, push)],
    });
    await client.register(events, streams);
    await client.register(receiptsRoute);

    const internal = await listener();
    await internal.register(rpc, {
      services: [
        notificationInternal(internal),
        producer(internal),
        deliveryService(internal),
        recipient(internal),
      ],
    });

    if (config.auth.devMode) {
      const facts = () => ({
        clientPort: port(client),
        internalPort: port(internal),
        internalToken: config.auth.internalToken !== undefined,
        providers: Object.fromEntries(
          [...core.providers].map(([channel, all]) => [channel, all.map(({ name }) => name).join()]),
        ),
        sandbox: config.sandbox.rule?.kind ?? ('' as const),
      });
      await client.register(playground, { facts });
      await client.register(devTestProvider);
      await client.register(devDeliveries);
    }
    client.addHook('preClose', () => core.liveHub.drain(stop.drainWindowMs));

    const ops = await listener();
    await ops.register(health, { readiness });
    await ops.register(metricsRoute);

    const listeners: Listeners = { client, internal, ops };
    for (const module of modules)
      for (const name of ['client', 'internal', 'ops'] as const) {
        const plugin = module[name];
        if (plugin) await listeners[name].register(plugin);
      }
    await Promise.all([client.ready(), internal.ready(), ops.ready()]);

    let closing: Promise<void> | undefined;
    return {
      core,
      ...listeners,
      async listen() {
        const { host, ports } = config;
        // a burst of streams after a restart must not be reset for want of a place in the queue
        const open = (app: FastifyInstance, wanted: number) =>
          app.listen({ host, port: wanted, backlog: 4096 });
        await open(ops, ports.metrics);
        await Promise.all([open(client, ports.client), open(internal, ports.internal)]);
        readiness.ready = true;
        return { client: port(client), internal: port(internal), ops: port(ops) };
      },
      close() {
        readiness.ready = false;
        closing ??= closeAll();
        return closing;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** Of a port without streams: nobody stays there who could be gone for long. */
const onlyCalls: Partial<ListenerLimits> = { silentPeersMs: 0 };

/**
 * How long the steps of a stop may wait for peers, one after the other: streams end, their readers take the end (and those that do
 * not are cut, in half that time), connections close. A quarter of the time at most for each, so that one is left for the resources.
 * Requests that are still arriving get half of one, since the ops port waits for its own at the very end.
 */
function stopShares(shutdownTimeoutMs: number) {
  const quarterMs = shutdownTimeoutMs / 4;
  return {
    drainWindowMs: Math.min(5_000, quarterMs),
    finishTimeoutMs: Math.min(2_000, quarterMs),
    lingerTimeoutMs: Math.min(2_000, quarterMs),
    arrivalTimeoutMs: Math.min(2_000, quarterMs / 2),
  };
}

/**
 * The providers that the configuration names, without a store, a dispatcher or a port: nothing is sent by them. For a check; close it.
 * @throws what a module or a provider throws that cannot be opened
 */
export async function buildProviders(config: Config): Promise<FastifyInstance> {
  const core = fastify();
  try {
    const { table } = await registerFoundation(core, {}, await loadModules(config.plugins));
    await registerProviders(core, config, table);
    await core.ready();
    return core;
  } catch (error) {
    await core.close();
    throw error;
  }
}

async function buildCore(
  core: FastifyInstance,
  config: Config,
  overrides: Overrides,
  modules: readonly UserModule[],
): Promise<FastifyInstance> {
  try {
    const { drivers, table } = await registerFoundation(core, overrides, modules);
    await core.register(pressure, { limits: overrides.pressure ?? defaultPressureLimits });
    await core.register(auth, { auth: config.auth });
    await core.register(store, { config, drivers });
    await registerProviders(core, config, table);
    await core.register(backplane, { config, wrap: overrides.wrapTransport });
    await core.register(liveHub, { live: config.live });
    await core.register(dispatcher, { config, settings: overrides.dispatcher });
    await core.register(notifier, { config });
    await core.register(deliveries);
    await core.register(receipts);
    await core.register(inbox);
    await core.register(devices);
    await core.register(recipients);
    await core.ready();
    return core;
  } catch (error) {
    await core.close();
    throw error;
  }
}

/** What everything else stands on, modules included: they may add stores and providers. */
async function registerFoundation(
  core: FastifyInstance,
  overrides: Overrides,
  modules: readonly UserModule[],
): Promise<{ readonly drivers: Map<string, OpenStore>; readonly table: ProviderTable }> {
  const drivers = new Map<string, OpenStore>(Object.entries(storeDrivers));
  const table: ProviderTable = new Map(
    Object.entries(channelProviders).map(([channel, providers]) => [
      channel as Channel,
      new Map(Object.entries(providers)),
    ]),
  );
  await core.register(ambient, { ambient: overrides.ambient ?? system });
  await core.register(eventLoop);
  await core.register(metrics);
  await core.register(storeRegistry, { drivers });
  await core.register(providerRegistry, { table });
  for (const module of modules) if (module.core) await core.register(module.core);
  return { drivers, table };
}

async function registerProviders(core: FastifyInstance, config: Config, table: ProviderTable): Promise<void> {
  await core.register(testProviders);
  await core.register(egress, { config });
  await core.register(webhookKeys, { config });
  await core.register(channels, { config, table });
}

/** Core's decorators, by name: what a listener is handed. */
const shared = [
  'ambient',
  'pressure',
  'auth',
  'store',
  'meters',
  'scrape',
  'providers',
  'testProviders',
  'liveHub',
  'webhookKeys',
  'notifier',
  'deliveries',
  'receipts',
  'inbox',
  'devices',
  'recipients',
] as const satisfies readonly (keyof FastifyInstance)[];

function share(core: FastifyInstance, listener: FastifyInstance): void {
  for (const name of shared) listener.decorate(name, core[name] as never);
}

const corsOptions = (origins: readonly string[]) => ({
  origin: origins.includes('*') ? '*' : [...origins],
  methods: [...connectCors.allowedMethods],
  allowedHeaders: [...connectCors.allowedHeaders, 'Authorization', 'Last-Event-ID'],
  exposedHeaders: [...connectCors.exposedHeaders, 'Retry-After', 'X-Request-Id'],
  maxAge: 7_200,
  // or an OPTIONS that is no preflight, as monitors send it, is a 400 in plain text
  strictPreflight: false,
});

function port(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo | null)?.port ?? 0;
}

const instance = Math.random().toString(36).slice(2, 8);
let requests = 0;

/** Short, and different between replicas whose logs come together. */
function genReqId(): string {
  requests += 1;
  return `${instance}-${requests.toString(36)}`;
}
