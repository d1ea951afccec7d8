import type { FastifyInstance } from 'fastify';
import type { Config } from '../../src/config.ts';
import type { TransportKind } from './reconnecting-transport.ts';

/** Says how a transport connects with this configuration. */
export type TransportOf = (app: FastifyInstance, config: Config) => Promise<TransportKind>;
