import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { storeConformance } from '../../conformance/store.ts';
import { openTestStore, postgresForFile } from '../../support/postgres.ts';

const { postgres, skip } = await postgresForFile();

describe('postgres', { skip }, () => {
  if (skip) return;
  const dsn = postgres().database();
  storeConformance('postgres', async (ambient) => openTestStore(await dsn, ambient));

  const pooled = postgres().database();
  storeConformance(
    'postgres behind a pooler',
    async (ambient) => openTestStore(await pooled, ambient, { prepare: false }),
    { runs: 10 },
  );

  it('found every row by an index', async () => {
    await postgres().sql('SELECT pg_stat_force_next_flush()', await dsn);
    const scanned = await postgres().sql(
      `SELECT relname, seq_scan::int FROM pg_stat_user_tables WHERE schemaname = 'notify' AND seq_scan > 0`,
      await dsn,
    );
    assert.deepEqual(scanned, []);
  });
});
