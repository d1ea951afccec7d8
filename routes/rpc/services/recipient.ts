import type { FastifyInstance } from 'fastify';
import { RecipientService } from '../../../proto/gen/notify/v1/recipient_pb.ts';
import { invalidArgument, NotifyError } from '../../../src/core/errors.ts';
import { limits, Violations } from '../../../src/core/notifier/validate.ts';
import type { RpcService, UnaryMethods } from '../call.ts';
import { channelFromWire } from '../wire/enums.ts';
import { deadAddressToWire, recipientFromWire, recipientToWire } from '../wire/recipient.ts';
import { channelOf } from './delivery.ts';
import { producerOnly } from './notification-internal.ts';

export function recipient(app: FastifyInstance): RpcService {
  const { recipients } = app;
  const unary: UnaryMethods<typeof RecipientService> = {
    async putRecipient({ tenantId, recipient }) {
      await recipients.put(tenantId, recipient && recipientFromWire(recipient));
      return {};
    },
    async putRecipients({ tenantId, recipients: given }) {
      await recipients.putAll(tenantId, given.map(recipientFromWire));
      return {};
    },
    async getRecipient(request) {
      return { recipient: recipientToWire(await recipients.get(request)) };
    },
    async eraseRecipient(request) {
      return { erased: await recipients.erase(request) };
    },
    async listDeadAddresses(request) {
      const page = await recipients.listDead({ ...request, channel: channelOf(request.channel) });
      return { addresses: page.addresses.map(deadAddressToWire), nextCursor: page.nextCursor };
    },
    async reviveAddress({ tenantId, channel, address }) {
      return { revived: await recipients.revive(tenantId, channelFromWire.get(channel), address) };
    },
    async getWebhookSecret({ tenantId, url }) {
      const v = new Violations();
      v.text('tenant_id', tenantId, limits.idBytes, true);
      v.text('url', url, limits.addressBytes, true);
      if (url.trim() !== '' && !/^https?:\/\/[^\s]+$/.test(url))
        v.add('url', 'must be an https URL, exactly as in the address');
      if (v.found.length > 0) throw invalidArgument(v.found);
      const [secret] = app.webhookKeys?.of(tenantId, url) ?? [];
      if (secret === undefined)
        throw new NotifyError('unimplemented', 'the webhook channel is off: set NOTIFY_WEBHOOK_SECRET');
      return { secret };
    },
  };
  return {
    desc: RecipientService,
    unary: unary as unknown as RpcService['unary'],
    checks: {
      putRecipients: {
        lists: [
          {
            field: 'recipients',
            items: limits.recipientsPerCall,
            description: `must be at most ${limits.recipientsPerCall.toLocaleString('en')}; split the call`,
          },
        ],
      },
    },
    authenticate: producerOnly(app),
  };
}
