import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backplaneDefaults } from '../../../src/core/backplane/backplane.ts';
import { limits } from '../../../src/core/notifier/validate.ts';
import { mulberry32 } from '../../support/ambient.ts';
import { type FakeReplica, faithful, replicaBench } from '../../support/backplane.ts';

const alice = { tenantId: 'demo', userId: 'alice' };
const summary = { unreadCount: 0, unseenCount: 0, version: 0 };

/** Replicas that know each other. */
async function bench(count: number) {
  const all = replicaBench();
  const replicas: FakeReplica[] = [];
  for (let i = 0; i < count; i++) replicas.push(await all.replica());
  await all.ambient.clock.advance(5_000);
  return { ...all, replicas, advance: (ms: number) => all.ambient.clock.advance(ms) };
}

async function two() {
  const all = await bench(2);
  const [a, b] = all.replicas;
  assert.ok(a && b);
  return { ...all, a, b };
}

const isHeartbeat = (text: string) => text.endsWith(',[]]');
const says = (kind: string) => (text: string) => text.includes(`"kind":"${kind}"`);

describe('what replicas tell each other', () => {
  it('reaches a stream at another one within some milliseconds', async () => {
    const { a, b, advance } = await two();
    const { sink } = await b.open();
    await advance(10);
    await a.notify('one');
    await advance(10);
    assert.deepEqual(sink.ids, ['one']);
  });

  it('ends the streams of a user who was erased, at another one too', async () => {
    const { a, b, advance } = await two();
    const { sink } = await b.open();
    await advance(10);
    await a.notify('one');
    await advance(10);
    await a.store.eraseUser(alice);
    a.hub.userErased(alice, 0);
    await advance(10);
    assert.deepEqual(sink.kinds.slice(-2), ['reset', 'end']);
  });

  it('is found out by the streams of another one where word of an erased user was lost, and of what came since or not', async () => {
    for (const lost of [['erased'], ['erased', 'item']]) {
      const { a, b, network, advance } = await two();
      const streams = [(await b.open()).sink, (await b.open()).sink];
      await advance(1_000);
      for (const id of ['one', 'two']) await a.notify(id);
      await advance(100);
      network.fate = (text) => (lost.some((kind) => says(kind)(text)) ? [] : [0]);
      await a.store.eraseUser(alice);
      a.hub.userErased(alice, 0);
      await advance(100);
      for (const id of ['three', 'four', 'five']) await a.notify(id);
      await advance(100);
      network.fate = faithful;
      await advance(5_000);
      for (const { kinds, ids } of streams) {
        assert.deepEqual(kinds.slice(-2), ['reset', 'end']);
        assert.deepEqual(ids, ['one', 'two']);
      }
    }
  });

  it('is said of nobody whom the others do not hold', async () => {
    const { a, network, advance } = await two();
    network.sent.length = 0;
    await a.notify('one');
    await advance(500);
    assert.ok(network.sent.every(({ text }) => isHeartbeat(text)));
  });

  it('is looked for in the store when a number is missing', async () => {
    const { a, b, network, advance } = await two();
    const { sink } = await b.open();
    await advance(10);
    network.fate = (text) => (says('item')(text) ? [] : [0]);
    await a.notify('one');
    await advance(500);
    assert.deepEqual(sink.ids, []);
    // nothing more is said: the heartbeat tells the number
    await advance(1_200);
    assert.deepEqual(sink.ids, ['one']);
  });

  it('does no harm when it comes twice, or late', async () => {
    const { a, b, network, advance } = await two();
    const { sink, session } = await b.open();
    await advance(10);
    network.fate = () => [0, 0, 40, 900];
    for (const id of ['one', 'two', 'three']) {
      await a.notify(id);
      await advance(15);
    }
    a.hub.publishHint([alice], { idempotencyKey: 'k', subjectRef: '', subjectType: '' });
    await advance(10);
    a.hub.acknowledgeHint(alice, session.id, 'k');
    await advance(20_000);
    assert.deepEqual(sink.ids, ['one', 'two', 'three']);
    assert.equal(sink.of('data_change').length, 1, 'a late repeat is no new hint');
    assert.equal(a.peers.sessions(alice), 1);
  });

  it('is said in parts, or told by its counts, where it is too long for one text', async () => {
    const { a, b, advance } = await two();
    const owners = Array.from({ length: 40 }, (_, i) => `${i}`.padStart(500, 'x'));
    const sinks = [];
    for (const user of owners) sinks.push((await b.open({ user })).sink);
    await advance(10);
    const hint = { idempotencyKey: 'k', subjectRef: 'r'.repeat(1_000), subjectType: '' };
    const users = owners.map((userId) => ({ tenantId: 'demo', userId }));
    assert.equal(a.hub.publishHint(users, hint), 40);
    await advance(10);
    assert.ok(sinks.every((sink) => sink.of('data_change').length === 1));
    const [owner] = users;
    assert.ok(owner);
    a.hub.inboxChanged(owner, {
      summary: { ...summary, version: 9 },
      readIds: Array(100).fill('i'.repeat(36)),
    });
    await advance(10);
    assert.deepEqual(sinks[0]?.of('inbox').at(-1)?.change, { summary: { ...summary, version: 9 } });

    const long = { ...hint, idempotencyKey: 'long', subjectRef: 'r'.repeat(5_000) };
    a.hub.publishHint([owner], long);
    await a.notify('one', { user: owner.userId });
    await advance(10);
    assert.deepEqual(sinks[0]?.of('data_change').at(-1)?.hint, long);
    assert.deepEqual(sinks[0]?.ids, ['one']);
    assert.deepEqual(a.said, ['connected']);
  });

  it('comes at once also where ids of every size that is taken are spelt in characters that JSON escapes', async () => {
    const { a, b, network, advance } = await two();
    const user = '\u0001'.repeat(limits.idBytes);
    const tenant = '\u0002'.repeat(limits.idBytes);
    const { sink } = await b.open({ user, tenant });
    await advance(10);
    const item = await a.notify('one', { user, tenant });
    await advance(10);
    assert.deepEqual(sink.ids, ['one']);
    const { summary: after } = await a.store.changeInbox(item, { kind: 'read', id: item.id, atMs: 1n });
    a.hub.inboxChanged(item, { summary: after, readIds: [item.id] });
    await advance(10);
    assert.equal(sink.of('inbox').at(-1)?.change.summary.unreadCount, 0);
    assert.ok(network.sent.every(({ text }) => Buffer.byteLength(text) <= 4_096));
  });

  it('that keeps being lost does not wear the store out', async () => {
    let looks = 0;
    let underWay = 0;
    let most = 0;
    const bench = replicaBench((store) => {
      const changed = store.changedInboxes.bind(store);
      store.changedInboxes = async (known) => {
        looks += 1;
        most = Math.max(most, ++underWay);
        await new Promise<void>((resolve) => bench.ambient.clock.after(300, resolve));
        underWay -= 1;
        return changed(known);
      };
      return store;
    });
    const [a, b] = [await bench.replica(), await bench.replica()];
    const { sink } = await b.open();
    await bench.ambient.clock.advance(5_000);
    [looks, most] = [0, 0];
    const random = mulberry32(7);
    bench.network.fate = () => (random() < 0.5 ? [] : [0]);
    for (let i = 0; i < 500; i++) {
      await a.notify(`n-${i}`);
      await bench.ambient.clock.advance(10);
    }
    assert.ok(looks <= 5_000 / 400 + 2, `${looks} looks`);
    assert.equal(most, 1);
    bench.network.fate = faithful;
    await bench.ambient.clock.advance(3_000);
    assert.equal(sink.ids.length, 500);
  });

  it('may be nonsense', async () => {
    const { a, b, network, advance } = await two();
    const { sink } = await b.open();
    await advance(10);
    const counts = { unreadCount: 0, unseenCount: 0 };
    let number = 0;
    const say = (message: unknown) => network.carry(JSON.stringify(['x', ++number, [message]]), 'x');
    for (const text of ['', '{}', '["x"]']) network.carry(text, 'x');
    say(null);
    say({ kind: 'item' });
    say({ kind: 'presence' });
    say({ kind: 'part' });
    say({ kind: 'part', at: 0, of: 1, bytes: 7 });
    say({ kind: 'part', at: 1, of: 2, bytes: '' });
    say({ kind: 'part', at: 0, of: 1, bytes: Buffer.from('nonsense').toString('base64') });
    say({ kind: 'part', at: 0, of: 1, bytes: Buffer.from('{"kind":"item"}').toString('base64') });
    say({ kind: 'of a newer version' });
    say({ kind: 'item', owner: alice, position: Number.MAX_SAFE_INTEGER });
    say({ kind: 'inbox', owner: alice, change: { summary: { ...counts, version: 1.5 } } });
    say({ kind: 'inbox', owner: alice, change: { summary: { ...counts, unreadCount: 0.5, version: 9 } } });
    say({ kind: 'erased', owner: alice, position: 'x' });
    await advance(1_000);
    await a.notify('one');
    await advance(10);
    assert.deepEqual(sink.ids, ['one']);
    await advance(60_000);
    assert.equal(sink.finished, false);
    assert.ok(sink.of('inbox').every(({ change }) => Number.isSafeInteger(change.summary.version)));
  });

  it('goes on after a call of the transport failed with much waiting', async () => {
    const { a, b, advance } = await two();
    const { sink } = await b.open();
    await advance(2_000);
    const send = a.transport.send.bind(a.transport);
    let fails = true;
    a.transport.send = async (texts) => {
      if (!fails) return send(texts);
      fails = false;
      throw new Error('canceling statement due to statement timeout');
    };
    // 64 texts are handed over at once; these are some hundreds
    for (let i = 0; i < 900; i++)
      a.hub.publishHint([alice], { idempotencyKey: `${i}`, subjectRef: 'r'.repeat(900), subjectType: '' });
    await advance(3_000);
    assert.ok(sink.of('data_change').length > 500, `${sink.of('data_change').length} hints`);
    await advance(5_000);
    assert.equal(a.transport.renewals, 0);
    assert.equal(b.backplane.peers, 1);
  });
});

describe('a replica', () => {
  const silence = backplaneDefaults.peerTimeoutMs + 2 * backplaneDefaults.heartbeatMs;

  it('that was killed keeps its users away for seconds, not minutes', async () => {
    const { a, b, advance } = await two();
    const limit = 20;
    for (let i = 0; i < limit - 5; i += 1) await a.open();
    await advance(10);
    await a.die();
    await advance(2_000);
    let opened = 0;
    for (; b.hub.refusal(alice) === undefined; opened += 1) await b.open();
    assert.equal(opened, 5);
    assert.equal(b.hub.refusal(alice)?.reason, 'too_many_streams');
    const againMs = b.hub.refusal(alice)?.error.retryAfterMs ?? 0;
    assert.equal(againMs, 5_000);
    await advance(againMs);
    for (; b.hub.refusal(alice) === undefined; opened += 1) await b.open();
    assert.equal(opened, limit);
    assert.equal(b.hub.refusal(alice)?.error.retryAfterMs, 600_000, 'these are all here');
  });

  it('that falls silent is dropped, and what it may have left unsaid is looked for', async () => {
    const { a, b, advance } = await two();
    await a.open();
    const { sink } = await b.open({ user: 'bob' });
    await advance(2_000);
    assert.equal(b.peers.sessions(alice), 1);
    await a.notify('stored, not told', { user: 'bob', quiet: true });
    await a.die();
    await advance(silence);
    assert.equal(b.backplane.peers, 0);
    assert.equal(b.peers.sessions(alice), 0);
    assert.deepEqual(sink.ids, ['stored, not told']);
  });

  it('that was taken for dead is told again what it holds, and finds what was kept from it', async () => {
    const { a, b, network, advance } = await two();
    const { sink } = await b.open();
    await advance(2_000);
    network.fate = (_text, from, to) => (from === 'r2' && to === 'r1' ? [] : [0]);
    await advance(silence);
    assert.equal(a.peers.sessions(alice), 0);
    await a.notify('untold');
    await advance(500);
    assert.deepEqual(sink.ids, []);
    network.fate = faithful;
    await advance(3_500);
    assert.equal(a.peers.sessions(alice), 1);
    assert.deepEqual(sink.ids, ['untold']);
  });

  it('that hears itself no more makes a new connection, and looks at the store meanwhile', async () => {
    const { a, b, network, advance } = await two();
    const { sink } = await b.open();
    await advance(2_000);
    network.fate = (_text, from, to) => (from === 'r2' || to === 'r2' ? [] : [0]);
    await advance(silence);
    assert.equal(b.transport.renewals, 1);
    await a.notify('one');
    await advance(1_200);
    assert.deepEqual(sink.ids, ['one']);
    network.fate = faithful;
    b.transport.up();
    await advance(2_000);
    assert.equal(a.peers.sessions(alice), 1);
    await a.notify('two');
    await advance(10);
    assert.deepEqual(sink.ids, ['one', 'two']);
  });

  it('in whose name somebody else said a great number is heard again within some seconds', async () => {
    const { a, b, network, advance } = await two();
    const { sink } = await b.open();
    await advance(2_000);
    network.carry(JSON.stringify([a.backplane.id, Number.MAX_SAFE_INTEGER, []]), 'x');
    await advance(10);
    await a.notify('one');
    await advance(silence);
    assert.deepEqual(sink.ids, ['one']);
    await a.notify('two');
    await advance(10);
    assert.deepEqual(sink.ids, ['one', 'two']);
    assert.equal(b.backplane.peers, 1);
  });

  it('whose clock is set back by an hour answers, and notices who is gone, as before', async () => {
    const { a, b, replica, ambient, advance } = await two();
    const { sink } = await a.open();
    const setBack = () => ambient.clock.set(ambient.clock.now() - 3_600_000);
    await advance(2_000);
    await setBack();
    const c = await replica();
    await advance(2_000);
    assert.equal(c.peers.sessions(alice), 1);
    await b.notify('one');
    await advance(10);
    assert.deepEqual(sink.ids, ['one']);
    await a.die();
    await setBack();
    await advance(silence);
    assert.deepEqual([b.backplane.peers, c.peers.sessions(alice)], [1, 0]);
  });

  it('that is asked again and again looks for what was kept from it all the same', async () => {
    const { a, b, advance } = await two();
    const { sink } = await b.open();
    await advance(5_000);
    await a.notify('kept from it', { quiet: true });
    for (let i = 0; i < 4; i++) {
      a.backplane.send({ kind: 'hello', to: b.backplane.id });
      await advance(900);
    }
    assert.deepEqual(sink.ids, ['kept from it']);
    // and once more after the last one was answered
    await a.notify('kept from it too', { quiet: true });
    await advance(1_300);
    assert.deepEqual(sink.ids, ['kept from it', 'kept from it too']);
  });

  it('that was away for long has not gathered anything', async () => {
    const { a, network, advance } = await two();
    a.transport.down();
    await advance(3_600_000);
    network.sent.length = 0;
    a.transport.up();
    await advance(50);
    assert.ok(network.sent.filter(({ from }) => from === 'r1').length <= 3);
  });

  it('that closes says its last words', async () => {
    const { a, b, advance } = await two();
    const { session } = await a.open();
    await advance(2_000);
    session.gone();
    await a.close();
    await advance(10);
    assert.equal(b.peers.sessions(alice), 0);
  });
});
