import type { FastifyInstance } from 'fastify';
import { RecipientService } from '../../../proto/gen/notify/v1/recipient_pb.ts';
import { invalidArgument, NotifyError } from '../../../src/core/errors.ts';
import { limits, Violations } from '../../../src/core/notifier/validate.ts';
import type { RpcService, UnaryMethods } from '../call.ts';
import { producerOnly } from './notification-internal.ts';

export function recipient(app: FastifyInstance): RpcService {
  const unary: UnaryMethods<typeof RecipientService> = {
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
    authenticate: producerOnly(app),
  };
}
