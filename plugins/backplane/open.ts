import type { FastifyInstance } from 'fastify';
import type { Config } from '../../src/config.ts';
import type { Transport } from '../../src/core/backplane/transport.ts';

/** Makes a transport for this core. It connects when it is opened. */
export type OpenTransport = (app: FastifyInstance, config: Config) => Promise<Transport>;
