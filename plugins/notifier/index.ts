import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import { Notifier } from '../../src/core/notifier/notifier.ts';

declare module 'fastify' {
  interface FastifyInstance {
    notifier: Notifier;
  }
}

/** What a producer calls. */
export default fp<{ config: Config }>(
  async (app, { config }) => {
    const { store, liveHub: hub, providers, attempts, storeAmbient: ambient, log } = app;
    app.decorate(
      'notifier',
      new Notifier(
        { store, hub, providers, attempts, ambient },
        {
          liveEnabled: config.live.enabled,
          syncAttemptTimeoutMs: config.syncAttemptTimeoutMs,
          confirmTimeoutMs: config.live.confirmTimeoutMs,
        },
        (what, error) => log.error({ err: error, what }, 'notify_failed'),
      ),
    );
  },
  { name: 'notifier', dependencies: ['store', 'live-hub', 'providers', 'dispatcher'] },
);
