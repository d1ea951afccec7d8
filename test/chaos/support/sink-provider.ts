/** A module for NOTIFY_PLUGINS: an email provider that posts every message to the test's sink (sink.ts). */
import type { FastifyInstance } from 'fastify';
import { type ChannelProvider, DeliveryError } from '../../../src/core/channel.ts';

/** A message to it ends the process in the middle of the attempt. */
const deadly = process.env.CHAOS_DEADLY ?? '';

const provider = (url: string): ChannelProvider => ({
  channel: 'email',
  name: 'sink',
  async send({ destination, content, userId }, { signal, idempotencyKey }) {
    if (deadly !== '' && destination === deadly) process.exit(70);
    const { notificationId } = content;
    const body = JSON.stringify({
      key: idempotencyKey,
      destination,
      notificationId,
      userId,
      pid: process.pid,
    });
    const { ok } = await fetch(url, { method: 'POST', body, signal });
    if (!ok) throw new DeliveryError('try_later', 'the sink said 503', { retryable: true });
    return { providerMessageId: idempotencyKey };
  },
});

export const core = async (app: FastifyInstance): Promise<void> => {
  app.registerProvider('email', 'sink', async () => provider(process.env.CHAOS_SINK ?? ''));
};
