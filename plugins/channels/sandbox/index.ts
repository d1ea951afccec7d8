import type { FastifyInstance } from 'fastify';
import type { Config } from '../../../src/config.ts';
import type { ChannelProvider } from '../../../src/core/channel.ts';
import { addressOf } from '../email/address.ts';
import { letterOf } from '../test/mailbox.ts';
import { Sandbox } from './decision.ts';
import { SandboxedProvider } from './sandboxed-provider.ts';

/**
 * Puts the sandbox of NOTIFY_SANDBOX in front of a provider. What it keeps is in the log, by ids; in dev mode its texts are in the
 * mailbox too.
 * @returns the provider as it is where there is no sandbox
 * @throws Error where mail would be redirected to what is no address
 */
export function sandboxing(
  { log, meters, ambient, testProviders }: FastifyInstance,
  { sandbox: { rule, allow }, auth: { devMode } }: Config,
): (provider: ChannelProvider) => ChannelProvider {
  if (rule === undefined) return (provider) => provider;
  if (rule.kind === 'redirect' && rule.to.email !== undefined && addressOf(rule.to.email) === undefined)
    throw new Error('NOTIFY_SANDBOX: its address for email is none; write redirect:email=qa@example.com');
  const sandbox = new Sandbox(rule, allow);
  return (provider) =>
    new SandboxedProvider(provider, sandbox, (diversion, { channel, name }, message, { idempotencyKey }) => {
      const { tenantId, id, deliveryId } = message;
      log.info({ channel, provider: name, tenant_id: tenantId, id, delivery_id: deliveryId }, diversion);
      meters.diverted(channel, name, diversion);
      if (devMode && diversion === 'sandbox_captured')
        testProviders.mailbox.add(letterOf(channel, message, idempotencyKey, ambient.clock.now()))(
          'captured',
        );
    });
}
