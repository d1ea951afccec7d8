import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits } from '../../../src/core/notifier/validate.ts';
import { replicaBench } from '../../support/backplane.ts';

const alice = { tenantId: 'demo', userId: 'alice' };
const hint = { idempotencyKey: 'k', subjectRef: 'doc/1', subjectType: 'doc' };
/** All repeats of a hint, and then some. */
const allRepeatsMs = 30_000;
const withRepeats = 1 + 3;

async function three() {
  const bench = replicaBench();
  const [a, b, c] = [await bench.replica(), await bench.replica(), await bench.replica()];
  const advance = (ms: number) => bench.ambient.clock.advance(ms);
  await advance(5_000);
  const { sink, session } = await b.open();
  await advance(500);
  const times = () => sink.of('data_change').length;
  return { ...bench, a, b, c, session, sink, times, advance };
}

describe('a data-change hint', () => {
  it('is repeated to a session that says nothing, and then no more', async () => {
    const { a, times, advance } = await three();
    assert.equal(a.hub.publishHint([alice], hint), 1);
    await advance(allRepeatsMs);
    assert.equal(times(), withRepeats);
  });

  it('is acknowledged at any replica, one that has heard of neither the hint nor the session included', async () => {
    const { a, b, c, advance, network } = await three();
    const bob = { tenantId: 'demo', userId: 'bob' };
    network.fate = (text, _from, to) => (to === 'r3' && /presence|hint/.test(text) ? [] : [0]);
    const { sink, session } = await b.open({ user: 'bob' });
    await advance(500);
    assert.equal(c.peers.sessions(bob), 0);
    assert.equal(a.hub.publishHint([bob], hint), 1);
    await advance(10);
    c.hub.acknowledgeHint(bob, session.id, 'k');
    await advance(allRepeatsMs);
    assert.equal(sink.of('data_change').length, 1);
  });

  it('is not acknowledged by somebody else, for another key, or by what is no session', async () => {
    const { a, c, session, times, advance, network } = await three();
    a.hub.publishHint([alice], hint);
    await advance(10);
    c.hub.acknowledgeHint({ tenantId: 'demo', userId: 'bob' }, session.id, 'k');
    c.hub.acknowledgeHint({ tenantId: 'other', userId: 'alice' }, session.id, 'k');
    c.hub.acknowledgeHint(alice, session.id, 'another');
    c.hub.acknowledgeHint(alice, session.id.replace(/^./, 'x'), 'k');
    network.sent.length = 0;
    c.hub.acknowledgeHint(alice, 'x'.repeat(1_000_000), 'k');
    c.hub.acknowledgeHint(alice, session.id, 'x'.repeat(1_000_000));
    await advance(500);
    assert.ok(
      network.sent.reduce((bytes, { text }) => bytes + text.length, 0) < 4_096,
      'it is not passed on',
    );
    await advance(allRepeatsMs);
    assert.equal(times(), withRepeats);
  });

  it('that is published again while it waits is not repeated more often', async () => {
    const { a, c, times, advance } = await three();
    a.hub.publishHint([alice], hint);
    await advance(1_000);
    c.hub.publishHint([alice], hint);
    a.hub.publishHint([alice], hint);
    await advance(allRepeatsMs);
    assert.equal(times(), withRepeats);
  });

  it('goes on to the other session of a user when one acknowledges', async () => {
    const { a, c, session, times, advance } = await three();
    const other = await a.open();
    await advance(500);
    c.hub.publishHint([alice], hint);
    await advance(10);
    c.hub.acknowledgeHint(alice, session.id, 'k');
    await advance(allRepeatsMs);
    assert.equal(times(), 1);
    assert.equal(other.sink.of('data_change').length, withRepeats);
  });

  it('of the largest sizes that are taken reaches every replica, and is acknowledged there', async () => {
    const { a, b, c, advance, network } = await three();
    const escaped = '\u0001'.repeat(limits.idBytes);
    const user = { tenantId: 'demo', userId: escaped };
    const large = { idempotencyKey: escaped, subjectRef: escaped, subjectType: '文'.repeat(341) };
    const held = await b.open({ user: escaped });
    const more = await Promise.all(
      Array.from({ length: 40 }, (_, i) => c.open({ user: `${i}`.padStart(limits.idBytes, '"') })),
    );
    await advance(500);
    const owners = [user, ...more.map(({ session }) => session.owner)];
    assert.equal(a.hub.publishHint(owners, large), 41);
    await advance(100);
    for (const { sink } of [held, ...more]) assert.deepEqual(sink.of('data_change')[0]?.hint, large);
    c.hub.acknowledgeHint(user, held.session.id, escaped);
    await advance(allRepeatsMs);
    assert.equal(held.sink.of('data_change').length, 1);
    assert.ok(network.sent.every(({ text }) => Buffer.byteLength(text) <= 4_096));
  });

  it('of which a part is lost, comes twice or comes late is lost alone', async () => {
    const { a, sink, advance, network } = await three();
    const large = (key: string) => ({ ...hint, idempotencyKey: key, subjectRef: 'r'.repeat(9_000) });
    const keys = () => sink.of('data_change').map((event) => event.hint.idempotencyKey.slice(0, 7));
    const fates = { lost: [], late: [300], twice: [0, 0] };
    for (const [name, fate] of Object.entries(fates)) {
      network.fate = (text) => (text.includes('"at":1,') ? fate : [0]);
      a.hub.publishHint([alice], large(name));
      await advance(1_000);
      network.fate = () => [0];
      a.hub.publishHint([alice], large(`after-${name}`));
      await advance(1_000);
    }
    assert.deepEqual(keys(), ['after-l', 'after-l', 'twice', 'after-t']);
  });

  it('is acknowledged by one user while another keeps acknowledging what nobody holds', async () => {
    const { a, c, ambient, session, times, advance, network } = await three();
    a.hub.publishHint([alice], hint);
    await advance(10);
    network.sent.length = 0;
    const mallory = { tenantId: 'demo', userId: 'mallory' };
    for (let i = 0; i < 5_000; i += 1) c.hub.acknowledgeHint(mallory, ambient.ids.random(), `k-${i}`);
    c.hub.acknowledgeHint(alice, session.id, 'k');
    await advance(500);
    const said = network.sent.flatMap(({ text }) => text.match(/"ack"/g) ?? []);
    assert.equal(said.length, 101);
    await advance(allRepeatsMs);
    assert.equal(times(), 1);
  });

  it('is acknowledged by whoever acknowledged too much a moment ago', async () => {
    const { a, c, ambient, session, times, advance } = await three();
    a.hub.publishHint([alice], hint);
    for (let i = 0; i < 5_000; i += 1) c.hub.acknowledgeHint(alice, ambient.ids.random(), `k-${i}`);
    await advance(1_500);
    c.hub.acknowledgeHint(alice, session.id, 'k');
    await advance(allRepeatsMs);
    assert.equal(times(), 1);
  });
});
