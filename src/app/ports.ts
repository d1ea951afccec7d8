import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import devDeliveries from '../../routes/dev/deliveries.ts';
import devTestProvider from '../../routes/dev/test-provider.ts';
import events from '../../routes/events/index.ts';
import health, { type Readiness } from '../../routes/health/index.ts';
import metricsRoute from '../../routes/metrics/index.ts';
import playground, { type PlaygroundFacts } from '../../routes/playground/index.ts';
import receiptsRoute from '../../routes/receipts/index.ts';
import rpc from '../../routes/rpc/index.ts';
import { deliveryService } from '../../routes/rpc/services/delivery.ts';
import { inboxService } from '../../routes/rpc/services/inbox.ts';
import { notificationClient } from '../../routes/rpc/services/notification-client.ts';
import { notificationInternal } from '../../routes/rpc/services/notification-internal.ts';
import { producer } from '../../routes/rpc/services/producer.ts';
import { recipient } from '../../routes/rpc/services/recipient.ts';
import type { Config } from '../config.ts';
import { corsOptions } from './cors.ts';

/**
 * What recipients can call.
 * @param finishTimeoutMs how long a stream that ends waits for its reader, in milliseconds
 */
export async function registerClientPort(
  client: FastifyInstance,
  config: Config,
  finishTimeoutMs: number,
): Promise<void> {
  if (config.allowedOrigins.length > 0) await client.register(cors, corsOptions(config.allowedOrigins));
  const streams = { liveEnabled: config.live.enabled, finishTimeoutMs };
  const push = { vapidPublicKey: config.webPush.vapid?.publicKey ?? '' };
  await client.register(rpc, {
    services: [notificationClient(client, streams), inboxService(client, push)],
  });
  await client.register(events, streams);
  await client.register(receiptsRoute);
}

/** What dev mode serves beside that, on the same port. */
export async function registerDevRoutes(
  client: FastifyInstance,
  facts: () => PlaygroundFacts,
): Promise<void> {
  await client.register(playground, { facts });
  await client.register(devTestProvider);
  await client.register(devDeliveries);
}

/** What backends can call. */
export async function registerInternalPort(internal: FastifyInstance): Promise<void> {
  await internal.register(rpc, {
    services: [
      notificationInternal(internal),
      producer(internal),
      deliveryService(internal),
      recipient(internal),
    ],
  });
}

/** What operators look at. */
export async function registerOpsPort(ops: FastifyInstance, readiness: Readiness): Promise<void> {
  await ops.register(health, { readiness });
  await ops.register(metricsRoute);
}
