import { createHash } from 'node:crypto';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import { Backplane, backplaneDefaults } from '../../src/core/backplane/backplane.ts';
import { BackplanePeers } from '../../src/core/backplane/backplane-peers.ts';
import type { Transport } from '../../src/core/backplane/transport.ts';
import type { UserKey } from '../../src/core/glossary.ts';
import { userKey } from '../../src/core/user-key.ts';
import { backplaneObserver } from './observer.ts';
import { ReconnectingTransport } from './reconnecting-transport.ts';
import type { TransportOf } from './transport-of.ts';

/** Every transport of this service, by name. */
export const transports: Readonly<Record<string, TransportOf>> = {
  // its libraries take a third of a boot that does not need them
  postgres: async (app, config) => (await import('./postgres/index.ts')).postgresTransportOf(app, config),
  redis: async (app, config) => (await import('./redis/index.ts')).redisTransportOf(app, config),
};

declare module 'fastify' {
  interface FastifyInstance {
    /** The other replicas; undefined where the store cannot be shared. */
    peers: BackplanePeers | undefined;
  }
}

/** 64 bits of a hash. */
const presenceKey = (owner: UserKey): string =>
  createHash('sha1').update(userKey(owner)).digest('base64url').slice(0, 11);

/** How often the store is looked at while the replicas cannot hear each other, in milliseconds. */
const checkMs = 1_000;

/** By what the replicas hear each other; undefined where the store cannot be shared, so that there are none. */
function transportFor({ store, redisUrl }: Config): string | undefined {
  if (store.driver === 'memory') return undefined;
  if (redisUrl !== undefined) return 'redis';
  return store.driver === 'postgres' ? 'postgres' : undefined;
}

/** What carries live messages to the other replicas. It connects once the live hub is there to be told. */
export default fp<{ config: Config; wrap?: ((transport: Transport) => Transport) | undefined }>(
  async (app, { config, wrap = (transport) => transport }) => {
    const { log, ambient, meters } = app;
    const name = transportFor(config);
    const open = name === undefined ? undefined : transports[name];
    if (open === undefined) {
      if (config.redisUrl !== undefined)
        log.warn(
          'NOTIFY_REDIS_URL is not used: a memory store is not shared, so there are no other replicas',
        );
      app.decorate('peers', undefined);
      return;
    }
    const transport = wrap(new ReconnectingTransport(await open(app, config), ambient));
    const observer = backplaneObserver(log, meters.backplaneConnected, ambient.clock, transport.name);
    const backplane = new Backplane(transport, ambient, backplaneDefaults, observer);
    const peers = new BackplanePeers(backplane, presenceKey, ambient.clock, checkMs);
    app.decorate('peers', peers);
    app.addHook('onReady', () => peers.open(app.liveHub, () => app.dispatcher.wake()));
    app.addHook('onClose', () => peers.close());
  },
  { name: 'backplane', dependencies: ['ambient', 'notify-metrics', 'store'] },
);
