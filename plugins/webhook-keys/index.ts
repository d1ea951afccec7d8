import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import { WebhookKeys } from './webhook-keys.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined while the webhook channel is off. */
    webhookKeys: WebhookKeys | undefined;
  }
}

export default fp<{ config: Config }>(
  async (app, { config }) => {
    const { secrets } = config.webhook;
    app.decorate('webhookKeys', secrets === undefined ? undefined : new WebhookKeys(secrets));
  },
  { name: 'webhook-keys' },
);
