import type { FastifyInstance } from 'fastify';
import type { Config } from '../../src/config.ts';
import type { ChannelProvider } from '../../src/core/channel.ts';

/** Opens a provider for this core. It is closed with it. */
export type OpenProvider = (app: FastifyInstance, config: Config) => Promise<ChannelProvider>;

/** A provider whose code, and that of the libraries it needs, is loaded when it is opened: most are never chosen. */
export const lazy =
  (load: () => Promise<{ readonly default: OpenProvider }>): OpenProvider =>
  async (app, config) =>
    (await load()).default(app, config);
