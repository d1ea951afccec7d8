import type { FastifyInstance } from 'fastify';
import type { Config } from '../../src/config.ts';
import type { Store } from '../../src/core/store.ts';

/** Opens a store for this core. Closing is the caller's. */
export type OpenStore = (app: FastifyInstance, config: Config) => Promise<Store>;
