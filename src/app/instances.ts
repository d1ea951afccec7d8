import type { AddressInfo } from 'node:net';
import sensible from '@fastify/sensible';
import fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify';
import { answerConnectionError, answerFrameworkError, errorAnswers } from '../../routes/errors.ts';
import type { Config } from '../config.ts';
import { http1AndHttp2, type ListenerLimits } from '../listener.ts';
import type { Overrides } from './overrides.ts';
import { genReqId } from './request-ids.ts';

/** Fastify's own. */
const defaultPluginTimeoutMs = 10_000;

/** An instance without routes; core and each listener are one. */
export function createInstance(
  config: Config,
  overrides: Overrides,
  options: FastifyServerOptions,
): FastifyInstance {
  return fastify({
    ...(overrides.logger && { loggerInstance: overrides.logger }),
    // RPCs and streams have log lines of their own, which never hold a URL's access_token
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId,
    // it bounds closing too, which may take as long as a stop may
    pluginTimeout: Math.max(defaultPluginTimeoutMs, config.shutdownTimeoutMs),
    ...options,
  });
}

/** An instance that listens. Hand it core's decorators by `prepareListener` before its routes. */
export const createListener = (
  config: Config,
  overrides: Overrides,
  limits: Partial<ListenerLimits>,
): FastifyInstance =>
  createInstance(config, overrides, {
    serverFactory: http1AndHttp2(limits),
    clientErrorHandler: answerConnectionError,
    frameworkErrors: answerFrameworkError,
    return503OnClosing: false, // a browser's EventSource would stop for ever
    forceCloseConnections: 'idle',
  });

/** Hands a listener core's decorators, and what every route stands on. */
export async function prepareListener(listener: FastifyInstance, core: FastifyInstance): Promise<void> {
  for (const name of shared) listener.decorate(name, core[name] as never);
  await listener.register(sensible);
  await listener.register(errorAnswers);
}

/** Core's decorators, by name: what a listener is handed. */
const shared = [
  'ambient',
  'pressure',
  'auth',
  'store',
  'meters',
  'scrape',
  'providers',
  'testProviders',
  'liveHub',
  'webhookKeys',
  'notifier',
  'deliveries',
  'receipts',
  'inbox',
  'devices',
  'recipients',
] as const satisfies readonly (keyof FastifyInstance)[];

/** The port that an instance listens on; 0 while it does not. */
export function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo | null)?.port ?? 0;
}
