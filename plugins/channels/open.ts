import type { FastifyInstance } from 'fastify';
import type { Config } from '../../src/config.ts';
import type { ChannelProvider } from '../../src/core/channel.ts';
import { numberOf } from '../../src/core/dispatcher/settings.ts';

/** Opens a provider for this core. It is closed with it. */
export type OpenProvider = (app: FastifyInstance, config: Config) => Promise<ChannelProvider>;

/**
 * How many connections a provider may keep, where an operator says how many attempts it is given at once (NOTIFY_…_CONCURRENCY): what
 * has no connection would only wait for one. Undefined: the provider's usual number.
 */
export const connectionsFor = (
  { sending }: Config,
  channel: keyof Config['sending'],
  provider: string,
): number | undefined => numberOf(sending[channel].concurrency, provider);

/** A provider whose code, and that of the libraries it needs, is loaded when it is opened: most are never chosen. */
export const lazy =
  (load: () => Promise<{ readonly default: OpenProvider }>): OpenProvider =>
  async (app, config) =>
    (await load()).default(app, config);
