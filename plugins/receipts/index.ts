import fp from 'fastify-plugin';
import { Receipts } from '../../src/core/receipts/receipts.ts';

declare module 'fastify' {
  interface FastifyInstance {
    receipts: Receipts;
  }
}

/** What providers say of deliveries afterwards. */
export default fp(
  async (app) => {
    const { store, receiptReaders, meters, log } = app;
    /** Providers whose callbacks are refused: said once, since anybody may post here. */
    const refusing = new Set<string>();
    app.decorate(
      'receipts',
      new Receipts(store, receiptReaders, {
        recorded(provider, kind) {
          refusing.delete(provider);
          meters.receipt(provider, kind);
        },
        unknown: (provider) => meters.receipt(provider, 'unknown'),
        refused(provider, why) {
          meters.receipt(provider, 'refused');
          if (refusing.has(provider)) return;
          refusing.add(provider);
          log.warn({ provider, why }, 'receipts_refused');
        },
      }),
    );
  },
  { name: 'receipts', dependencies: ['store', 'providers', 'notify-metrics'] },
);
