import { channelProviders } from '../../plugins/channels/index.ts';
import { storeDrivers } from '../../plugins/store/index.ts';
import type { Built } from '../config.ts';

/** What this version has the code of; the configuration refuses the rest by name. */
export const built: Built = {
  stores: Object.keys(storeDrivers),
  providers: Object.fromEntries(
    Object.entries(channelProviders).map(([channel, providers]) => [channel, Object.keys(providers)]),
  ),
  features: ['http_providers', 'plugins', 'redis', 'retry', 'sandbox', 'send_rates', 'webhook'],
};
