import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import pg from 'pg';
import type { PostgresStore } from '../../../../plugins/store/postgres/postgres-store.ts';
import { publicError } from '../../../../src/core/errors.ts';
import type { CreateOutcome, NewNotification, StoredOutcome } from '../../../../src/core/store.ts';
import { at, Ground, parallel } from '../../../conformance/store/ground.ts';
import { fakeAmbient } from '../../../support/ambient.ts';
import { openTestStore, postgresForFile } from '../../../support/postgres.ts';

const { postgres, skip } = await postgresForFile();

/** Several processes' stores on one database, as far as the database can tell. */
async function instances(
  count: number,
  t: { after: (fn: () => Promise<void>) => void },
): Promise<{ stores: PostgresStore[]; ground: Ground; dsn: string }> {
  const dsn = await postgres().database();
  const ambient = fakeAmbient();
  const stores = Array.from({ length: count }, () => openTestStore(dsn, ambient));
  t.after(async () => {
    await Promise.all(stores.map((store) => store.close()));
  });
  return { stores, ground: new Ground(at(stores, 0), ambient), dsn };
}

const stored = (outcome: CreateOutcome | undefined): StoredOutcome => {
  assert.ok(outcome && 'notification' in outcome);
  return outcome;
};

describe('several instances on one database', { skip }, () => {
  it('store one id once for 16 calls over two of them', async (t) => {
    const { stores, ground, dsn } = await instances(2, t);
    const owner = ground.user();
    const outcomes = await parallel(16, async (i) => {
      const deliveries = [ground.inApp(owner), ground.email()];
      const row = ground.draft(owner, { key: 'one', deliveries });
      return stored((await at(stores, i % 2).createNotifications([row], ground.lease()))[0]);
    });
    assert.equal(outcomes.filter(({ created }) => created).length, 1);
    assert.equal(outcomes.flatMap(({ attempt }) => attempt).length, 1);
    assert.equal(new Set(outcomes.map(({ notification }) => notification.id)).size, 1);
    const [counts] = await postgres().sql(
      'SELECT (SELECT count(*)::int FROM notify.notifications) AS items, (SELECT count(*)::int FROM notify.deliveries) AS others',
      dsn,
    );
    assert.deepEqual(counts, { items: 1, others: 1 });
    const { unreadCount, newestPosition, version } = await ground.store.inboxSummary(owner);
    assert.deepEqual([unreadCount, newestPosition, version], [1, 1, 1]);
  });

  it('agree on one notification when 200 calls name it over four of them', async (t) => {
    const { stores, ground } = await instances(4, t);
    const { tenantId } = ground.user();
    const users = ['ada', 'bob', 'eve'].map((userId) => ({ tenantId, userId }));
    const outcomes = await parallel(200, async (i) => {
      const order = i % 2 === 0 ? users : users.toReversed();
      const rows = order.map((owner) => ground.draft(owner, { key: 'one' }));
      return (await at(stores, i % 4).createNotifications(rows)).map(stored);
    });
    assert.equal(outcomes.flat().filter(({ created }) => created).length, users.length);
    for (const owner of users)
      assert.equal((await ground.store.inboxSummary(owner)).newestPosition, 1, owner.userId);
  });

  it('give positions without a gap, and readers never skip one', async (t) => {
    const { stores, ground } = await instances(4, t);
    const owner = ground.user();
    const each = 60;
    let writing = true;
    const written = parallel(8, async (i) => {
      for (let n = 0; n < each; n++) await at(stores, i % 4).createNotifications([ground.draft(owner)]);
    }).finally(() => {
      writing = false;
    });
    const positions: number[] = [];
    for (let last = false; !last; ) {
      last = !writing;
      const page = await at(stores, 1).notificationsSince(owner, {
        after: positions.at(-1) ?? 0,
        limit: 50,
        maxBytes: 10_000,
        untakenAtMs: undefined,
      });
      positions.push(...page.notifications.map(({ position }) => position));
      if (page.notifications.length > 0) last = false;
    }
    await written;
    assert.deepEqual(
      positions,
      Array.from({ length: 8 * each }, (_, i) => i + 1),
    );
  });

  it('keep exact counts when they change one inbox at the same time', async (t) => {
    const { stores, ground } = await instances(3, t);
    const owner = ground.user();
    const items = await ground.addMany(owner, 30);
    await parallel(150, async (i) => {
      const store = at(stores, i % 3);
      const item = at(items, (i * 7) % items.length);
      const atMs = ground.now;
      const kinds = [
        'read',
        'unread',
        'archive',
        'unarchive',
        'read_up_to',
        'take',
        'suppress',
        'add',
      ] as const;
      const kind = at(kinds, i % kinds.length);
      if (kind === 'take') await store.recordOutcomes([ground.outcome(item, 'in_app')]);
      else if (kind === 'suppress')
        await store.recordOutcomes([ground.outcome(item, 'in_app', { status: 'suppressed' })]);
      else if (kind === 'add') await store.createNotifications([ground.draft(owner)]);
      else if (kind === 'read_up_to') await store.changeInbox(owner, { kind, position: item.position, atMs });
      else
        await store
          .changeInbox(
            owner,
            kind === 'read' || kind === 'archive' ? { kind, id: item.id, atMs } : { kind, id: item.id },
          )
          .catch((error: { code?: string }) => assert.equal(error.code, 'not_found'));
    });
    const { notifications, summary } = await ground.list(owner, { unreadOnly: true });
    assert.equal(summary.unreadCount, notifications.length);
    assert.equal(summary.unseenCount, notifications.filter(({ seen }) => !seen).length);
  });
});

describe('a batch', { skip }, () => {
  it('fails one row that does not fit, and stores the other rows and the other calls', async (t) => {
    const { stores, ground } = await instances(1, t);
    const owner = ground.user();
    const bad: NewNotification = ground.draft(owner, { content: { title: 'a NUL \u0000 here' } });
    const calls = [
      [ground.draft(owner)],
      [ground.draft(owner), bad, ground.draft(owner), ground.draft(owner)],
      [ground.draft({ ...owner, userId: 'bob' })],
    ];
    const outcomes = await Promise.all(calls.map((call) => at(stores, 0).createNotifications(call)));
    const shape = outcomes.map((call) =>
      call.map((outcome) => ('error' in outcome ? 'refused' : outcome.created)),
    );
    assert.deepEqual(shape, [[true], [true, 'refused', true, true], [true]]);
    const refused = outcomes[1]?.[1];
    assert.ok(refused && 'error' in refused);
    assert.match(refused.error.message, /cannot be stored/);
    assert.doesNotMatch(String(refused.error.cause), /here/);
    assert.equal((await ground.store.inboxSummary(owner)).unreadCount, 4);
  });

  it('says of ids that do not fit in the index together how long they may be', async (t) => {
    const { ground } = await instances(1, t);
    const id = (bytes: number) => randomBytes(bytes).toString('base64url').slice(0, bytes);
    const create = (bytes: number) =>
      ground.store.createNotifications([
        ground.draft({ tenantId: id(bytes), userId: id(bytes) }, { key: id(bytes) }),
      ]);
    const [long, fitting] = [(await create(1_024))[0], (await create(866))[0]];
    assert.ok(long && 'error' in long);
    assert.match(long.error.message, /too long together; keep them within 2,600 bytes/);
    assert.equal(stored(fitting).created, true);
  });

  it('fails the rows of users whom another transaction keeps locked, and stores the others', async (t) => {
    const { stores, ground, dsn } = await instances(1, t);
    const { tenantId } = ground.user();
    const [held, free, later] = ['held', 'free', 'new'].map((userId) => ({ tenantId, userId }));
    assert.ok(held && free && later);
    await ground.create(ground.draft(held), ground.draft(free));
    const holder = new pg.Client(dsn);
    await holder.connect();
    t.after(() => holder.end());
    await holder.query(`BEGIN; SELECT FROM notify.users WHERE user_id = 'held' FOR UPDATE`);
    const calls = [
      [ground.draft(free)],
      [ground.draft(free), ground.draft(held), ground.draft(later)],
      [ground.draft(held)],
    ];
    const outcomes = await Promise.all(calls.map((call) => at(stores, 0).createNotifications(call)));
    const shape = outcomes.map((call) =>
      call.map((outcome) => ('error' in outcome ? publicError(outcome.error).code : outcome.created)),
    );
    assert.deepEqual(shape, [[true], [true, 'unavailable', true], ['unavailable']]);
    await holder.query('COMMIT');
    assert.equal((await ground.store.inboxSummary(free)).unreadCount, 3);
    assert.equal((await ground.store.inboxSummary(held)).unreadCount, 1);
    assert.deepEqual(
      (await ground.create(ground.draft(held))).map(({ notification }) => notification.position),
      [2],
    );
  });

  it('of more rows than one transaction takes is stored in its order', async (t) => {
    const { ground } = await instances(1, t);
    const owner = ground.user();
    const rows = Array.from({ length: 2_500 }, (_, i) => ground.draft(owner, { key: `k-${i % 2_400}` }));
    const outcomes = await ground.create(...rows);
    assert.deepEqual(
      outcomes.map(({ created }) => created),
      rows.map((_, i) => i < 2_400),
    );
    assert.deepEqual(
      outcomes.slice(0, 2_400).map(({ notification }) => notification.position),
      Array.from({ length: 2_400 }, (_, i) => i + 1),
    );
  });
});
