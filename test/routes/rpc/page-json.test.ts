import assert from 'node:assert/strict';
import { it } from 'node:test';
import { create, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { GetNotificationsResponseSchema } from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { notificationToWire, pageToJson } from '../../../routes/rpc/wire/notification.ts';
import { anyNotification, count, text } from '../../support/any-notification.ts';

it('writes a page of the inbox as the library would', () => {
  fc.assert(
    fc.property(
      fc.array(anyNotification, { maxLength: 3 }),
      text,
      fc.record({
        unreadCount: count,
        unseenCount: count,
        version: count,
        newestPosition: count,
        oldestResumable: count,
      }),
      (notifications, nextCursor, summary) => {
        const { unreadCount, unseenCount, newestPosition, version } = summary;
        const message = create(GetNotificationsResponseSchema, {
          notifications: notifications.map(notificationToWire),
          nextCursor,
          unreadCount,
          unseenCount,
          position: BigInt(newestPosition),
          version: BigInt(version),
        });
        assert.deepEqual(
          JSON.parse(pageToJson({ notifications, nextCursor, summary })),
          toJson(GetNotificationsResponseSchema, message, { alwaysEmitImplicit: true }),
        );
      },
    ),
  );
});
