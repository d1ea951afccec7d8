import type { FastifyInstance } from 'fastify';
import {
  type GetNotificationsRequest,
  NotificationClientService,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { invalidArgument } from '../../../src/core/errors.ts';
import type { Channel, UserKey } from '../../../src/core/glossary.ts';
import type { InboxPage } from '../../../src/core/inbox.ts';
import { limits, Violations } from '../../../src/core/notifier/validate.ts';
import type { StreamOptions } from '../../live/response-sink.ts';
import type { RecipientCall, RpcService, UnaryMethods } from '../call.ts';
import { streamEvents } from '../stream-events.ts';
import { channelFromWire, deviceTypeFromWire } from '../wire/enums.ts';
import { notificationToWire, pageToJson } from '../wire/notification.ts';

export function notificationClient(app: FastifyInstance, options: StreamOptions): RpcService {
  const { inbox, liveHub, devices } = app;
  const page = async (request: GetNotificationsRequest, owner: UserKey): Promise<InboxPage> => {
    const v = new Violations();
    const channels: Channel[] = [];
    request.channels.forEach((number, i) => {
      const channel = channelFromWire.get(number);
      if (channel) channels.push(channel);
      else v.add(`channels[${i}]`, 'must name a channel');
    });
    request.types.forEach((type, i) => {
      v.text(`types[${i}]`, type, limits.idBytes);
    });
    if (v.found.length > 0) throw invalidArgument(v.found);
    return inbox.list(owner, {
      cursor: request.cursor,
      limit: request.limit,
      unreadOnly: request.unreadOnly,
      types: request.types,
      channels,
      archived: request.archived ?? false,
    });
  };
  const unary: UnaryMethods<typeof NotificationClientService, RecipientCall> = {
    async getNotifications(request, { principal }) {
      const { notifications, nextCursor, summary } = await page(request, principal);
      return {
        notifications: notifications.map(notificationToWire),
        nextCursor,
        unreadCount: summary.unreadCount,
        unseenCount: summary.unseenCount,
        position: BigInt(summary.newestPosition),
        version: BigInt(summary.version),
      };
    },
    async ackNotification({ id }, { principal }) {
      await inbox.read(principal, id);
      return {};
    },
    async ackDataChange({ idempotencyKey, sessionId }, { principal }) {
      const v = new Violations();
      v.present('idempotency_key', idempotencyKey);
      v.present('session_id', sessionId);
      if (v.found.length > 0) throw invalidArgument(v.found);
      liveHub.acknowledgeHint(principal, sessionId, idempotencyKey);
      return {};
    },
    async registerPushToken({ deviceType, deviceId = '', token }, { principal }) {
      await devices.register(principal, { deviceType: deviceTypeFromWire.get(deviceType), deviceId, token });
      return {};
    },
  };
  return {
    desc: NotificationClientService,
    unary: unary as unknown as RpcService['unary'],
    json: {
      getNotifications: async (request, { principal }) =>
        pageToJson(await page(request as GetNotificationsRequest, principal as UserKey)),
    },
    streams: { streamEvents: streamEvents(app, options) },
    authenticate: recipientOnly(app),
  };
}

/** Lets recipients in by their own token. */
export const recipientOnly =
  (app: FastifyInstance): RpcService['authenticate'] =>
  (request) =>
    app.auth.recipient(request.headers.authorization);
