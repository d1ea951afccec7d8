import type { DeliveryRecord } from './delivery-log.ts';
import { invalidArgument } from './errors.ts';
import type { Notification } from './glossary.ts';

/** What gRPC clients take at their defaults, in bytes of protobuf. */
const messageBytes = 4 * 2 ** 20;

/** What a list of an answer may take of that: the rest is for counts, cursors and frames. */
export const listBytes = messageBytes - 16 * 2 ** 10;

/** Numbers, enums, ids, and the tags and lengths of texts, of one item and of one delivery: more than they can take. */
const itemRestBytes = 512;
const deliveryRestBytes = 256;
const actionRestBytes = 24;

/** What a value of JSON takes in google.protobuf.Struct beside its text: frames of an entry, a key and a value; a double. */
const valueRestBytes = 26;

/** How many items from the first on fit one answer; one always does. */
export function fittingItems(notifications: readonly Notification[]): number {
  // most pages are far below it, and need no counting of bytes
  const most = notifications.reduce((sum, item) => sum + mostItemBytes(item), 0);
  return most <= listBytes ? notifications.length : fitting(notifications, itemBytes);
}

/** How many deliveries from the first on fit one answer; one always does. */
export const fittingDeliveries = (records: readonly DeliveryRecord[]): number =>
  fitting(records, deliveryBytes);

function fitting<T>(rows: readonly T[], bytesOf: (row: T) => number): number {
  let bytes = 0;
  const over = rows.findIndex((row) => {
    bytes += bytesOf(row);
    return bytes > listBytes;
  });
  return over === -1 ? rows.length : Math.max(1, over);
}

/** A UTF-16 unit takes at most three bytes of UTF-8, and each of JSON may be a value. */
function mostItemBytes(item: Notification): number {
  let units = 0;
  for (const text of textsOf(item)) units += text.length;
  return itemRestBytes + actionRestBytes * item.actions.length + 3 * units + dataUnits(item);
}

const dataUnits = ({ data }: Notification): number => (data?.length ?? 0) * (valueRestBytes + 3);

function itemBytes(item: Notification): number {
  let bytes = itemRestBytes + actionRestBytes * item.actions.length;
  for (const text of textsOf(item)) bytes += Buffer.byteLength(text);
  const { data } = item;
  if (data !== undefined) bytes += Buffer.byteLength(data) + valueRestBytes * valuesIn(data);
  return bytes;
}

const textsOf = (item: Notification): string[] => [
  item.notificationId,
  item.type,
  item.subjectRef,
  item.subjectType,
  item.title,
  item.body,
  item.actionUrl ?? '',
  item.iconUrl ?? '',
  ...item.actions.flatMap(({ label, url }) => [label, url]),
];

/** At least as many values as a JSON text has: each but the first follows a bracket, a brace or a comma. */
const valuesIn = (json: string): number => 1 + (json.match(/[[{,]/g)?.length ?? 0);

const deliveryBytes = ({ userId, notificationId, delivery }: DeliveryRecord): number =>
  deliveryRestBytes +
  Buffer.byteLength(userId) +
  Buffer.byteLength(notificationId) +
  Buffer.byteLength(delivery.destination) +
  Buffer.byteLength(delivery.provider) +
  Buffer.byteLength(delivery.reason) +
  Buffer.byteLength(delivery.providerMessageId);

/** What a result of Notify takes beside its user id and its reason, at most. */
const resultRestBytes = 64;
/** What is reserved for a reason that is not known yet. */
const usualReasonBytes = 32;

/** What a result of Notify takes in an answer. */
export const resultBytes = (userId: string, reason?: string): number =>
  resultRestBytes +
  Buffer.byteLength(userId) +
  (reason === undefined ? usualReasonBytes : Buffer.byteLength(reason));

/** What an answer has left for the results of Notify: of one call, or of all calls of a batch together. */
export class ResultRoom {
  #left: number;

  /** @param bytes of protobuf */
  constructor(bytes = listBytes) {
    this.#left = bytes;
  }

  /**
   * Takes room, or gives some back where `bytes` is negative.
   * @param rest what became of the call, for who is refused
   * @throws NotifyError invalid_argument where there is not so much
   */
  take(bytes: number, rest = ''): void {
    if (bytes > this.#left)
      throw invalidArgument([
        {
          field: 'return_results',
          description: `the answer would be over 4 MiB, which gRPC clients do not take; name fewer user_ids, or leave return_results out${rest}`,
        },
      ]);
    this.#left -= bytes;
  }
}

/** What a batch has for results: as much again may go to errors of its requests. */
export const batchResultBytes = listBytes / 2;
