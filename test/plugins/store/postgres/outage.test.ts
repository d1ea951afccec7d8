import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause, setImmediate } from 'node:timers/promises';
import pg from 'pg';
import type { UserKey } from '../../../../src/core/glossary.ts';
import { at, Ground, parallel } from '../../../conformance/store/ground.ts';
import { fakeAmbient } from '../../../support/ambient.ts';
import { eventually } from '../../../support/eventually.ts';
import { behindProxy, openTestStore, postgresForFile } from '../../../support/postgres.ts';

// what is acknowledged must survive a crash of the server
const { postgres, skip } = await postgresForFile({ settings: { synchronous_commit: 'on' } });

const unavailable = (error: { code?: string; retryAfterMs?: number; message?: string }): boolean => {
  assert.equal(error.code, 'unavailable');
  assert.ok((error.retryAfterMs ?? 0) > 0);
  assert.doesNotMatch(error.message ?? '', /127\.0\.0\.1|postgres:|SELECT|INSERT/);
  return true;
};

/**
 * Asserts that something is done at once. That is counted in turns of the event loop, since a machine may stand still for any
 * time.
 */
async function isSoon(work: Promise<unknown>, otherwise = () => 'it waits'): Promise<void> {
  const late = Symbol();
  const turns = async () => {
    for (let turn = 0; turn < 500; turn++) await setImmediate();
    return late;
  };
  assert.notEqual(await Promise.race([work, turns()]), late, otherwise());
}

describe('when Postgres goes away', { skip }, () => {
  it('answers unavailable at once, is not ready, and goes on by itself when it is back', async (t) => {
    const ambient = fakeAmbient();
    const events: string[] = [];
    const store = openTestStore(await postgres().database(), ambient, {
      probeIntervalMs: 20,
      observe: (event) => events.push(event),
    });
    t.after(() => store.close());
    const ground = new Ground(store, ambient);
    const owner = ground.user();
    const kept = await ground.add(owner);
    await postgres().stop('immediate');

    await assert.rejects(store.inboxSummary(owner), unavailable);
    const refused = parallel(50, (i) =>
      assert.rejects(
        i % 2 === 0
          ? store.createNotifications([ground.draft(owner)])
          : store.getNotification(owner, kept.id),
        unavailable,
      ),
    );
    await isSoon(refused);
    assert.equal(await store.ready(), false);
    assert.ok(events.includes('lost'));

    await postgres().start();
    await eventually('the store to be ready', () => store.ready());
    assert.equal((await store.getNotification(owner, kept.id)).id, kept.id);
    const next = await ground.add(owner);
    assert.equal(next.position, kept.position + 1);
    assert.equal(events.at(-1), 'back');
    assert.equal(events.filter((event) => event === 'lost').length, 1, 'said once, not per call');
  });

  it('loses nothing that was acknowledged while its connections are cut again and again', async (t) => {
    const ambient = fakeAmbient();
    const dsn = await postgres().database();
    const store = openTestStore(dsn, ambient, { probeIntervalMs: 20 });
    t.after(() => store.close());
    const ground = new Ground(store, ambient);
    const { tenantId } = ground.user();
    const users: UserKey[] = Array.from({ length: 8 }, (_, i) => ({ tenantId, userId: `user-${i}` }));
    const name = new URL(dsn).pathname.slice(1);
    let cut = 0;
    let running = true;
    const cutting = (async () => {
      for (let round = 0; round < 12; round++) {
        const rows = await postgres().sql(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
        );
        cut += rows.length;
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
      running = false;
    })();
    const acknowledged = new Map<string, UserKey>();
    let refused = 0;
    await parallel(16, async (i) => {
      const owner = at(users, i % users.length);
      for (let n = 0; running; n++) {
        const key = `${i}-${n}`;
        try {
          await ground.createOne(ground.draft(owner, { key }));
          acknowledged.set(key, owner);
        } catch (error) {
          unavailable(error as Error);
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    });
    await cutting;
    await eventually('the store to be ready', () => store.ready());
    assert.ok(
      cut > 0 && acknowledged.size > 100,
      `${cut} cut, ${acknowledged.size} stored, ${refused} refused`,
    );
    const found = new Set<string>();
    for (const owner of users) {
      let after = 0;
      for (let more = true; more; ) {
        const page = await ground.since(owner, { after });
        for (const item of page.notifications) {
          assert.equal(item.position, ++after, 'positions have no gap');
          found.add(item.notificationId);
        }
        more = page.notifications.length > 0;
      }
      const { unreadCount, newestPosition } = await store.inboxSummary(owner);
      assert.deepEqual([unreadCount, newestPosition], [after, after]);
    }
    for (const key of acknowledged.keys()) assert.ok(found.has(key), `${key} was acknowledged`);
  });

  it('keeps what was acknowledged when the server crashes in the middle of writing', async (t) => {
    const ambient = fakeAmbient();
    const store = openTestStore(await postgres().database(), ambient, { probeIntervalMs: 20 });
    t.after(() => store.close());
    const ground = new Ground(store, ambient);
    const owner = ground.user();
    const acknowledged: string[] = [];
    let running = true;
    const writing = parallel(8, async () => {
      while (running) {
        const row = ground.draft(owner);
        await ground.createOne(row).then(
          () => acknowledged.push(row.id),
          (error: Error) => {
            unavailable(error);
            running = false;
          },
        );
      }
    });
    await eventually('some rows', () => acknowledged.length > 200);
    await postgres().stop('immediate');
    await writing;
    await postgres().start();
    await eventually('the store to be ready', () => store.ready());
    const ids = new Set(await ground.listAll(owner));
    for (const id of acknowledged) assert.ok(ids.has(id));
    assert.equal((await store.inboxSummary(owner)).unreadCount, ids.size);
  });

  it('says unavailable to the one that waits for a connection too long, and answers the others', async (t) => {
    const ambient = fakeAmbient();
    const dsn = await postgres().database();
    const store = openTestStore(dsn, ambient, {
      poolSize: 1,
      connection: { connectionString: dsn, connectionTimeoutMillis: 1_000 },
    });
    t.after(() => store.close());
    const ground = new Ground(store, ambient);
    const owner = ground.user();
    const item = await ground.add(owner);
    // somebody holds the user's row: a change of this inbox takes the only connection and waits
    const holder = new pg.Client(dsn);
    await holder.connect();
    await holder.query('BEGIN; SELECT FROM notify.users FOR UPDATE');
    const changing = ground.read(owner, item);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await assert.rejects(store.inboxSummary(owner), unavailable);
    await holder.query('COMMIT');
    await holder.end();
    assert.equal((await changing).changed, 1);
    assert.equal((await store.inboxSummary(owner)).unreadCount, 0, 'no breaker opened');
  });

  it('notices within seconds that nobody answers any more, and goes on when the network does', async (t) => {
    const ambient = fakeAmbient();
    const { dsn, proxy } = await behindProxy(t, await postgres().database());
    const events: string[] = [];
    const store = openTestStore(dsn, ambient, {
      probeIntervalMs: 20,
      observe: (event) => events.push(event),
    });
    t.after(() => store.close());
    const ground = new Ground(store, ambient);
    const owner = ground.user();
    const kept = await ground.add(owner);
    proxy.stall();
    // one is under way, and others come after it
    const startedMs = performance.now();
    await Promise.all([
      assert.rejects(store.createNotifications([ground.draft(owner)]), unavailable),
      parallel(20, () => assert.rejects(store.getNotification(owner, kept.id), unavailable)),
    ]);
    const noticedMs = performance.now() - startedMs;
    assert.ok(noticedMs < 8_000, `after ${noticedMs} ms`);
    const refused = assert.rejects(store.createNotifications([ground.draft(owner)]), unavailable);
    await isSoon(refused);
    assert.ok(events.includes('lost'));
    proxy.resume();
    await eventually('the store to be ready', () => store.ready());
    assert.equal((await store.getNotification(owner, kept.id)).id, kept.id);
  });

  it('refuses all that wait, however briefly, in the moment that it notices', async (t) => {
    const ambient = fakeAmbient();
    const { dsn, proxy } = await behindProxy(t, await postgres().database());
    const lost = Promise.withResolvers<void>();
    const store = openTestStore(dsn, ambient, {
      poolSize: 2,
      observe: (event) => event === 'lost' && lost.resolve(),
    });
    t.after(() => store.close());
    const ground = new Ground(store, ambient);
    const owner = ground.user();
    const kept = await ground.add(owner);
    await parallel(2, () => store.getNotification(owner, kept.id));
    proxy.stall();
    const refused: string[] = [];
    const ask = (who: string) =>
      assert.rejects(store.inboxSummary(owner), unavailable).then(() => refused.push(who));
    const first = ask('who asked before it was found out');
    // the watch has asked for a connection by now, and waits 3 s for it
    await pause(3_500);
    const later = [ask('who got the last connection meanwhile'), ask('who waits for one')];
    await lost.promise;
    await isSoon(Promise.all([first, ...later]), () => `refused: ${refused.join(', ')}`);
  });

  it('takes a connection that cannot be made for no outage while others are answered', async (t) => {
    const ambient = fakeAmbient();
    const { dsn, proxy } = await behindProxy(t, await postgres().database());
    const events: string[] = [];
    const store = openTestStore(dsn, ambient, {
      connection: { connectionString: dsn, connectionTimeoutMillis: 500 },
      observe: (event) => events.push(event),
    });
    t.after(() => store.close());
    const ground = new Ground(store, ambient);
    const { tenantId } = ground.user();
    const users = Array.from({ length: 8 }, (_, i) => ({ tenantId, userId: `user-${i}` }));
    await ground.add(at(users, 0));
    proxy.stallNew();
    let answered = 0;
    let refused = 0;
    // at a time: more than the connection that there is can serve
    await eventually('several to be refused for want of a connection', async () => {
      await parallel(8, (i) =>
        store.getNotification(at(users, i), ambient.ids.next()).then(
          () => answered++,
          (error) => (error.code === 'not_found' ? answered++ : unavailable(error) && refused++),
        ),
      );
      return refused > 3;
    });
    assert.ok(answered > 0);
    assert.deepEqual(events, [], 'no outage');
    proxy.resume();
    await ground.add(at(users, 1));
  });

  it('takes the lock of somebody else for no outage', async (t) => {
    const ambient = fakeAmbient();
    const dsn = await postgres().database();
    const events: string[] = [];
    const store = openTestStore(dsn, ambient, { observe: (event) => events.push(event) });
    t.after(() => store.close());
    const ground = new Ground(store, ambient);
    const owner = ground.user();
    const item = await ground.add(owner);
    const holder = new pg.Client(dsn);
    await holder.connect();
    await holder.query('BEGIN; SELECT FROM notify.users FOR UPDATE');
    const startedMs = performance.now();
    // it waits as long as it may, while nothing else is asked
    await assert.rejects(ground.read(owner, item), unavailable);
    assert.ok(performance.now() - startedMs > 4_000);
    await holder.query('COMMIT');
    await holder.end();
    assert.equal((await ground.read(owner, item)).changed, 1);
    assert.deepEqual(events, []);
  });
});
