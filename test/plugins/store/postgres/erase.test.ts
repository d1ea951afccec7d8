import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Database } from '../../../../plugins/store/postgres/database.ts';
import { PostgresStore } from '../../../../plugins/store/postgres/postgres-store.ts';
import type { Row, Statement, Transaction, Value } from '../../../../plugins/store/postgres/statement.ts';
import { Ground } from '../../../conformance/store/ground.ts';
import { type FakeAmbient, fakeAmbient } from '../../../support/ambient.ts';
import { eventually } from '../../../support/eventually.ts';
import { openTestStore, postgresForFile } from '../../../support/postgres.ts';

const { postgres, skip } = await postgresForFile();

/** What a test does before or after a statement of a transaction. */
type Meanwhile = (name: string) => Promise<void>;
const nothing: Meanwhile = async () => {};

/** A database whose transactions can be held up between two statements. */
class HeldUpDatabase extends Database {
  before = nothing;
  after = nothing;

  override transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return super.transaction((tx) => {
      let last: Promise<unknown> = Promise.resolve();
      const run = (statement: Statement, values: readonly Value[]): Promise<Row[]> => {
        const answer = last.then(async () => {
          await this.before(statement.name);
          const rows = await tx.run(statement, values);
          await this.after(statement.name);
          return rows;
        });
        last = answer;
        return answer;
      };
      return work({ run, last: tx.last.bind(tx), restart: () => tx.restart() });
    });
  }
}

/** Two processes on one database, of which the second one's transactions can be held up. */
async function setUp(t: TestContext) {
  const dsn = await postgres().database();
  const ambient = fakeAmbient();
  const store = openTestStore(dsn, ambient);
  t.after(() => store.close());
  const { db, store: heldUp } = openHeldUp(t, dsn, ambient);
  return { dsn, ambient, db, ground: new Ground(store, ambient), other: new Ground(heldUp, ambient) };
}

function openHeldUp(t: TestContext, dsn: string, { clock, random }: FakeAmbient) {
  const db = new HeldUpDatabase({ connection: { connectionString: dsn }, prepare: true, random });
  const now = () => clock.now();
  const store = new PostgresStore(db, { now, ask: now, correct() {} });
  t.after(() => store.close());
  return { db, store };
}

describe('erasing a user in Postgres', { skip }, () => {
  it('between being found there and being locked by somebody who stores something loses nothing', async (t) => {
    const { db, ground, other } = await setUp(t);
    const owner = ground.user();
    const bob = { ...owner, userId: 'bob' };
    // the one who stores finds nobody, then somebody whom it need not add, and then nobody again
    let times = 0;
    db.before = async (name) => {
      if (name === 'add_users' && times++ === 0) await ground.add(owner, { key: 'before' });
    };
    db.after = async (name) => {
      if (name === 'add_users' && times === 1) await ground.store.eraseUser(owner);
    };
    const [item, bobs] = await other.create(other.draft(owner, { key: 'after' }), other.draft(bob));
    assert.equal(times, 2, 'it was added once more');
    assert.deepEqual(await ground.listAll(owner), [item?.notification.id]);
    assert.deepEqual(await ground.listAll(bob), [bobs?.notification.id]);
  });

  it('that somebody waits for who stores something has that begin above all that was there', async (t) => {
    const { dsn, ambient, db, ground, other } = await setUp(t);
    const owner = ground.user();
    const { promise: isErasing, resolve: erasing } = Promise.withResolvers<void>();
    const waiting = () =>
      eventually('somebody waits', async () => {
        const rows = await postgres().sql(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          dsn,
        );
        return rows.length > 0;
      });
    // erased by one who is held up before the commit, until the other one waits with what it has read before
    const eraser = openHeldUp(t, dsn, ambient);
    eraser.db.after = async (name) => {
      if (name !== 'erase_user') return;
      erasing();
      await waiting();
    };
    let erased: Promise<number> | undefined;
    db.before = async (name) => {
      if (name !== 'add_users' || erased !== undefined) return;
      await ground.addMany(owner, 3);
      erased = eraser.store.eraseUser(owner);
      await isErasing;
    };
    const notification = await other.add(owner);
    assert.equal(await erased, 3);
    assert.ok(notification.position > 3);
    const summary = await ground.store.inboxSummary(owner);
    assert.equal(summary.unreadCount, 1);
    assert.equal(summary.newestPosition, notification.position);
    assert.equal(summary.oldestResumable, notification.position - 1);
  });

  it('leaves nothing that names them in any table', async (t) => {
    const { dsn, ground } = await setUp(t);
    const owner = { tenantId: 'demo', userId: 'ada-lovelace' };
    const deliveries = [ground.inApp(owner), ground.email({ destination: 'ada-lovelace@example.org' })];
    await ground.add(owner, { deliveries, content: { title: 'ada-lovelace' } });
    await ground.store.registerDevice(ground.device(owner, { token: 'ada-lovelace' }));
    await ground.store.eraseUser(owner);
    const tables = await postgres().sql(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'notify'`,
      dsn,
    );
    assert.ok(tables.length > 5);
    for (const { name } of tables) {
      const rows = await postgres().sql(`SELECT t::text AS row FROM notify.${name} t`, dsn);
      for (const { row } of rows) assert.doesNotMatch(String(row), /ada-lovelace/, String(name));
    }
    const floors = await postgres().sql('SELECT tenant_id, floor::int FROM notify.inbox_floors', dsn);
    assert.deepEqual(floors, [{ tenant_id: 'demo', floor: 2 }]);
  });

  it('of whom there is nothing, or twice, raises no floor', async (t) => {
    const { dsn, ground } = await setUp(t);
    const owner = ground.user();
    const floors = () => postgres().sql('SELECT floor::int FROM notify.inbox_floors', dsn);
    await ground.store.eraseUser(owner);
    assert.deepEqual(await floors(), []);
    await ground.addMany(owner, 4);
    for (let i = 0; i < 3; i++) await ground.store.eraseUser(owner);
    assert.deepEqual(await floors(), [{ floor: 5 }]);
    await ground.add({ ...owner, userId: 'bob' });
    await ground.add({ ...ground.user(), userId: 'bob' });
    await ground.store.eraseUser({ ...owner, userId: 'nobody' });
    assert.deepEqual(await floors(), [{ floor: 5 }]);
  });
});
