import type { FastifyInstance } from 'fastify';
import type { Config } from '../../../src/config.ts';
import type { Channel } from '../../../src/core/glossary.ts';
import { mailboxOf } from '../email/address.ts';
import { connectionsFor } from '../open.ts';
import { readHttpProviders } from './file.ts';
import { HttpApiProvider } from './provider.ts';

/**
 * Adds the providers of NOTIFY_HTTP_PROVIDERS to those that a channel may name.
 * @param isTaken whether a channel has a provider of that name already
 * @throws HttpProvidersError
 */
export async function registerHttpProviders(
  app: FastifyInstance,
  { httpProvidersFile, httpVariables }: Config,
  isTaken: (channel: Channel, name: string) => boolean,
): Promise<void> {
  if (httpProvidersFile === undefined) return;
  const found = await readHttpProviders(httpProvidersFile, { env: httpVariables, isTaken });
  const read = new Set([...found.values()].flatMap(({ variables }) => [...variables]));
  for (const variable of Object.keys(httpVariables))
    if (!read.has(variable)) app.log.warn({ variable }, 'unknown_variable: no HTTP provider reads it');
  for (const [name, compiled] of found)
    for (const channel of compiled.definition.channels)
      app.registerProvider(channel, name, async ({ egress, ambient }, config) => {
        const { email } = config;
        const from = channel === 'email' && email !== undefined ? mailboxOf(email.from) : undefined;
        if (channel === 'email' && from === undefined)
          throw new Error('NOTIFY_EMAIL_FROM: its address is none; write notify@example.com');
        return new HttpApiProvider(channel, name, compiled, {
          egress,
          clock: ambient.clock,
          from,
          connections: connectionsFor(config, channel, name),
        });
      });
}
