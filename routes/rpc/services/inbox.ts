import type { FastifyInstance } from 'fastify';
import { InboxService } from '../../../proto/gen/notify/v1/inbox_pb.ts';
import type { RecipientCall, RpcService, UnaryMethods } from '../call.ts';
import { deviceTypeFromWire } from '../wire/enums.ts';
import { notificationToWire } from '../wire/notification.ts';
import { recipientOnly } from './notification-client.ts';

export interface InboxOptions {
  /** What pages subscribe to web push with; '' while that is off. */
  readonly vapidPublicKey: string;
}

export function inboxService(app: FastifyInstance, { vapidPublicKey }: InboxOptions): RpcService {
  const { inbox } = app;
  const unary: UnaryMethods<typeof InboxService, RecipientCall> = {
    async getNotification({ id }, { principal }) {
      return { notification: notificationToWire(await inbox.get(principal, id)) };
    },
    async markSeen({ upToPosition }, { principal }) {
      await inbox.seenUpTo(principal, Number(upToPosition));
      return {};
    },
    async markAllRead({ upToPosition }, { principal }) {
      return { count: await inbox.readUpTo(principal, Number(upToPosition)) };
    },
    async markUnread({ id }, { principal }) {
      await inbox.unread(principal, id);
      return {};
    },
    async archive({ id }, { principal }) {
      await inbox.archive(principal, id);
      return {};
    },
    async unarchive({ id }, { principal }) {
      await inbox.unarchive(principal, id);
      return {};
    },
    async snooze({ id, untilMs }, { principal }) {
      await inbox.snooze(principal, id, untilMs);
      return {};
    },
    async unregisterPushToken({ deviceType, deviceId }, { principal }) {
      await app.devices.unregister(principal, { deviceType: deviceTypeFromWire.get(deviceType), deviceId });
      return {};
    },
    async getPushConfig() {
      return { vapidPublicKey };
    },
    async deleteNotification({ id }, { principal }) {
      await inbox.delete(principal, id);
      return {};
    },
  };
  return {
    desc: InboxService,
    unary: unary as unknown as RpcService['unary'],
    authenticate: recipientOnly(app),
  };
}
