import fastify, { type FastifyInstance } from 'fastify';
import ambient from '../../plugins/ambient/index.ts';
import auth from '../../plugins/auth/index.ts';
import backplane from '../../plugins/backplane/index.ts';
import channels, {
  channelProviders,
  type ProviderTable,
  providerRegistry,
} from '../../plugins/channels/index.ts';
import testProviders from '../../plugins/channels/test/index.ts';
import deliveries from '../../plugins/deliveries/index.ts';
import devices from '../../plugins/devices/index.ts';
import dispatcher from '../../plugins/dispatcher/index.ts';
import egress from '../../plugins/egress/index.ts';
import eventLoop from '../../plugins/event-loop/index.ts';
import inbox from '../../plugins/inbox/index.ts';
import liveHub from '../../plugins/live-hub/index.ts';
import metrics from '../../plugins/metrics/index.ts';
import notifier from '../../plugins/notifier/index.ts';
import pressure, { defaultPressureLimits } from '../../plugins/pressure/index.ts';
import receipts from '../../plugins/receipts/index.ts';
import recipients from '../../plugins/recipients/index.ts';
import store, { type OpenStore, storeDrivers, storeRegistry } from '../../plugins/store/index.ts';
import webhookKeys from '../../plugins/webhook-keys/index.ts';
import type { Config } from '../config.ts';
import type { Channel } from '../core/glossary.ts';
import { loadModules, type UserModule } from '../modules.ts';
import { system } from '../system.ts';
import type { Overrides } from './overrides.ts';

/**
 * Opens every resource, each on those before it.
 * @param core closed again where one cannot be opened
 * @throws what that resource throws
 */
export async function buildCore(
  core: FastifyInstance,
  config: Config,
  overrides: Overrides,
  modules: readonly UserModule[],
): Promise<FastifyInstance> {
  return orClosed(core, async () => {
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
  });
}

/**
 * The providers that the configuration names, without a store, a dispatcher or a port: nothing is sent by them. For a check; close it.
 * @throws what a module or a provider throws that cannot be opened
 */
export async function buildProviders(config: Config): Promise<FastifyInstance> {
  const core = fastify();
  return orClosed(core, async () => {
    const { table } = await registerFoundation(core, {}, await loadModules(config.plugins));
    await registerProviders(core, config, table);
  });
}

/** An instance once it is ready, or closed where that fails. */
async function orClosed(core: FastifyInstance, register: () => Promise<void>): Promise<FastifyInstance> {
  try {
    await register();
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
