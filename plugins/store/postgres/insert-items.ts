import type { Content } from '../../../src/core/glossary.ts';
import type { NewNotification } from '../../../src/core/store.ts';
import { isVisible, itemDueAtMs } from '../deliveries.ts';
import { plainArray, textArray } from './arrays.ts';
import { countersOf } from './item-keys.ts';
import { isStored } from './key-lookup.ts';
import { actionsText, type Counters, usualInAppProvider } from './rows.ts';
import type { Statement, Transaction, Value } from './statement.ts';

/** Columns of the batch's rows, in the order of the parameters. */
const rowColumns = [
  ['id', 'uuid'],
  ['tenant_id', 'text'],
  ['user_id', 'text'],
  // the user's newest position before the batch
  ['base', 'bigint'],
  ['visible', 'boolean'],
  ['created_at_ms', 'bigint'],
  ['in_app_id', 'uuid'],
  ['in_app_status', 'text'],
  ['in_app_reason', 'text'],
  ['in_app_destination', 'text'],
  ['in_app_provider', 'text'],
  ['in_app_ordinal', 'smallint'],
  ['other_deliveries', 'smallint'],
  // an array's text: rows have arrays of different lengths
  ['channels', 'text'],
  ['notification_id', 'text'],
  ['expires_at_ms', 'bigint'],
  ['due_at_ms', 'bigint'],
] as const;

/** Columns that the rows of one call share. */
const contentColumns = [
  'type',
  'subject_ref',
  'subject_type',
  'title',
  'body',
  'urgency',
  'data',
  'action_url',
  'icon_url',
  'actions',
] as const;

const stored = [
  'id',
  'tenant_id',
  'user_id',
  'created_at_ms',
  'in_app_id',
  'in_app_status',
  'in_app_reason',
  'in_app_destination',
  'in_app_provider',
  'in_app_ordinal',
  'other_deliveries',
  'notification_id',
  'expires_at_ms',
  'due_at_ms',
] as const;

/**
 * Stores what is new among rows whose users are locked and have them counted in, gives positions, and counts out what was
 * stored before. It runs with a snapshot that is younger than the locks, so it sees whatever was stored under the same keys.
 *
 * Two shapes: where few contents are shared by many rows, each is sent once and picked by its number; where every row has its
 * own, it stands beside the row. (Picking walks the array: a thousand contents by number would cost their square.)
 */
function insertStatement(isShared: boolean): Statement {
  const types = [
    ...rowColumns.map(([, type]) => type),
    ...(isShared ? ['int'] : contentColumns.map(() => 'text')),
  ];
  const names = [...rowColumns.map(([name]) => name), ...(isShared ? ['content'] : contentColumns)];
  const arrays = types.map((type, i) => `$${i + 1}::${type}[]`).join(', ');
  const picked = contentColumns.map((name, i) =>
    isShared ? `($${types.length + 1 + i}::text[])[f.content]` : `f.${name}`,
  );
  return {
    name: isShared ? 'create_shared' : 'create',
    text: `
WITH given AS MATERIALIZED (
  SELECT g.*, ${isStored('g')} AS is_stored FROM unnest(${arrays}) WITH ORDINALITY AS g (${names.join(', ')}, ord)
), fresh AS MATERIALIZED (
  SELECT g.*, count(*) FILTER (WHERE g.visible) OVER (PARTITION BY g.tenant_id, g.user_id ORDER BY g.ord) AS step
  FROM given g WHERE NOT g.is_stored
), inserted AS (
  INSERT INTO notify.notifications (${stored.join(', ')}, channels, position, ${contentColumns.join(', ')})
  SELECT ${stored.map((name) => `f.${name}`).join(', ')}, f.channels::text[],
    CASE WHEN f.visible THEN f.base + f.step ELSE 0 END, ${picked.join(', ')}
  FROM fresh f
), counted_out AS (
  UPDATE notify.users u SET newest_position = u.newest_position - r.visible, version = u.version - r.visible,
    unread = u.unread - r.in_app, unseen = u.unseen - r.in_app
  FROM (
    SELECT g.tenant_id, g.user_id, count(*) AS visible, count(g.in_app_id) AS in_app
    FROM given g WHERE g.is_stored AND g.visible GROUP BY g.tenant_id, g.user_id
  ) r WHERE u.tenant_id = r.tenant_id AND u.user_id = r.user_id
)
SELECT ord, step FROM fresh`,
  };
}

const insertOwn = insertStatement(false);
const insertShared = insertStatement(true);

/** @returns by index of the rows that were new: how many of the user's items became visible up to it */
export async function insertItems(
  run: Transaction['run'],
  rows: readonly NewNotification[],
  firsts: readonly number[],
  users: ReadonlyMap<string, Counters>,
): Promise<Map<number, number>> {
  const batch = firsts.map((i) => rows[i]).filter((row) => row !== undefined);
  const numbers = new Map<Content, number>();
  for (const { content } of batch) if (!numbers.has(content)) numbers.set(content, numbers.size + 1);
  const isShared = numbers.size * 4 <= batch.length;
  const inApp = batch.map(({ deliveries }) => {
    const at = deliveries.findIndex(({ channel }) => channel === 'in_app');
    return { at, delivery: deliveries[at] };
  });
  const contents = isShared ? [...numbers.keys()] : batch.map(({ content }) => content);
  const values: Value[] = [
    plainArray(batch.map(({ id }) => id)),
    textArray(batch.map(({ tenantId }) => tenantId)),
    textArray(batch.map(({ userId }) => userId)),
    plainArray(batch.map((row) => countersOf(users, row).newestPosition)),
    plainArray(batch.map(isVisible)),
    plainArray(batch.map(({ createdAtMs }) => createdAtMs)),
    plainArray(inApp.map(({ delivery }) => delivery?.id)),
    textArray(inApp.map(({ delivery }) => delivery?.status)),
    textArray(inApp.map(({ delivery }) => delivery?.reason || undefined)),
    textArray(inApp.map(({ delivery }, i) => unless(delivery?.destination, batch[i]?.userId))),
    textArray(inApp.map(({ delivery }) => unless(delivery?.provider, usualInAppProvider))),
    plainArray(inApp.map(({ at }) => Math.max(at, 0))),
    plainArray(batch.map(({ deliveries }, i) => deliveries.length - (inApp[i]?.delivery ? 1 : 0))),
    textArray(batch.map(({ deliveries }) => `{${deliveries.map(({ channel }) => channel).join(',')}}`)),
    textArray(batch.map(({ content }) => content.notificationId)),
    plainArray(batch.map(({ content }) => content.expiresAtMs || undefined)),
    plainArray(batch.map((row) => itemDueAtMs(row) || undefined)),
    ...(isShared ? [plainArray(batch.map(({ content }) => numbers.get(content)))] : []),
    ...contentArrays(contents),
  ];
  const found = await run(isShared ? insertShared : insertOwn, values);
  return new Map(found.map(({ ord, step }) => [firsts[Number(ord) - 1] ?? -1, Number(step)]));
}

const unless = (value: string | undefined, usual: string | undefined): string | undefined =>
  value === usual ? undefined : value;

const contentArrays = (contents: readonly Content[]): string[] => [
  textArray(contents.map(({ type }) => type)),
  textArray(contents.map(({ subjectRef }) => subjectRef)),
  textArray(contents.map(({ subjectType }) => subjectType)),
  textArray(contents.map(({ title }) => title)),
  textArray(contents.map(({ body }) => body)),
  textArray(contents.map(({ urgency }) => urgency)),
  textArray(contents.map(({ data }) => data)),
  textArray(contents.map(({ actionUrl }) => actionUrl)),
  textArray(contents.map(({ iconUrl }) => iconUrl)),
  textArray(contents.map(({ actions }) => actionsText(actions))),
];
