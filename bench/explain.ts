import { mkdir, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { migrate } from '../drizzle/migrate.ts';
import { sessionSettings } from '../plugins/store/postgres/settings.ts';
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import type { Figure } from './figures.ts';
import { exercise } from './hot-statements.ts';

const folder = new URL('explain/', import.meta.url);
/** One user has a long inbox, the others a short one each. */
const items = 200_000;
const longInbox = 100_000;
const deliveries = 50_000;

/**
 * Writes the plan of every statement of the hot paths into bench/explain/: generic plans, as a service's prepared statements have
 * them, over tables that are filled and have statistics. Fails where a plan reads a table other than by an index.
 */
export async function benchExplain(): Promise<Figure[]> {
  const database = await startEmbeddedPostgres({ fsync: false });
  const client = new pg.Client({
    connectionString: database.dsn(),
    options: Object.entries(sessionSettings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
  });
  try {
    await migrate({ connectionString: database.dsn() });
    await client.connect();
    await fill(client);
    const statements = await exercise(database.dsn());
    await mkdir(folder, { recursive: true });
    const scans: string[] = [];
    for (const { name, text } of statements) {
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN (GENERIC_PLAN, COSTS OFF) ${text}`,
      );
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      if (plan.includes('Seq Scan')) scans.push(name);
      await writeFile(new URL(`${name}.txt`, folder), `${text.trim()}\n\n${plan}\n`);
    }
    return [
      {
        name: 'hot statements that read a table without an index',
        value: scans.length === 0 ? `none of ${statements.length}` : scans.join(', '),
        target: 'none',
        met: scans.length === 0,
      },
    ];
  } finally {
    await client.end();
    // the server may still be writing its last words to the client
    await pause(10);
    await database.close();
  }
}

async function fill(client: pg.Client): Promise<void> {
  await client.query(
    `INSERT INTO notify.notifications (tenant_id, id, user_id, notification_id, position, created_at_ms, in_app_id, in_app_status,
       other_deliveries, channels, type, subject_ref, subject_type, title, body)
     SELECT 'bench', gen_random_uuid(), CASE WHEN i <= $1 THEN 'long' ELSE 'user-' || i % 5000 END, 'n-' || i,
       CASE WHEN i <= $1 THEN i ELSE (i - $1) / 5000 + 1 END, 1700000000000 + i, gen_random_uuid(), 'pending',
       CASE WHEN i <= $3 THEN 1 ELSE 0 END, '{in_app,email}', 'order', 'order/' || i, 'order', 'Your order has shipped',
       'It left our warehouse this morning and arrives tomorrow before noon.'
     FROM generate_series(1::int, $2::int) i`,
    [longInbox, items, deliveries],
  );
  await client.query(
    `INSERT INTO notify.users (tenant_id, user_id, newest_position, version, unread, unseen)
     SELECT tenant_id, user_id, max(position), max(position), count(*), count(*) FROM notify.notifications GROUP BY 1, 2`,
  );
  await client.query(
    `INSERT INTO notify.deliveries (tenant_id, id, user_id, item_id, ordinal, channel, destination, provider, status, reason,
       created_at_ms, due_at_ms, first_due_at_ms, updated_at_ms)
     SELECT tenant_id, gen_random_uuid(), user_id, id, 1, 'email', 'a@example.com', 'smtp', 'pending', '', created_at_ms,
       created_at_ms, created_at_ms, created_at_ms
     FROM notify.notifications WHERE other_deliveries = 1`,
  );
  await client.query('ANALYZE');
}
