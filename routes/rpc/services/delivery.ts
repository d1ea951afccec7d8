import { create, toJson } from '@bufbuild/protobuf';
import type { FastifyInstance } from 'fastify';
import { type DeliveryChannel, DeliveryStatus } from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { DeliveryService, GetDeliveryResponseSchema } from '../../../proto/gen/notify/v1/delivery_pb.ts';
import { invalidArgument } from '../../../src/core/errors.ts';
import type { Channel } from '../../../src/core/glossary.ts';
import type { RpcService, UnaryMethods } from '../call.ts';
import { deliveryToWire } from '../wire/delivery.ts';
import { channelFromWire, deliveryStatusFromWire } from '../wire/enums.ts';
import { producerOnly } from './notification-internal.ts';

export function deliveryService(app: FastifyInstance): RpcService {
  const { deliveries } = app;
  const unary: UnaryMethods<typeof DeliveryService> = {
    async listDeliveries(request) {
      const page = await deliveries.list({
        ...request,
        channel: channelOf(request.channel),
        status: statusOf(request.status),
      });
      return { deliveries: page.deliveries.map(deliveryToWire), nextCursor: page.nextCursor };
    },
    async getDelivery({ tenantId, id }) {
      return { delivery: deliveryToWire(await deliveries.get(tenantId, id)) };
    },
    async retryDeliveries(request) {
      return { retried: await deliveries.retry({ ...request, channel: channelOf(request.channel) }) };
    },
  };
  return {
    desc: DeliveryService,
    unary: unary as unknown as RpcService['unary'],
    authenticate: producerOnly(app),
  };
}

/** GetDelivery in JSON, for pages of our own. */
export function deliveryJson(app: FastifyInstance): (tenantId: string, id: string) => Promise<string> {
  return async (tenantId, id) => {
    const delivery = deliveryToWire(await app.deliveries.get(tenantId, id));
    const response = create(GetDeliveryResponseSchema, { delivery });
    return JSON.stringify(toJson(GetDeliveryResponseSchema, response, { alwaysEmitImplicit: true }));
  };
}

/** A channel to filter by; undefined: any. @throws NotifyError invalid_argument for a number that is none */
export function channelOf(number: DeliveryChannel): Channel | undefined {
  const channel = channelFromWire.get(number);
  if (channel === undefined && number !== 0)
    throw invalidArgument([{ field: 'channel', description: 'must name a channel, or be left out for any' }]);
  return channel;
}

/** @throws NotifyError invalid_argument for a number that is no status of a delivery */
function statusOf(number: DeliveryStatus) {
  const status = deliveryStatusFromWire.get(number);
  if (status === undefined && number !== DeliveryStatus.UNSPECIFIED)
    throw invalidArgument([
      {
        field: 'status',
        description:
          'must be PENDING, DELIVERED, ACKED, FAILED or SUPPRESSED; read is a state of the inbox item, not of a delivery',
      },
    ]);
  return status;
}
