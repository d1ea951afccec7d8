import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { toItem } from '../../../../plugins/store/postgres/import/items.ts';
import type { PostgresStore } from '../../../../plugins/store/postgres/postgres-store.ts';
import { wireChannel, wireStatus } from '../../../../src/core/status.ts';
import { at, deliveryOf, Ground } from '../../../conformance/store/ground.ts';
import { fakeAmbient } from '../../../support/ambient.ts';
import { eventually } from '../../../support/eventually.ts';
import { FirstImplementation } from '../../../support/first-implementation.ts';
import { openTestStore, postgresForFile } from '../../../support/postgres.ts';
import { TestProcess } from '../../../support/process.ts';

const { postgres, skip } = await postgresForFile();

const ada = { tenantId: 'demo', userId: 'ada' };

/** A database with both implementations' tables, and a store on ours. */
async function setUp(
  t: TestContext,
  options: { loose?: boolean } = {},
): Promise<{ dsn: string; old: FirstImplementation; store: PostgresStore; ground: Ground }> {
  const dsn = await postgres().database();
  const old = new FirstImplementation(postgres(), dsn);
  await old.createTables(options.loose);
  const ambient = fakeAmbient();
  const store = openTestStore(dsn, ambient);
  t.after(() => store.close());
  return { dsn, old, store, ground: new Ground(store, ambient) };
}

const start = (
  t: TestContext,
  dsn: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): TestProcess =>
  new TestProcess(t, process.execPath, ['src/import.ts', ...args], { NOTIFY_POSTGRES_DSN: dsn, ...env });

/** Runs `npm run db:import` without npm, to its end. */
async function run(
  ...parameters: Parameters<typeof start>
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = start(...parameters);
  const { code } = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** Runs it where all must be copied or skipped. @returns its output */
async function copy(...parameters: Parameters<typeof start>): Promise<string> {
  const { code, stdout, stderr } = await run(...parameters);
  assert.equal(code, 0, stdout + stderr);
  assert.equal(stderr, '');
  return stdout;
}

/** Fails where a user's counters are not what the rows come to, or a position is missing. */
async function assertExact(dsn: string): Promise<void> {
  const wrong = await postgres().sql(
    `SELECT u.user_id, u.newest_position, u.version, u.unread, u.unseen, n.*
     FROM notify.users u JOIN (
       SELECT tenant_id, user_id, count(*) AS items, count(DISTINCT position) AS positions, min(position) AS first,
         max(position) AS last, count(*) FILTER (WHERE in_app_id IS NOT NULL AND read_at_ms IS NULL) AS really_unread
       FROM notify.notifications GROUP BY tenant_id, user_id
     ) n USING (tenant_id, user_id)
     WHERE first <> 1 OR last <> items OR positions <> items OR newest_position <> items OR unread <> really_unread
       OR unseen <> really_unread OR version < items`,
    dsn,
  );
  assert.deepEqual(wrong, []);
}

/** Fails where a user's imported items are not in the order of their creation. */
async function assertInOrder(dsn: string): Promise<void> {
  const [wrong] = await postgres().sql(
    `SELECT count(*)::int AS count FROM (
       SELECT created_at_ms, lag(created_at_ms) OVER (PARTITION BY tenant_id, user_id ORDER BY position) AS before
       FROM notify.notifications WHERE notification_id LIKE 'old-%'
     ) n WHERE before > created_at_ms`,
    dsn,
  );
  assert.equal(wrong?.count, 0);
}

const countItems = async (dsn: string): Promise<number> => {
  const [row] = await postgres().sql('SELECT count(*)::int AS items FROM notify.notifications', dsn);
  return Number(row?.items);
};

describe('db:import', { skip }, () => {
  it('shows the same inbox as before, newest first, with ids, texts, states and times', async (t) => {
    const { dsn, old, store, ground } = await setUp(t);
    const text = `Zoë's "5%_\\' 🎉 日本`;
    const ids = {
      read: await old.notification({
        created_at_ms: 1_000,
        status: 'read',
        delivered_at_ms: 1_100,
        ack_at_ms: 1_200,
        read_at_ms: 1_300,
      }),
      acked: await old.notification({ created_at_ms: 4_000, status: 'acked', ack_at_ms: 4_200 }),
      delivered: await old.notification({
        created_at_ms: 3_000,
        delivered_at_ms: 3_100,
        title: text,
        body: text,
      }),
      failed: await old.notification({ created_at_ms: 2_000, status: 'failed', delivered_at_ms: 0 }),
      pending: await old.notification({
        created_at_ms: 9007199254740993n,
        status: 'pending',
        delivered_at_ms: 0,
        notification_id: 'order-7|shipped',
      }),
    };
    await old.notification({ user_id: 'bob' });
    await old.notification({ tenant_id: 'other' });

    await copy(t, dsn);

    const { notifications, summary } = await ground.list(ada);
    assert.deepEqual(
      notifications.map(({ id }) => id),
      [ids.pending, ids.acked, ids.delivered, ids.failed, ids.read],
    );
    assert.deepEqual(notifications.map(wireStatus), ['pending', 'acked', 'delivered', 'failed', 'read']);
    assert.equal(summary.unreadCount, 4);
    assert.equal(summary.unseenCount, 4);
    assert.equal(summary.newestPosition, 5);
    const read = await store.getNotification(ada, ids.read);
    assert.deepEqual(
      [
        read.createdAtMs,
        deliveryOf(read, 'in_app').deliveredAtMs,
        deliveryOf(read, 'in_app').ackAtMs,
        read.readAtMs,
      ],
      [1_000n, 1_100n, 1_200n, 1_300n],
    );
    const delivered = await store.getNotification(ada, ids.delivered);
    assert.deepEqual(
      [delivered.title, delivered.body, delivered.subjectRef, delivered.subjectType, delivered.type],
      [text, text, 'doc/1', 'comment', 'comment'],
    );
    const pending = await store.getNotification(ada, ids.pending);
    assert.deepEqual([pending.notificationId, pending.createdAtMs], ['order-7|shipped', 9007199254740993n]);
    assert.equal((await ground.list({ tenantId: 'demo', userId: 'bob' })).notifications.length, 1);
    assert.equal((await ground.list({ tenantId: 'other', userId: 'ada' })).notifications.length, 1);
    await assertExact(dsn);
  });

  it('leaves a state that can be changed on: reading, archiving and deleting count as ever', async (t) => {
    const { dsn, old, ground } = await setUp(t);
    const unread = await old.notification();
    const read = await old.notification({ status: 'read', read_at_ms: 5 });
    await copy(t, dsn);
    assert.equal((await ground.read(ada, { id: unread })).summary.unreadCount, 0);
    assert.equal((await ground.change(ada, { kind: 'unread', id: read })).summary.unreadCount, 1);
    assert.equal((await ground.delete(ada, { id: read })).summary.unreadCount, 0);
  });

  it('takes a row for read, acknowledged or delivered that has the time of it, whatever its status says', async (t) => {
    const { dsn, old, store } = await setUp(t);
    const wasRead = await old.notification({ status: 'pending', delivered_at_ms: 0, read_at_ms: 77 });
    const wasDelivered = await old.notification({ status: 'failed', delivered_at_ms: 55 });
    const readAtNoTime = await old.notification({ status: 'read', delivered_at_ms: 44, created_at_ms: 33 });
    await copy(t, dsn);
    const one = await store.getNotification(ada, wasRead);
    assert.deepEqual([one.readAtMs, deliveryOf(one, 'in_app').status], [77n, 'delivered']);
    assert.equal(wireStatus(await store.getNotification(ada, wasDelivered)), 'delivered');
    assert.equal((await store.getNotification(ada, readAtNoTime)).readAtMs, 44n);
  });

  it('replays to a new stream only what no stream had taken', async (t) => {
    const { dsn, old, ground } = await setUp(t);
    await old.notification({ created_at_ms: 1 });
    const pending = await old.notification({ created_at_ms: 2, status: 'pending', delivered_at_ms: 0 });
    await old.notification({ created_at_ms: 3, status: 'read', read_at_ms: 4 });
    await copy(t, dsn);
    assert.deepEqual(await ground.replayed(ada), [pending]);
  });

  it('never sends again what was pending on another channel, not even when its call is repeated', async (t) => {
    const { dsn, old, store, ground } = await setUp(t);
    const id = await old.notification({
      channel: 'email',
      status: 'pending',
      delivered_at_ms: 0,
      notification_id: 'mail',
    });
    await copy(t, dsn);
    const [row] = await old.sql('SELECT due_at_ms, reason, destination FROM notify.deliveries');
    assert.deepEqual(row, { due_at_ms: null, reason: 'imported', destination: '' });
    const repeat = await ground.createOne(ground.draft(ada, { key: 'mail', deliveries: [ground.email()] }));
    assert.deepEqual([repeat.created, repeat.attempt, repeat.notification.id], [false, [], id]);
    const listed = await store.getNotification(ada, id);
    assert.deepEqual([wireChannel(listed.deliveries), wireStatus(listed)], ['email', 'pending']);
    assert.equal((await store.inboxSummary(ada)).unreadCount, 0, 'an email lights no bell');
  });

  it('makes one notification of the rows that are its channels, under the in-app row’s id', async (t) => {
    const { dsn, old, store, ground } = await setUp(t, { loose: true });
    const same = { notification_id: 'one' };
    const email = await old.notification({
      ...same,
      channel: 'email',
      created_at_ms: 10,
      status: 'failed',
      delivered_at_ms: 0,
    });
    const sms = await old.notification({ ...same, channel: 'sms', created_at_ms: 30 });
    const inApp = await old.notification({ ...same, created_at_ms: 20, status: 'read', read_at_ms: 99 });
    const between = await old.notification({ created_at_ms: 15 });
    const pair = { notification_id: 'two', created_at_ms: 40 };
    const first = await old.notification({ ...pair, channel: 'whatsapp' });
    await old.notification({ ...pair, channel: 'sms', created_at_ms: 41 });

    assert.match(await copy(t, dsn), /6 copied, 0 skipped, 0 not copied; 3 new notifications/);

    assert.deepEqual(
      (await ground.list(ada)).notifications.map(({ id }) => id),
      [first, between, inApp],
    );
    const merged = await store.getNotification(ada, inApp);
    assert.deepEqual(
      merged.deliveries.map(({ id, channel, status }) => [id, channel, status]),
      [
        [email, 'email', 'failed'],
        [inApp, 'in_app', 'delivered'],
        [sms, 'sms', 'delivered'],
      ],
    );
    assert.deepEqual([merged.createdAtMs, merged.readAtMs], [10n, 99n]);
    await assertExact(dsn);
  });

  it('leaves alone what is stored under the same key, and what it copied before', async (t) => {
    const { dsn, old, store, ground } = await setUp(t);
    const ours = await ground.add(ada, { key: 'same', content: { title: 'Ours' } });
    await old.notification({ notification_id: 'same', title: 'Theirs' });
    const other = await old.notification();
    assert.match(await copy(t, dsn), /1 copied, 1 skipped, 0 not copied/);
    assert.equal((await store.getNotification(ada, ours.id)).title, 'Ours');
    await ground.read(ada, { id: other });
    const before = await store.inboxSummary(ada);
    assert.match(await copy(t, dsn), /0 copied, 2 skipped, 0 not copied/);
    assert.deepEqual(await store.inboxSummary(ada), before);
    assert.equal((await ground.list(ada)).notifications.length, 2);
  });

  it('names each row that cannot be copied, and copies the rest', async (t) => {
    const { dsn, old, ground } = await setUp(t, { loose: true });
    const good = await old.notification();
    const fax = await old.notification({ channel: 'fax' });
    const odd = await old.notification({ status: '9', channel: '' });
    const long = await old.notification({ body: 'secret text '.repeat(200_000) });
    const subject = await old.notification({ subject_ref: 'r'.repeat(2_000) });
    const blank = await old.notification({ user_id: ' ' });
    const timeless = await old.notification({ created_at_ms: null });
    await old.notification({ id: 'no-uuid' });
    await old.notification({ id: null });
    const theirs = await ground.add(ada);
    const taken = await old.notification({ id: theirs.id });
    const numbers = await old.notification({ channel: '1', status: '4', read_at_ms: 8 });
    const names = await old.notification({
      channel: 'DELIVERY_CHANNEL_IN_APP',
      status: 'DELIVERY_STATUS_ACKED',
    });

    const { code, stdout, stderr } = await run(t, dsn);

    assert.equal(code, 1);
    assert.match(stderr, /^9 rows were not copied: each is named above/);
    const reasons = new Map(
      [...stdout.matchAll(/^public\.notify_notifications: not copied: row (\S+): (.*)$/gm)].map(
        ([, id, why]) => [id, why],
      ),
    );
    assert.deepEqual(
      reasons,
      new Map([
        [fax, 'channel "fax" is unknown'],
        [odd, 'channel is empty; status "9" is unknown'],
        [long, 'its texts are longer than any that can be stored'],
        [subject, 'subject_ref must be at most 1,024 bytes of UTF-8'],
        [blank, 'user_id must not be blank'],
        [timeless, 'created_at_ms is missing'],
        ['"no-uuid"', 'id is no UUID'],
        ['""', 'id is no UUID'],
        [taken, 'another notification of its tenant has its id'],
      ]),
    );
    assert.doesNotMatch(stdout, /secret text/);
    assert.deepEqual(new Set(await ground.listAll(ada)), new Set([good, numbers, names, theirs.id]));
    await assertExact(dsn);
  });

  it('refuses a text with NUL, which a database of another kind may hold', () => {
    const refused: string[] = [];
    const row = {
      id: randomUUID(),
      tenant_id: 'demo',
      user_id: 'ada',
      notification_id: 'n',
      title: 'a\0b',
      channel: 'in_app',
      status: 'read',
      created_at_ms: '1',
      delivered_at_ms: '0',
      ack_at_ms: '0',
      read_at_ms: '0',
    };
    assert.equal(
      toItem([row], (_, why) => refused.push(why)),
      undefined,
    );
    assert.deepEqual(refused, ['title must not contain NUL (U+0000)']);
  });

  it('copies from another database, and keeps both passwords and every token to itself', async (t) => {
    const { dsn, ground } = await setUp(t);
    const elsewhere = new FirstImplementation(postgres(), await postgres().database('empty'));
    await elsewhere.createTables();
    const id = await elsewhere.notification();
    await elsewhere.device({ token: 'token-of-ada' });
    const said = await copy(t, dsn, ['--from', elsewhere.dsn]);
    assert.deepEqual(await ground.listAll(ada), [id]);
    assert.match(await copy(t, dsn, [], { NOTIFY_IMPORT_DSN: elsewhere.dsn }), /0 copied, 1 skipped/);
    const wrong = elsewhere.dsn.replace(/:[^:@]*@/, ':wrong-secret@');
    const refused = await run(t, dsn, ['--from', wrong]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /cannot connect to Postgres; check --from/);
    const unreadable = await run(t, dsn, ['--from', 'mysql://wrong-secret@db']);
    assert.equal(unreadable.code, 1);
    assert.match(unreadable.stderr, /^--from must be a URL/);
    assert.match((await run(t, dsn, ['wrong-secret'])).stderr, /^usage/);
    const password = new URL(dsn).password;
    for (const text of [said, refused.stdout, refused.stderr, unreadable.stderr])
      for (const secret of [password, 'token-of-ada', 'wrong-secret'])
        assert.ok(!text.includes(secret), text);
  });

  it('copes with other columns than it knows, and names those that it misses', async (t) => {
    const { dsn, old, ground } = await setUp(t);
    await old.sql(`
      ALTER TABLE public.notify_notifications DROP subject_ref, DROP subject_type, DROP ack_at_ms, ADD "Extra col" jsonb;
      ALTER TABLE public.notify_devices DROP last_active_ms, DROP created_at_ms, ADD updated_at_ms bigint`);
    await old.sql(`
      INSERT INTO public.notify_notifications (id, tenant_id, user_id, notification_id, channel, status, created_at_ms)
      VALUES (gen_random_uuid(), 'demo', 'ada', 'n', 'in_app', 'delivered', 1);
      INSERT INTO public.notify_devices (id, tenant_id, user_id, device_type, token, updated_at_ms)
      VALUES (gen_random_uuid(), 'demo', 'ada', 'ios', 't', 9)`);
    await copy(t, dsn);
    assert.equal((await ground.list(ada)).notifications.length, 1);
    assert.equal(at(await ground.store.listDevices(ada), 0).updatedAtMs, 9n);

    await old.sql('ALTER TABLE public.notify_notifications DROP channel, DROP notification_id');
    const { code, stderr } = await run(t, dsn);
    assert.equal(code, 1);
    assert.match(stderr, /public\.notify_notifications lacks the columns notification_id, channel/);
    await old.sql('DROP TABLE public.notify_notifications');
    assert.match((await run(t, dsn)).stderr, /there is no table public\.notify_notifications/);
    const empty = await postgres().database('empty');
    assert.match((await run(t, empty)).stderr, /run npm run db:migrate/);
  });

  it('goes on where it was killed: nothing twice, nothing missing', async (t) => {
    const { dsn, old } = await setUp(t);
    const rows = 20_000;
    await old.fill(rows, 70);
    for (const share of [0.1, 0.3, 0.5]) {
      const child = start(t, dsn);
      await eventually(
        `${share} of the rows`,
        async () => child.hasExited || (await countItems(dsn)) > rows * share || undefined,
        60_000,
      );
      child.kill('SIGKILL');
      assert.equal((await child.exited).signal, 'SIGKILL', 'it was still running');
      await assertExact(dsn);
    }
    const before = await countItems(dsn);
    assert.ok(before < rows);
    const said = await copy(t, dsn);
    const [, copied = '', skipped = ''] =
      /: ([\d,]+) copied, ([\d,]+) skipped, 0 not copied; /.exec(said) ?? [];
    const count = (text: string) => Number(text.replaceAll(',', ''));
    assert.equal(count(copied) + count(skipped), rows);
    assert.ok(count(skipped) >= before);
    assert.equal(await countItems(dsn), rows);
    await assertExact(dsn);
    await assertInOrder(dsn);
    const [unread] = await old.sql('SELECT sum(unread)::int AS sum FROM notify.users');
    assert.equal(unread?.sum, rows / 2);
  });

  it('ends with what to do where its connections are cut, and goes on when it is started again', async (t) => {
    const { dsn, old } = await setUp(t);
    const rows = 10_000;
    await old.fill(rows, 30);
    const child = start(t, dsn);
    await eventually('some rows', async () => (await countItems(dsn)) > 0, 60_000);
    await old.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'notify-import' AND datname = current_database()`,
    );
    assert.equal((await child.exited).code, 1);
    assert.match(child.stderr, /cannot read the tables to copy from \(.*Start it again to go on/);
    await assertExact(dsn);
    await copy(t, dsn);
    assert.equal(await countItems(dsn), rows);
    await assertExact(dsn);
  });

  it('shares the users with a service that writes, reads and repeats meanwhile', async (t) => {
    const { dsn, old, store, ground } = await setUp(t);
    const rows = 24_000;
    const users = 4;
    await old.fill(rows, users);
    const owners = Array.from({ length: users }, (_, i) => ({ tenantId: 'demo', userId: `user-${i}` }));
    const child = start(t, dsn);
    let created = 0;
    for (let round = 1; !child.hasExited; round++) {
      const order = round % 2 === 0 ? owners : owners.toReversed();
      await ground.create(...order.map((owner) => ground.draft(owner)));
      created += users;
      // what the first implementation has too: whoever comes first wins
      const last = rows - users * (round % 50);
      await ground.create(
        ...owners.map((owner, i) => ground.draft(owner, { key: `old-${last - users + i}` })),
      );
      await Promise.all(
        owners.map((owner) =>
          ground.change(owner, { kind: 'read_up_to', position: round, atMs: ground.now }),
        ),
      );
    }
    assert.equal((await child.exited).code, 0, child.stdout + child.stderr);
    assert.equal(await countItems(dsn), rows + created);
    await assertExact(dsn);
    const [mixed] = await old.sql(`
      SELECT count(*)::int AS count FROM (
        SELECT n.notification_id LIKE 'old-%' AS old, lag(n.notification_id) OVER w LIKE 'old-%' AS before,
          lead(n.notification_id) OVER w LIKE 'old-%' AS after
        FROM notify.notifications n WINDOW w AS (PARTITION BY user_id ORDER BY position)
      ) n WHERE NOT old AND before AND after`);
    assert.ok(Number(mixed?.count) > 0, 'both wrote to the same users at the same time');
    const owner = at(owners, 3);
    const { newestPosition } = await store.inboxSummary(owner);
    assert.equal((await ground.listAll(owner)).length, newestPosition);
  });

  it('copies devices: ids and tokens stay, ours win, and a token goes to who used it last', async (t) => {
    const { dsn, old, store, ground } = await setUp(t, { loose: true });
    const owner = (userId: string) => ({ tenantId: 'demo', userId });
    const phone = await old.device({
      device_type: 'android',
      token: 'phone',
      last_active_ms: 20,
      created_at_ms: 10,
    });
    await old.device({ user_id: 'bob', token: 'shared', created_at_ms: 1, last_active_ms: 1_000 });
    await old.device({ user_id: 'eve', token: 'shared', created_at_ms: 1, last_active_ms: 2_000 });
    await old.device({ tenant_id: 'other', user_id: 'bob', token: 'shared', last_active_ms: 1 });
    const ours = await store.registerDevice(ground.device(owner('ada'), { token: 'ours' }));
    await old.device({ token: 'older than ours', last_active_ms: 9_000_000_000_000n });
    await old.device({ user_id: 'zoe', token: 'ours', last_active_ms: 9_000_000_000_000n });
    const toaster = await old.device({ user_id: 'tim', device_type: 'toaster' });
    const empty = await old.device({ user_id: 'tom', device_type: 'DEVICE_TYPE_IOS', token: '' });
    const number = await old.device({ user_id: 'uma', device_type: '2', token: 'uma' });

    const { code, stdout } = await run(t, dsn);

    assert.equal(code, 1);
    assert.match(stdout, new RegExp(`row ${toaster}: device_type "toaster" is unknown`));
    assert.match(stdout, new RegExp(`row ${empty}: token must not be blank`));
    assert.match(stdout, /notify_devices: done .* 4 copied, 3 skipped, 2 not copied; 4 new devices/);
    const adas = await store.listDevices(owner('ada'));
    assert.deepEqual(
      adas.map(({ id, deviceType, token }) => [id, deviceType, token]).sort(),
      [
        [phone, 'android', 'phone'],
        [ours.id, 'browser', 'ours'],
      ].sort(),
    );
    const copied = at(
      adas.filter(({ id }) => id === phone),
      0,
    );
    assert.deepEqual([copied.createdAtMs, copied.updatedAtMs, copied.deviceId], [10n, 20n, '']);
    assert.deepEqual(await store.listDevices(owner('bob')), []);
    assert.equal(at(await store.listDevices(owner('eve')), 0).token, 'shared');
    assert.equal((await store.listDevices({ tenantId: 'other', userId: 'bob' })).length, 1);
    assert.deepEqual(await store.listDevices(owner('zoe')), []);
    assert.equal(at(await store.listDevices(owner('uma')), 0).id, number);

    // a registration after it replaces the token and keeps the imported id
    await store.registerDevice(ground.device(owner('eve'), { token: 'new' }));
    await run(t, dsn);
    assert.deepEqual(
      (await store.listDevices(owner('eve'))).map(({ token }) => token),
      ['new'],
    );
    assert.deepEqual(await store.listDevices(owner('bob')), [], 'the token is not his again');
  });
});
