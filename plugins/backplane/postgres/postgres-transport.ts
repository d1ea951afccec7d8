import pg from 'pg';
import type { Connect, TransportKind } from '../reconnecting-transport.ts';

/** Every replica listens on it. One of a database: a service that shares it with another needs a database of its own. */
const channel = 'notify_backplane';

/** A connection that no router or firewall should take for dead. */
const keepAliveMs = 10_000;
/** A NOTIFY that takes longer than this is not coming back, in milliseconds. */
const sendTimeoutMs = 5_000;

/**
 * Texts by LISTEN and NOTIFY (https://www.postgresql.org/docs/current/sql-notify.html), on a connection of its own and never in a
 * transaction that writes: NOTIFY takes a lock at commit that all writers would queue for.
 *
 * It has to connect at the start: the store is the same server, so what keeps it from that is a mistake in the configuration.
 * @param config a direct connection: a pooler in transaction mode does not listen
 */
export const postgresTransport = (config: pg.ClientConfig): TransportKind => ({
  name: 'postgres',
  // NOTIFY takes less than 8,000 bytes; small ones cost the server's queue less
  textBytes: 4_096,
  startsWithout: false,
  connect: connectWith(config),
});

const connectWith =
  (config: pg.ClientConfig): Connect =>
  async (received, over) => {
    const client = new pg.Client({
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveMs,
      connectionTimeoutMillis: 3_000,
      query_timeout: sendTimeoutMs,
      application_name: 'notify backplane',
      ...config,
    });
    // a socket that is cut says both
    client.on('error', over);
    client.on('end', () => over(new Error('the connection ended')));
    client.on('notification', ({ payload }) => {
      if (payload !== undefined) received(payload);
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
    } catch (error) {
      destroy(client);
      throw error;
    }
    return {
      async send(texts) {
        await client.query('SELECT pg_notify($1, t) FROM unnest($2::text[]) AS t', [channel, texts]);
      },
      destroy: () => destroy(client),
    };
  };

/** `end` says goodbye and goes; a server that no longer listens gets no more than that. */
function destroy(client: pg.Client): void {
  client.end().catch(() => {});
  // pg waits for the query that is under way, and one that hangs is why this connection is given up
  const { stream } = (client as unknown as { connection: { stream: { destroySoon?(): void } } }).connection;
  stream.destroySoon?.();
}
