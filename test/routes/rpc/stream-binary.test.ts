import assert from 'node:assert/strict';
import { it } from 'node:test';
import { create, fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { StreamEventSchema } from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import { streamEventEnvelope } from '../../../routes/rpc/wire/live-event.ts';
import { notificationToWire } from '../../../routes/rpc/wire/notification.ts';
import type { Notification } from '../../../src/core/glossary.ts';
import type { ItemEvent } from '../../../src/core/live/events.ts';
import { anyNotification, count, text } from '../../support/any-notification.ts';

const itemEvent = (notification: Notification): ItemEvent => ({
  kind: 'notification',
  notification,
  first: false,
});

/** The message in an envelope, whose head is checked. */
function opened(envelope: Uint8Array) {
  const head = Buffer.from(envelope.subarray(0, 5));
  assert.equal(head.readUInt8(0), 0);
  assert.equal(head.readUInt32BE(1), envelope.length - 5);
  return fromBinary(StreamEventSchema, envelope.subarray(5));
}

const expected = (notification: Notification, sessionId: string, position: number | undefined) =>
  create(StreamEventSchema, {
    sessionId,
    event: { case: 'notification', value: { notification: notificationToWire(notification) } },
    ...(position !== undefined && { position: BigInt(position) }),
  });

it('writes an item for RPC streams as the library would, for one session after the other', () => {
  fc.assert(
    fc.property(
      anyNotification,
      fc.array(fc.tuple(text, fc.option(count, { nil: undefined })), { minLength: 1, maxLength: 3 }),
      (notification, sessions) => {
        const event = itemEvent(notification);
        for (const [sessionId, position] of sessions)
          assert.deepEqual(
            opened(streamEventEnvelope(event, sessionId, position)),
            expected(notification, sessionId, position),
          );
      },
    ),
  );
});

it('an item that cannot be written harms no other, and a large one neither', () => {
  const [notification] = fc.sample(anyNotification, { numRuns: 1, seed: 1 }) as [Notification];
  const wholeEnvelope = () => opened(streamEventEnvelope(itemEvent(notification), 'session', 7));
  assert.throws(() => streamEventEnvelope(itemEvent({ ...notification, data: '{"a":' }), 'session', 7));
  assert.deepEqual(wholeEnvelope(), expected(notification, 'session', 7));
  const large = { ...notification, body: 'é'.repeat(400_000) };
  assert.deepEqual(
    opened(streamEventEnvelope(itemEvent(large), 'session', 8)),
    expected(large, 'session', 8),
  );
  assert.deepEqual(wholeEnvelope(), expected(notification, 'session', 7));
});
