import { describe } from 'node:test';
import { storeConformance } from '../../conformance/store.ts';
import { openTestStore, postgresForFile } from '../../support/postgres.ts';

const { postgres, skip } = await postgresForFile();

describe('postgres', { skip }, () => {
  if (skip) return;
  let dsn: Promise<string> | undefined;
  storeConformance('postgres', async (ambient) => {
    dsn ??= postgres().database();
    return openTestStore(await dsn, ambient);
  });
});
