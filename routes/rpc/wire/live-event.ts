import { create, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  InboxEventSchema,
  NotificationEventSchema,
  StreamEventSchema,
} from '../../../proto/gen/elloloop/notify/v1/notify_pb.ts';
import type { InboxNews, ItemEvent, LiveEvent } from '../../../src/core/live/events.ts';
import { notificationToJson, notificationToWire } from './notification.ts';
import { writeNotification } from './notification-binary.ts';

/**
 * Encodes the event that was encoded last without doing it again: the hub hands one object to all of a user's sessions in
 * a row, so one event is serialized once for each encoding.
 */
function once<T>(encode: (event: LiveEvent) => T): (event: LiveEvent) => T {
  let last: LiveEvent | undefined;
  let encoded: T | undefined;
  return (event) => {
    if (event !== last || encoded === undefined) {
      encoded = encode(event);
      last = event;
    }
    return encoded;
  };
}

/** The name of an event in server-sent events, and of its field in StreamEvent's JSON. */
const jsonNames: Record<LiveEvent['kind'], string> = {
  heartbeat: 'heartbeat',
  notification: 'notification',
  data_change: 'dataChange',
  inbox: 'inbox',
  reset: 'reset',
  end: 'end',
};

/** An event's message as protobuf JSON in one line, defaults written. */
const innerJson = once((event) => {
  switch (event.kind) {
    case 'notification':
      return notificationToJson(event.notification);
    case 'heartbeat':
      return JSON.stringify({
        timestampMs: String(event.timestampMs),
        inboxVersion: String(event.inboxVersion),
      });
    case 'data_change':
      return JSON.stringify(event.hint);
    case 'inbox':
      return JSON.stringify(
        toJson(InboxEventSchema, create(InboxEventSchema, inboxToWire(event.change)), {
          alwaysEmitImplicit: true,
        }),
      );
    case 'reset':
      return '{}';
    case 'end':
      return JSON.stringify({ reason: event.reason, reconnect: event.reconnect });
  }
});

let lastText:
  | { readonly event: LiveEvent; readonly position: number | undefined; readonly text: string }
  | undefined;

/**
 * A server-sent event: its `data:` is the inner message, and a heartbeat's names the session as well. JSON holds no raw line break, so that
 * is one line. All of a user's sessions that have reached one position are given one text, and hold one where they are slow.
 */
export function sseText(event: LiveEvent, sessionId: string, position: number | undefined): string {
  if (event.kind === 'heartbeat')
    return sse(event, position, `{"sessionId":"${sessionId}",${innerJson(event).slice(1)}`);
  if (lastText?.event !== event || lastText.position !== position)
    lastText = { event, position, text: sse(event, position, innerJson(event)) };
  return lastText.text;
}

const sse = ({ kind }: LiveEvent, position: number | undefined, json: string): string =>
  `${position === undefined ? '' : `id: ${position}\n`}event: ${kind}\ndata: ${json}\n\n`;

/** A StreamEvent as protobuf JSON, defaults written; a position only where there is one. */
export function streamEventJson(event: LiveEvent, sessionId: string, position: number | undefined): string {
  const inner = event.kind === 'notification' ? `{"notification":${innerJson(event)}}` : innerJson(event);
  const end = position === undefined ? '}' : `,"position":"${position}"}`;
  return `{"sessionId":${JSON.stringify(sessionId)},"${jsonNames[event.kind]}":${inner}${end}`;
}

const { field } = StreamEventSchema;
const itemField = NotificationEventSchema.field.notification.number;

const innerBinary = once((event) =>
  event.kind === 'notification'
    ? written((writer) => {
        writer.tag(field.notification.number, WireType.LengthDelimited).fork();
        writer.tag(itemField, WireType.LengthDelimited).fork();
        writeNotification(writer, event.notification);
        writer.join().join();
      })
    : toBinary(StreamEventSchema, create(StreamEventSchema, { event: eventToWire(event) })),
);

/** Flags and length, which come before each message of a stream: Connect and gRPC have the same. */
const envelopeHead = new Uint8Array(5);

/**
 * A StreamEvent as binary protobuf in its envelope: the shared part with the session's own fields around it, since messages join.
 */
export function streamEventEnvelope(
  event: LiveEvent,
  sessionId: string,
  position: number | undefined,
): Uint8Array {
  const inner = innerBinary(event);
  const bytes = written((writer) => {
    writer
      .raw(envelopeHead)
      .tag(field.sessionId.number, WireType.LengthDelimited)
      .string(sessionId)
      .raw(inner);
    if (position !== undefined) writer.tag(field.position.number, WireType.Varint).int64(position);
  });
  new DataView(bytes.buffer).setUint32(1, bytes.length - envelopeHead.length);
  return bytes;
}

/** A writer's buffer that is larger is not kept. */
const keptBytes = 64 * 1024;
let free: BinaryWriter | undefined;

/** Lends a writer, since a new one makes its buffer anew, small at first: that took longer than what is written. */
function written(write: (writer: BinaryWriter) => void): Uint8Array<ArrayBuffer> {
  const writer = free ?? new BinaryWriter();
  free = undefined; // also where `write` throws, and leaves a half behind
  write(writer);
  const bytes = writer.finish();
  if (bytes.length <= keptBytes) free = writer;
  return bytes;
}

function eventToWire(
  event: Exclude<LiveEvent, ItemEvent>,
): NonNullable<MessageInitShape<typeof StreamEventSchema>['event']> {
  switch (event.kind) {
    case 'heartbeat':
      return {
        case: 'heartbeat',
        value: { timestampMs: BigInt(event.timestampMs), inboxVersion: BigInt(event.inboxVersion) },
      };
    case 'data_change':
      return { case: 'dataChange', value: { ...event.hint } };
    case 'inbox':
      return { case: 'inbox', value: inboxToWire(event.change) };
    case 'reset':
      return { case: 'reset', value: {} };
    case 'end':
      return { case: 'end', value: { reason: event.reason, reconnect: event.reconnect } };
  }
}

function inboxToWire(change: InboxNews): MessageInitShape<typeof InboxEventSchema> {
  const {
    summary,
    readIds = [],
    unreadIds = [],
    removedIds = [],
    readUpToPosition = 0,
    updated = [],
  } = change;
  return {
    unreadCount: summary.unreadCount,
    unseenCount: summary.unseenCount,
    version: BigInt(summary.version),
    readIds: [...readIds],
    unreadIds: [...unreadIds],
    removedIds: [...removedIds],
    readUpToPosition: BigInt(readUpToPosition),
    updated: updated.map(notificationToWire),
  };
}
