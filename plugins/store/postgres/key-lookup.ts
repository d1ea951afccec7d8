/**
 * SQL for the stored notification of an idempotency key, asked as "what is the first key from here to here?", in an order that
 * one index alone has (notifications_key). Asked plainly, a table that Postgres has no statistics of yet was searched by another
 * index, all items of a user for each row. Without the upper end the next key's row would be read too.
 * @param key the alias of a row with tenant_id, user_id and notification_id
 * @param columns what to read of it, under the alias n
 */
export const byKey = (key: string, columns: string): string => `
  SELECT ${columns} FROM notify.notifications n
  WHERE n.tenant_id = ${key}.tenant_id AND (n.notification_id, n.user_id) >= (${key}.notification_id, ${key}.user_id)
    AND (n.notification_id, n.user_id) <= (${key}.notification_id, ${key}.user_id)
  ORDER BY n.notification_id, n.user_id LIMIT 1`;

/** SQL for whether a key is stored. */
export const isStored = (key: string): string => `coalesce((${byKey(key, 'true')}), false)`;
