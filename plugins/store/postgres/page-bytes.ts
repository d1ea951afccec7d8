/** How long all texts of an item are together, in bytes. Postgres knows it without reading a long one. */
export const textBytes = [
  'notification_id',
  'type',
  'subject_ref',
  'subject_type',
  'title',
  'body',
  'data',
  'actions',
  'action_url',
  'icon_url',
]
  .map((column) => `coalesce(octet_length(n.${column}), 0)`)
  .join(' + ');

/**
 * Rows of notifications in an order, none after those whose texts reach a size. Each has `found`, the number of rows without
 * that bound.
 * @param maxBytes a parameter
 * @param rows a query of `notify.notifications n` with all columns
 * @returns a FROM item named n
 */
export const upTo = (maxBytes: string, order: string, rows: string): string => `(
    SELECT n.*, count(*) OVER () AS found,
      sum(${textBytes}) OVER (ORDER BY ${order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM (${rows}) n
  ) n
  WHERE (n.bytes_before IS NULL OR n.bytes_before < ${maxBytes})`;
