import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import type { Ambient } from '../../src/core/ambient.ts';
import type { Store } from '../../src/core/store.ts';
import { measured } from './measured.ts';
import { openMemoryStore } from './memory/index.ts';
import type { OpenStore } from './open.ts';

export type { OpenStore } from './open.ts';

/** Every store driver of this service, by its name in NOTIFY_STORE_DRIVER. */
export const storeDrivers: Readonly<Record<string, OpenStore>> = {
  memory: openMemoryStore,
  // its libraries take a third of a boot that does not need them
  postgres: async (app, config) => (await import('./postgres/index.ts')).openPostgresStore(app, config),
};

declare module 'fastify' {
  interface FastifyInstance {
    store: Store;
    /** The ambient of whoever stores something: `now` is the store's, which all replicas share. */
    storeAmbient: Ambient;
    /** Adds a store driver that NOTIFY_STORE_DRIVER may name. For modules of NOTIFY_PLUGINS. */
    registerStore(name: string, open: OpenStore): void;
  }
}

/** Lets modules add drivers, before the one that the configuration names is opened. */
export const storeRegistry = fp<{ drivers: Map<string, OpenStore> }>(
  async (app, { drivers }) => {
    app.decorate('registerStore', (name: string, open: OpenStore) => {
      if (drivers.has(name)) throw new Error(`a store driver named ${name} exists already`);
      drivers.set(name, open);
    });
  },
  { name: 'store-registry' },
);

/** The store that the configuration names, measured. */
export default fp<{ config: Config; drivers: ReadonlyMap<string, OpenStore> }>(
  async (app, { config, drivers }) => {
    const open = drivers.get(config.store.driver);
    if (open === undefined)
      throw new Error(
        `NOTIFY_STORE_DRIVER: no store driver is named ${config.store.driver}; there are ${[...drivers.keys()].join(', ')}`,
      );
    const store = await open(app, config);
    const { ambient } = app;
    app.decorate('store', measured(store, app.meters.storeOp));
    app.decorate('storeAmbient', { ...ambient, clock: { ...ambient.clock, now: () => store.now() } });
    app.addHook('onClose', () => store.close());
  },
  { name: 'store', dependencies: ['ambient', 'notify-metrics', 'store-registry'] },
);
