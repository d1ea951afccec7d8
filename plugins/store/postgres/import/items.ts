import { isUuid } from '../../../../src/core/ambient.ts';
import type { Channel, DeliveryStatus, EpochMs, Reason, UserKey } from '../../../../src/core/glossary.ts';
import { limits, Violations, validateTitle } from '../../../../src/core/notifier/validate.ts';
import { bestStatus, type WireStatus } from '../../../../src/core/status.ts';
import type { SourceRow } from './source.ts';
import { readChannel, readStatus, readTime, unknownWord } from './words.ts';

/** Why a delivery that was not accepted by any provider stands still: it was the first implementation's to send. */
export const importedReason: Reason = 'imported';

/** A notification as it will be stored. 0n: no such time. */
export interface ImportedItem extends UserKey {
  readonly id: string;
  readonly notificationId: string;
  readonly subjectRef: string;
  readonly subjectType: string;
  readonly title: string;
  readonly body: string;
  readonly createdAtMs: EpochMs;
  readonly readAtMs: EpochMs;
  /** One per channel, in the order of the rows. */
  readonly deliveries: readonly ImportedDelivery[];
  /** The ids of the rows that it was made of. */
  readonly rows: readonly string[];
}

export interface ImportedDelivery {
  readonly id: string;
  readonly channel: Channel;
  readonly status: DeliveryStatus;
  readonly reason: Reason;
  readonly deliveredAtMs: EpochMs;
  readonly ackAtMs: EpochMs;
}

/** A row of the first implementation, understood. */
interface Read {
  readonly row: SourceRow;
  readonly id: string;
  readonly channel: Channel;
  readonly status: WireStatus;
  readonly createdAtMs: EpochMs;
  readonly deliveredAtMs: EpochMs;
  readonly ackAtMs: EpochMs;
  readonly readAtMs: EpochMs;
}

/** The texts of a row with their limits, and whether they may not be blank. */
const texts = [
  ['tenant_id', limits.idBytes, true],
  ['user_id', limits.idBytes, true],
  ['notification_id', limits.idBytes, true],
  ['subject_ref', limits.idBytes, false],
  ['subject_type', limits.idBytes, false],
  ['body', limits.bodyBytes, false],
] as const;

const times = ['created_at_ms', 'delivered_at_ms', 'ack_at_ms', 'read_at_ms'] as const;

/**
 * Makes one notification of the rows that share a tenant, a user and a notification_id, in the order of their creation.
 * Its id, and its text, is the in-app row's; where there is none, the first row's.
 * @param refuse is told of each row that cannot be copied; the others make the notification
 * @returns undefined where no row is left
 */
export function toItem(
  rows: readonly SourceRow[],
  refuse: (rowId: string, why: string) => void,
): ImportedItem | undefined {
  const good = rows.map((row) => readRow(row, refuse)).filter((row) => row !== undefined);
  const lead = good.find(({ channel }) => channel === 'in_app') ?? good[0];
  if (lead === undefined) return undefined;
  const text = (column: string): string => lead.row[column] ?? '';
  return {
    tenantId: text('tenant_id'),
    userId: text('user_id'),
    id: lead.id,
    notificationId: text('notification_id'),
    subjectRef: text('subject_ref'),
    subjectType: text('subject_type'),
    title: text('title'),
    body: text('body'),
    createdAtMs: good.map(({ createdAtMs }) => createdAtMs).reduce((a, b) => (b < a ? b : a)),
    readAtMs: first(good.map(readTimeOf)),
    deliveries: toDeliveries(good),
    rows: good.map(({ id }) => id),
  };
}

function readRow(row: SourceRow, refuse: (rowId: string, why: string) => void): Read | undefined {
  const { id = '', channel: channelText = '', status: statusText = '' } = row;
  const v = new Violations();
  if (!isUuid(id)) v.add('id', 'is no UUID');
  for (const [column, maxBytes, required] of texts) v.text(column, row[column] ?? '', maxBytes, required);
  validateTitle(v, row.title ?? '');
  const channel = readChannel(channelText);
  if (channel === undefined) v.add('channel', unknownWord(channelText));
  const status = readStatus(statusText);
  if (status === undefined) v.add('status', unknownWord(statusText));
  const [createdAtMs, deliveredAtMs, ackAtMs, readAtMs] = times.map((column) => {
    const value = readTime(row[column] ?? '');
    if (value === undefined) v.add(column, row[column] ? 'is no whole number of 64 bits' : 'is missing');
    return value ?? 0n;
  }) as [EpochMs, EpochMs, EpochMs, EpochMs];
  if (v.found.length > 0 || channel === undefined || status === undefined) {
    refuse(id, v.found.map(({ field, description }) => `${field} ${description}`).join('; '));
    return undefined;
  }
  return { row, id: id.toLowerCase(), channel, status, createdAtMs, deliveredAtMs, ackAtMs, readAtMs };
}

/** When it was read, 0n for unread; where only the status says so, the last time that is known of it. */
function readTimeOf({ status, readAtMs, ackAtMs, deliveredAtMs, createdAtMs }: Read): EpochMs {
  if (readAtMs !== 0n || status !== 'read') return readAtMs;
  return ackAtMs || deliveredAtMs || createdAtMs || 1n;
}

/** Rows on one channel are one delivery: the first's id, the best's status. */
function toDeliveries(rows: readonly Read[]): ImportedDelivery[] {
  const byChannel = Map.groupBy(rows, ({ channel }) => channel);
  return [...byChannel].map(([channel, same]) => {
    const status = bestStatus(same.map(deliveryStatus));
    const isDone = status === 'delivered' || status === 'acked';
    // an in-app delivery that is pending waits for a stream, as any other does
    const reason = isDone || (channel === 'in_app' && status === 'pending') ? '' : importedReason;
    return {
      id: same[0]?.id ?? '',
      channel,
      status,
      reason,
      deliveredAtMs: first(same.map(({ deliveredAtMs }) => deliveredAtMs)),
      ackAtMs: first(same.map(({ ackAtMs }) => ackAtMs)),
    };
  });
}

/** The furthest that a row is known to have come: a later status may have moved it back, the times stay. */
function deliveryStatus({ status, ackAtMs, deliveredAtMs, readAtMs }: Read): DeliveryStatus {
  if (status === 'acked' || ackAtMs !== 0n) return 'acked';
  if (status === 'read' || readAtMs !== 0n || deliveredAtMs !== 0n) return 'delivered';
  return status;
}

/** The earliest of some times; 0n where there is none. */
const first = (found: readonly EpochMs[]): EpochMs =>
  found.reduce((a, b) => (b !== 0n && (a === 0n || b < a) ? b : a), 0n);
