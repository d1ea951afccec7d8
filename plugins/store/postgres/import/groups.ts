import { isUuid } from '../../../../src/core/ambient.ts';
import { limits } from '../../../../src/core/notifier/validate.ts';
import { settings } from '../settings.ts';
import type { Source, SourceRow } from './source.ts';
import { type Table, textOf, timeOf, type Wanted } from './table.ts';

export const notificationsTable: Wanted = {
  name: 'notify_notifications',
  required: ['id', 'tenant_id', 'user_id', 'notification_id', 'channel', 'status', 'created_at_ms'],
  optional: ['subject_ref', 'subject_type', 'title', 'body', 'delivered_at_ms', 'ack_at_ms', 'read_at_ms'],
  times: ['created_at_ms', 'delivered_at_ms', 'ack_at_ms', 'read_at_ms'],
};

/** Texts of more bytes than this fit no notification; they are not even read. */
const mostBytes = limits.bodyBytes + 64 * 1024;

/** An id of more characters is no UUID; the rest of it is not read. */
const idCharacters = 100;

/** Rows of one notification each, by the order of the users and their notifications' creation. */
export type Group = readonly SourceRow[];

/** What a row is known by before it is read. */
interface Key {
  readonly id: string;
  readonly bytes: number;
}

/**
 * Reads the notifications in batches that fit into one transaction, each user's oldest first. Postgres sorts keys only; the
 * rows follow by their ids, as they are at that moment, so a row that was removed meanwhile is left out.
 * @param refuse is told of each row that cannot be read
 */
export async function* readGroups(
  source: Source,
  table: Table,
  refuse: (rowId: string, why: string) => void,
): AsyncGenerator<Group[], void, undefined> {
  const read = readStatement(table);
  for await (const keys of batches(groupKeys(source, table, refuse))) {
    const rows = await source.query(read, [keys.flat().map(({ id }) => id)]);
    const byId = new Map(rows.map((row) => [row.id, row]));
    yield keys
      .map((group) => group.map(({ id }) => byId.get(id)).filter((row) => row !== undefined))
      .filter((group) => group.length > 0);
  }
}

/** The keys of one notification's rows at a time. */
async function* groupKeys(
  source: Source,
  table: Table,
  refuse: (rowId: string, why: string) => void,
): AsyncGenerator<Key[], void, undefined> {
  let group: Key[] = [];
  for await (const rows of source.rows(keysQuery(table)))
    for (const { id = '', bytes, starts } of rows) {
      if (starts === 't' && group.length > 0) {
        yield group;
        group = [];
      }
      if (!isUuid(id)) refuse(id, 'id is no UUID');
      else if (Number(bytes) > mostBytes) refuse(id, 'its texts are longer than any that can be stored');
      else group.push({ id, bytes: Number(bytes) });
    }
  if (group.length > 0) yield group;
}

/** Gathers groups up to the size of a batch. */
async function* batches(groups: AsyncIterable<Key[]>): AsyncGenerator<Key[][], void, undefined> {
  let batch: Key[][] = [];
  let rows = 0;
  let bytes = 0;
  for await (const group of groups) {
    const more = group.reduce((sum, key) => sum + key.bytes, 0);
    const isFull = rows + group.length > settings.rowsPerFlush || bytes + more > settings.bytesPerFlush;
    if (batch.length > 0 && isFull) {
      yield batch;
      batch = [];
      rows = 0;
      bytes = 0;
    }
    batch.push(group);
    rows += group.length;
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

function keysQuery(table: Table): string {
  const text = (column: string) => `${textOf(table, column)} COLLATE "C"`;
  const bytes = ['subject_ref', 'subject_type', 'title', 'body']
    .map((column) => `octet_length(${textOf(table, column)})`)
    .join(' + ');
  // usually one row has a key; where several have it, they are the channels of one notification
  return `
SELECT left(id, ${idCharacters}) AS id, bytes::text AS bytes, CASE WHEN ordinal = 1 THEN 't' ELSE 'f' END AS starts
FROM (
  SELECT id, tenant_id, user_id, notification_id, created_at_ms, bytes, row_number() OVER same AS ordinal,
    first_value(created_at_ms) OVER same AS first_created, first_value(id) OVER same AS first_id
  FROM (
    SELECT ${text('id')} AS id, ${text('tenant_id')} AS tenant_id, ${text('user_id')} AS user_id,
      ${text('notification_id')} AS notification_id, created_at_ms, ${bytes} AS bytes
    FROM ${table.sql}
  ) r
  WINDOW same AS (PARTITION BY tenant_id, user_id, notification_id ORDER BY created_at_ms, id)
) r
ORDER BY tenant_id, user_id, first_created, first_id, notification_id, created_at_ms, id`;
}

function readStatement(table: Table): string {
  const { required, optional, times } = notificationsTable;
  const columns = [...required, ...optional].map((column) => {
    const isTime = times.includes(column);
    const value = isTime
      ? timeOf(table, column, required.includes(column) ? '' : '0')
      : textOf(table, column);
    return `${value} AS ${column}`;
  });
  return `SELECT ${columns.join(', ')} FROM ${table.sql} WHERE id = ANY ($1::text[]::${table.typeOf('id')}[])`;
}
