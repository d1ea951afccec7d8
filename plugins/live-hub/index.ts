import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import { LiveHub } from '../../src/core/live/hub.ts';
import { inAppProvider } from '../../src/core/notifier/plan.ts';

declare module 'fastify' {
  interface FastifyInstance {
    liveHub: LiveHub;
  }
}

/** Every live stream of this process, with its logs and metrics. */
export default fp<{ live: Config['live'] }>(
  async (app, { live }) => {
    const { meters, log } = app;
    const named = (session: { id: string; tenantId: string; userId: string; deviceType: string }) => ({
      session_id: session.id,
      tenant_id: session.tenantId,
      user_id: session.userId,
      device_type: session.deviceType,
    });
    app.decorate(
      'liveHub',
      new LiveHub(
        app.store,
        app.storeAmbient,
        live,
        {
          opened(session) {
            meters.liveConnections(session.deviceType, 1);
            log.info(named(session), 'stream_open');
          },
          closed(session, reason) {
            meters.liveConnections(session.deviceType, -1);
            meters.streamEnd(reason);
            log.info({ ...named(session), reason }, 'stream_close');
          },
          sent: meters.streamEvent,
          delivered: (afterMs) => meters.send('in_app', inAppProvider, 'delivered', afterMs / 1000),
          slow(session, cut) {
            meters.streamBlocked();
            log.warn({ ...named(session), cut }, 'event_queue_full');
          },
          failed(what, error) {
            log.error({ err: error, what }, 'live_failed');
          },
        },
        app.peers,
      ),
    );
  },
  { name: 'live-hub', dependencies: ['store', 'backplane', 'notify-metrics'] },
);
