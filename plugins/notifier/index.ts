import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import { Attempts } from '../../src/core/notifier/attempts.ts';
import { Notifier } from '../../src/core/notifier/notifier.ts';

declare module 'fastify' {
  interface FastifyInstance {
    notifier: Notifier;
  }
}

/** What a producer calls. On close, attempts that are under way are finished first. */
export default fp<{ config: Config }>(
  async (app, { config }) => {
    const { store, liveHub: hub, providers, ambient, meters, log } = app;
    const attempts = new Attempts(ambient, ({ channel, provider, status, durationMs, error }) => {
      meters.send(channel, provider, status, durationMs / 1000);
      if (error !== undefined) log.warn({ channel, provider, status, err: error }, 'send_failed');
    });
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
    app.addHook('preClose', () => attempts.settled());
  },
  { name: 'notifier', dependencies: ['ambient', 'store', 'live-hub', 'providers', 'notify-metrics'] },
);
