import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import { Attempts } from '../../src/core/dispatcher/attempts.ts';
import { Dispatcher } from '../../src/core/dispatcher/dispatcher.ts';
import { type DispatcherSettings, dispatcherDefaults, limitsOf } from '../../src/core/dispatcher/settings.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** The deliveries that this process holds. */
    attempts: Attempts;
    dispatcher: Dispatcher;
  }
}

/** Before the hard deadline of a stop, in milliseconds: what is aborted then is still written. */
const lastWordsMs = 1_000;

/** Drains the outbox. On close, what waits is handed back and what is under way is finished first. */
export default fp<{ config: Config; settings?: Partial<DispatcherSettings> | undefined }>(
  async (app, { config, settings }) => {
    const { store: outbox, liveHub: hub, providers, storeAmbient: ambient, meters, log } = app;
    const all: DispatcherSettings = {
      ...dispatcherDefaults,
      retry: config.retry,
      limits: config.sending,
      ...settings,
    };
    const attempts = new Attempts({ outbox, providers, ambient }, all, {
      attempted({
        tenantId,
        userId,
        deliveryId,
        isRetry,
        channel,
        provider,
        status,
        next,
        durationMs,
        error,
      }) {
        meters.send(channel, provider, status, durationMs / 1000);
        if (error === undefined) return;
        const whose = { tenant_id: tenantId, user_id: userId, delivery_id: deliveryId };
        const goesOn = next !== undefined && { next_provider: next };
        log.warn(
          { ...whose, channel, provider, status, ...goesOn, err: error },
          isRetry ? 'retry_failed' : 'send_failed',
        );
      },
      providerDown: ({ channel, provider, reason, probeInMs }) =>
        log.error({ channel, provider, reason, probe_in_ms: probeInMs }, 'provider_down'),
      providerUp: ({ channel, provider }) => log.info({ channel, provider }, 'provider_up'),
      leaseLost: (deliveryId) =>
        log.warn({ delivery_id: deliveryId }, 'lease_lost: it took too long, and may be sent twice'),
      handedBack: () => {
        app.peers?.workLeft();
        dispatcher.wake();
      },
      failed: (what, error) => log.error({ err: error, what }, 'dispatcher_failed'),
    });
    const dispatcher = new Dispatcher({ outbox, hub, attempts, ambient }, all, {
      storeAway: (error) =>
        log.warn({ err: error }, 'dispatcher_waits: the store cannot be asked what is due'),
      storeBack: () => log.info('dispatcher_goes_on'),
    });
    for (const { channel, name: provider, usualRate } of [...providers.values()].flat())
      if (usualRate !== undefined && limitsOf(all, { channel, name: provider }).rate === undefined)
        log.info({ channel, provider, rate: usualRate }, 'usual_rate: its NOTIFY_…_RATE sets another');
    app.decorate('attempts', attempts);
    app.decorate('dispatcher', dispatcher);
    app.addHook('onReady', async () => dispatcher.start());
    app.addHook('preClose', () => dispatcher.stop(Math.max(0, config.shutdownTimeoutMs - lastWordsMs)));
  },
  {
    name: 'dispatcher',
    dependencies: ['store', 'backplane', 'live-hub', 'providers', 'notify-metrics'],
  },
);
