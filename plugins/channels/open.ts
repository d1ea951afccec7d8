import type { FastifyInstance } from 'fastify';
import type { Config } from '../../src/config.ts';
import type { ChannelProvider } from '../../src/core/channel.ts';

/** Opens a provider for this core. It is closed with it. */
export type OpenProvider = (app: FastifyInstance, config: Config) => Promise<ChannelProvider>;
