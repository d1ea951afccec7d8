import { randomUUID } from 'node:crypto';
import type { TestPostgres } from './postgres.ts';

/** Columns of the first implementation's table of notifications, as its public migrations have them. */
const notificationColumns = `
  id uuid PRIMARY KEY, tenant_id text NOT NULL, user_id text NOT NULL, notification_id text NOT NULL,
  subject_ref text NOT NULL DEFAULT '', subject_type text NOT NULL DEFAULT '', title text NOT NULL DEFAULT '',
  body text NOT NULL DEFAULT '', channel text NOT NULL DEFAULT '', status text NOT NULL, created_at_ms bigint NOT NULL,
  delivered_at_ms bigint NOT NULL DEFAULT 0, ack_at_ms bigint NOT NULL DEFAULT 0, read_at_ms bigint NOT NULL DEFAULT 0`;

const deviceColumns = `
  id uuid PRIMARY KEY, tenant_id text NOT NULL, user_id text NOT NULL, device_type text NOT NULL,
  token text NOT NULL DEFAULT '', created_at_ms bigint NOT NULL DEFAULT 0, last_active_ms bigint NOT NULL DEFAULT 0`;

/** A row of either table: what a test says of it. */
export type OldRow = Readonly<Record<string, string | number | bigint | null>>;

/** The first implementation's tables in a database of a test, and rows in them. */
export class FirstImplementation {
  readonly dsn: string;
  readonly #postgres: TestPostgres;

  constructor(postgres: TestPostgres, dsn: string) {
    this.#postgres = postgres;
    this.dsn = dsn;
  }

  /** @param loose ids and words of any text, several rows of one key: not as it was, but as somebody may have made it */
  async createTables(loose = false): Promise<void> {
    const columns = loose
      ? notificationColumns.replace('id uuid PRIMARY KEY', 'id text').replaceAll(' NOT NULL', '')
      : `${notificationColumns}, UNIQUE (tenant_id, user_id, notification_id)`;
    await this.sql(`CREATE TABLE public.notify_notifications (${columns})`);
    await this.sql(
      `CREATE TABLE public.notify_devices (${loose ? deviceColumns.replace('id uuid PRIMARY KEY', 'id text') : `${deviceColumns}, UNIQUE (tenant_id, user_id, device_type)`})`,
    );
  }

  /** Adds a notification's row: in-app, delivered and not read, unless said otherwise. @returns its id */
  async notification(over: OldRow = {}): Promise<string> {
    const row = {
      id: randomUUID(),
      tenant_id: 'demo',
      user_id: 'ada',
      notification_id: randomUUID(),
      subject_ref: 'doc/1',
      subject_type: 'comment',
      title: 'Grace replied',
      body: 'Looks good to me.',
      channel: 'in_app',
      status: 'delivered',
      created_at_ms: 1_700_000_000_000,
      delivered_at_ms: 1_700_000_000_500,
      ...over,
    };
    await this.#insert('public.notify_notifications', row);
    return String(row.id);
  }

  /** Adds a device's row. @returns its id */
  async device(over: OldRow = {}): Promise<string> {
    const row = {
      id: randomUUID(),
      tenant_id: 'demo',
      user_id: 'ada',
      device_type: 'browser',
      token: randomUUID(),
      created_at_ms: 1_700_000_000_000,
      last_active_ms: 1_700_000_001_000,
      ...over,
    };
    await this.#insert('public.notify_devices', row);
    return String(row.id);
  }

  /** Adds many notifications at once, over some users: of each user's, the first half is read. */
  async fill(rows: number, users: number): Promise<void> {
    await this.sql(`
      INSERT INTO public.notify_notifications (id, tenant_id, user_id, notification_id, title, body, channel, status, created_at_ms,
        delivered_at_ms, read_at_ms)
      SELECT gen_random_uuid(), 'demo', 'user-' || i % ${users}, 'old-' || i, 'Title ' || i, repeat('text ', 40), 'in_app',
        CASE WHEN i * 2 < ${rows} THEN 'read' ELSE 'delivered' END, 1700000000000 + i, 1700000000000 + i,
        CASE WHEN i * 2 < ${rows} THEN 1700000001000 + i ELSE 0 END
      FROM generate_series(0, ${rows - 1}) i ORDER BY md5(i::text)`);
  }

  sql(text: string): Promise<Record<string, unknown>[]> {
    return this.#postgres.sql(text, this.dsn);
  }

  async #insert(table: string, row: OldRow): Promise<void> {
    const literal = (value: string | number | bigint | null) =>
      value === null
        ? 'NULL'
        : typeof value === 'string'
          ? `'${value.replaceAll("'", "''")}'`
          : String(value);
    await this.sql(
      `INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${Object.values(row).map(literal).join(', ')})`,
    );
  }
}
