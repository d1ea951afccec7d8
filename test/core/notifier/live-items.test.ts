import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Notification } from '../../../src/core/glossary.ts';
import { leastUnits, unitsPerTurn } from '../../../src/core/live/pace.ts';
import type { Freshening } from '../../../src/core/notifier/fresh.ts';
import { goLive } from '../../../src/core/notifier/live-items.ts';
import { inAppOf } from '../../../src/core/status.ts';
import { type LiveBench, liveBench } from '../../support/live.ts';

const perTurn = unitsPerTurn / leastUnits;
const userOf = (i: number): string => `user-${i}`;
const alice = { tenantId: 'demo', userId: 'alice' };

/** Items that are stored and told to nobody yet, one for each user. */
async function stored(live: LiveBench, id: string, users: readonly string[], body = '') {
  const items = [];
  for (const user of users) {
    const notification = await live.notify(id, { user, body, quiet: true });
    const { version } = await live.store.inboxSummary(notification);
    items.push({ notification, version, created: true, attempt: [], appearsAtMs: 0n });
  }
  return items;
}

async function streams(live: LiveBench, users: number) {
  const names = Array.from({ length: users }, (_, i) => userOf(i));
  return { names, all: await Promise.all(names.map((user) => live.open({ user }))) };
}

const wasDelivered = (fresh: Freshening, { deliveries }: Notification): boolean =>
  fresh.get(inAppOf(deliveries)?.id ?? '')?.status === 'delivered';

/** Does something, and tells how much it had done of something else at the end of each turn of the event loop. */
async function turnsOf(work: Promise<unknown>, done: () => number): Promise<number[]> {
  const turns = [done()];
  let isDone = false;
  void work.then(() => {
    isDone = true;
  });
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    turns.push(done());
  }
  return turns;
}

/** The most that was done in one turn. */
const most = (turns: readonly number[]): number =>
  Math.max(...turns.map((count, i) => count - (turns[i - 1] ?? 0)));

describe('telling many users of new items', () => {
  it('lets everybody else have their turn, and confirms all', async () => {
    const live = liveBench();
    const { names, all } = await streams(live, 1_000);
    const items = await stored(live, 'one', names);
    const fresh: Freshening = new Map();
    const sent = () => all.reduce((sum, { sink }) => sum + sink.ids.length, 0);
    const turns = await turnsOf(goLive(live.hub, live.ambient.clock, 3_000, items, fresh), sent);
    assert.equal(sent(), names.length);
    assert.ok(items.every(({ notification }) => wasDelivered(fresh, notification)));
    assert.ok(most(turns) <= perTurn, `${most(turns)} in one turn`);
  });

  it('is by fewer at a time where the items are large', async () => {
    const live = liveBench();
    const { names, all } = await streams(live, 20);
    const items = await stored(live, 'one', names, 'x'.repeat(unitsPerTurn / 2));
    const sent = () => all.reduce((sum, { sink }) => sum + sink.ids.length, 0);
    const turns = await turnsOf(goLive(live.hub, live.ambient.clock, 3_000, items, new Map()), sent);
    assert.equal(sent(), names.length);
    assert.ok(most(turns) <= 2, `${most(turns)} in one turn`);
  });

  it('is no more at a time by several calls, and none of them waits for the end of another', async () => {
    const live = liveBench();
    const { names, all } = await streams(live, 400);
    const large = await stored(live, 'one', names);
    const small = await stored(live, 'two', ['alice']);
    const { sink } = await live.open({
      user: 'alice',
      start: { kind: 'after', position: small[0]?.notification.position ?? 0 },
    });
    const more = await stored(live, 'three', ['alice']);
    const sent = () => all.reduce((sum, stream) => sum + stream.sink.ids.length, 0) + sink.ids.length;
    const { clock } = live.ambient;
    const first = goLive(live.hub, clock, 3_000, large, new Map());
    let before = 0;
    const second = goLive(live.hub, clock, 3_000, more, new Map()).then(() => {
      before = sent();
    });
    const turns = await turnsOf(Promise.all([first, second]), sent);
    assert.ok(most(turns) <= perTurn, `${most(turns)} in one turn`);
    assert.deepEqual(sink.ids, ['three']);
    assert.ok(before <= 3 * perTurn, `after ${before} of the large call`);
  });

  it('keeps the order of a user whose next item overtakes a large call, and confirms both', async () => {
    const live = liveBench();
    const { names } = await streams(live, 300);
    const { sink } = await live.open();
    const large = await stored(live, 'one', [...names, 'alice']);
    const next = await stored(live, 'two', ['alice']);
    const fresh: Freshening = new Map();
    const { clock } = live.ambient;
    const first = goLive(live.hub, clock, 3_000, large, fresh);
    await goLive(live.hub, clock, 3_000, next, fresh);
    await first;
    assert.deepEqual(sink.ids, ['one', 'two']);
    for (const { notification } of [...large, ...next]) assert.ok(wasDelivered(fresh, notification));
  });

  it('shows a late one as it is by then', async () => {
    const live = liveBench();
    const { names } = await streams(live, 300);
    const { sink } = await live.open();
    const large = await stored(live, 'one', [...names, 'alice']);
    const telling = goLive(live.hub, live.ambient.clock, 0, large, new Map());
    const { id } = large.at(-1)?.notification ?? { id: '' };
    const { summary } = await live.store.changeInbox(alice, { kind: 'delete', id, atMs: 1n });
    live.hub.inboxChanged(alice, { summary, removedIds: [id] });
    let isDone = false;
    void telling.then(() => {
      isDone = true;
    });
    while (!isDone) await live.settle();
    assert.deepEqual(sink.ids, []);
  });

  it('stops waiting for a user who takes nothing', async () => {
    const live = liveBench();
    const { sink } = await live.open();
    sink.stalled = true;
    const items = await stored(live, 'one', ['alice']);
    const fresh: Freshening = new Map();
    const telling = goLive(live.hub, live.ambient.clock, 3_000, items, fresh);
    await live.ambient.clock.advance(3_000);
    await telling;
    assert.equal(fresh.size, 0);
  });
});
