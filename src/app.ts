import type { FastifyInstance } from 'fastify';
import type { Readiness } from '../routes/health/index.ts';
import type { PlaygroundFacts } from '../routes/playground/index.ts';
import { buildCore } from './app/core.ts';
import { createInstance, createListener, portOf, prepareListener } from './app/instances.ts';
import type { Overrides } from './app/overrides.ts';
import { registerClientPort, registerDevRoutes, registerInternalPort, registerOpsPort } from './app/ports.ts';
import { stopShares } from './app/stop-shares.ts';
import type { Config } from './config.ts';
import type { ListenerLimits } from './listener.ts';
import { loadModules } from './modules.ts';

export { built } from './app/built.ts';
export { buildProviders } from './app/core.ts';
export type { Overrides } from './app/overrides.ts';
export type { UserModule } from './modules.ts';

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

/**
 * Composes the service: one core instance with all resources, and an instance for each port that is handed core's
 * decorators, so that a producer's route cannot be reached on the public port whatever a hook does.
 * @throws what a resource throws that cannot be opened
 */
export async function buildApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const readiness: Readiness = { ready: false };
  const stop = stopShares(config.shutdownTimeoutMs);
  const modules = [...(overrides.plugins ?? []), ...(await loadModules(config.plugins))];

  // opening the store has time-outs of its own: a Postgres that is starting is waited for, and a migration may take minutes
  const core = await buildCore(
    createInstance(config, overrides, { pluginTimeout: 0 }),
    config,
    overrides,
    modules,
  );
  const parts: FastifyInstance[] = [core];
  const closeAll = async () => {
    // in reverse: the ops port was added last and closes last, after core
    await Promise.all(parts.slice(1, -1).map((part) => part.close()));
    await core.close();
    await parts.at(-1)?.close();
  };
  try {
    const listener = async (own: Partial<ListenerLimits> = onlyCalls): Promise<FastifyInstance> => {
      const { lingerTimeoutMs, arrivalTimeoutMs } = stop;
      const app = createListener(config, overrides, {
        lingerTimeoutMs,
        arrivalTimeoutMs,
        ...overrides.listener,
        ...own,
      });
      parts.push(app);
      await prepareListener(app, core);
      return app;
    };
    const client = await listener({});
    await registerClientPort(client, config, stop.finishTimeoutMs);
    const internal = await listener();
    await registerInternalPort(internal);
    if (config.auth.devMode)
      await registerDevRoutes(client, () => factsOf(config, { core, client, internal }));
    client.addHook('preClose', () => core.liveHub.drain(stop.drainWindowMs));
    const ops = await listener();
    await registerOpsPort(ops, readiness);

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
        core.pressure.watch();
        readiness.ready = true;
        return { client: portOf(client), internal: portOf(internal), ops: portOf(ops) };
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

/** What the playground is told of the service, once it listens. */
const factsOf = (
  config: Config,
  { core, client, internal }: Readonly<Record<'core' | 'client' | 'internal', FastifyInstance>>,
): PlaygroundFacts => ({
  clientPort: portOf(client),
  internalPort: portOf(internal),
  internalToken: config.auth.internalToken !== undefined,
  providers: Object.fromEntries(
    [...core.providers].map(([channel, all]) => [channel, all.map(({ name }) => name).join()]),
  ),
  sandbox: config.sandbox.rule?.kind ?? ('' as const),
});
