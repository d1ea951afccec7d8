import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { as, call, procedures } from '../support/build.ts';
import { eventually } from '../support/eventually.ts';
import { postgresForFile } from '../support/postgres.ts';
import { notifyBody } from './support/load.ts';
import { Replica } from './support/replica.ts';
import { amount } from './support/scale.ts';
import { Sink } from './support/sink.ts';

const { postgres, skip } = await postgresForFile();

/**
 * In milliseconds. A call that finds no connection gives up after 3 s; one that has stored its notification waits for the outcome to
 * be stored too, 5 s at most (NOTIFY_SYNC_ATTEMPT_TIMEOUT). What stands behind the lock itself may wait for a connection before
 * each of its steps.
 */
const boundMs = { other: 9_000, locked: 15_000 };

describe('a lock that somebody else holds', { skip }, () => {
  it('takes all connections, and every other call is answered within bounds all the same', async (t) => {
    const lastsMs = amount('LOCK_S', { short: 8, long: 30 }) * 1_000;
    const sink = await Sink.listen(t);
    const dsn = await postgres().database();
    const replica = await Replica.start(t, { dsn, sink, env: { NOTIFY_LOG_LEVEL: 'info' } });
    const { internal, client } = replica.url;
    const send = (id: string, user: string) => call(internal, procedures.notify, notifyBody(id, [user]));
    assert.equal((await send('first', 'locked')).status, 200);
    const holder = new pg.Client(dsn);
    await holder.connect();
    t.after(() => holder.end());
    await holder.query(`BEGIN; SELECT FROM notify.users WHERE user_id = 'locked' FOR UPDATE`);

    const until = performance.now() + lastsMs;
    const answered = { ok: 0, unavailable: 0 };
    /** In milliseconds, by what was called. */
    const slowest: Record<string, number> = {};
    /** Calls again and again while the lock is held. */
    const repeat = async (what: string, make: (n: number) => ReturnType<typeof call>) => {
      for (let n = 0; performance.now() < until; n++) {
        const since = performance.now();
        const { status, headers, body } = await make(n);
        slowest[what] = Math.max(slowest[what] ?? 0, Math.round(performance.now() - since));
        if (status === 200) answered.ok += 1;
        else {
          assert.deepEqual([status, body.code], [503, 'unavailable']);
          assert.ok(Number(headers.get('retry-after')) >= 1);
          answered.unavailable += 1;
        }
      }
    };
    const each = (count: number, work: (i: number) => Promise<void>) =>
      Array.from({ length: count }, (_, i) => work(i));
    const calls = Promise.all([
      // 20 of one user's own tabs stand behind the lock, which is twice as many as there are connections
      ...each(20, () =>
        repeat('MarkAllRead', () => call(client, 'notify.v1.InboxService/MarkAllRead', {}, as('locked'))),
      ),
      ...each(5, (i) => repeat('Notify', (n) => send(`other-${i}-${n}`, `other-${i}`))),
      ...each(5, (i) =>
        repeat('GetNotifications', () => call(client, procedures.getNotifications, {}, as(`other-${i}`))),
      ),
    ]);
    calls.catch(() => {}); // it is looked at when the lock is gone
    await pause(lastsMs);
    await holder.query('COMMIT');
    const since = performance.now();
    await calls;
    for (const [what, ms] of Object.entries(slowest))
      assert.ok(ms < (what === 'MarkAllRead' ? boundMs.locked : boundMs.other), `${what} took ${ms} ms`);
    await eventually('others to be served at once', async () => {
      const began = performance.now();
      const { status } = await send('after', 'other-0');
      return status === 200 && performance.now() - began < 500;
    });
    assert.deepEqual(
      replica.lines().filter(({ msg }) => String(msg).startsWith('postgres_lost')),
      [],
      'Postgres was there',
    );
    t.diagnostic(
      `all connections behind a lock for ${lastsMs / 1_000} s: ${answered.ok} calls answered, ${answered.unavailable} unavailable, the slowest in ms ${JSON.stringify(slowest)}; as usual ${Math.round(performance.now() - since)} ms after the lock`,
    );
  });
});
