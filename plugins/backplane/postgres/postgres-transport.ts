import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Transport, TransportEvents } from '../../../src/core/backplane/transport.ts';

/** Every replica listens on it. One of a database: a service that shares it with another needs a database of its own. */
const channel = 'notify_backplane';

/** Pauses before connecting again, in milliseconds. */
const firstPauseMs = 100;
const longestPauseMs = 2_000;
/** A connection that no router or firewall should take for dead. */
const keepAliveMs = 10_000;

/**
 * Texts by LISTEN and NOTIFY (https://www.postgresql.org/docs/current/sql-notify.html), on a connection of its own and never in a
 * transaction that writes: NOTIFY takes a lock at commit that all writers would queue for.
 */
export class PostgresTransport implements Transport {
  readonly name = 'postgres';
  /** NOTIFY takes less than 8,000 bytes; small ones cost the server's queue less. */
  readonly textBytes = 4_096;
  readonly #config: pg.ClientConfig;
  #events: TransportEvents | undefined;
  #client: pg.Client | undefined;
  #isClosed = false;

  /** @param config a direct connection: a pooler in transaction mode does not listen */
  constructor(config: pg.ClientConfig) {
    this.#config = config;
  }

  async open(events: TransportEvents): Promise<void> {
    this.#events = events;
    await this.#connect();
  }

  async send(texts: readonly string[]): Promise<void> {
    if (this.#client === undefined) throw new Error('not connected');
    await this.#client.query('SELECT pg_notify($1, t) FROM unnest($2::text[]) AS t', [channel, texts]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => {});
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveMs,
      connectionTimeoutMillis: 3_000,
      query_timeout: 10_000,
      application_name: 'notify backplane',
      ...this.#config,
    });
    const over = (error: unknown) => {
      // one that never came up is the caller's to try again
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#events?.lost(error);
      void this.#reconnect();
    };
    client.on('error', over);
    client.on('end', () => over(new Error('the connection ended')));
    client.on('notification', ({ payload }) => {
      if (payload !== undefined) this.#events?.received(payload);
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
    } catch (error) {
      client.end().catch(() => {});
      throw error;
    }
    if (this.#isClosed) {
      await client.end().catch(() => {});
      return;
    }
    this.#client = client;
    this.#events?.connected();
  }

  async #reconnect(): Promise<void> {
    for (let waitMs = firstPauseMs; !this.#isClosed; waitMs = Math.min(longestPauseMs, waitMs * 2)) {
      await pause(waitMs * (0.5 + Math.random() / 2), undefined, { ref: false });
      try {
        if (!this.#isClosed) await this.#connect();
        return;
      } catch {
        // it was said when the connection was lost
      }
    }
  }
}
