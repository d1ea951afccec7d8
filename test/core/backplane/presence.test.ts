import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Presence } from '../../../src/core/backplane/presence.ts';
import type { Session } from '../../../src/core/live/session.ts';
import { userKey } from '../../../src/core/user-key.ts';
import { mulberry32 } from '../../support/ambient.ts';
import { type FakeReplica, faithful, replicaBench } from '../../support/backplane.ts';

const users = ['alice', 'bob', 'carol'];
const owner = (userId: string) => ({ tenantId: 'demo', userId });

describe('presence', () => {
  it('forgets nobody while a list of all is coming in', () => {
    const presence = new Presence(userKey);
    const [alice, bob] = [owner('alice'), owner('bob')];
    const heard = (list: [string, number][], ends: { first?: true; last?: true } = {}) =>
      presence.heard('p', { kind: 'presence', users: list, ...ends });
    heard([
      [userKey(alice), 2],
      [userKey(bob), 1],
    ]);
    heard([], { first: true });
    assert.deepEqual([presence.sessions(alice), presence.sessions(bob)], [2, 1]);
    heard([[userKey(bob), 3]]);
    heard([], { last: true });
    assert.deepEqual([presence.sessions(alice), presence.sessions(bob)], [0, 3]);
  });

  it('does not take a list of which a part was lost for a whole one', () => {
    const presence = new Presence(userKey);
    const alice = owner('alice');
    presence.heard('p', { kind: 'presence', users: [[userKey(alice), 1]] });
    presence.heard('p', { kind: 'presence', users: [], first: true });
    presence.doubt('p');
    presence.heard('p', { kind: 'presence', users: [], last: true });
    assert.equal(presence.sessions(alice), 1);
  });

  it('is right in the end, whatever joined, left, died or got lost', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ do: fc.constant('open' as const), at: fc.nat(2), user: fc.nat(2) }),
      },
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('close' as const), at: fc.nat(2), which: fc.nat(9) }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('replace' as const), at: fc.nat(2) }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('cut' as const), at: fc.nat(2), ms: fc.nat(8_000) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3_000) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.integer(), async (steps, seed) => {
        const bench = replicaBench();
        const { clock } = bench.ambient;
        const random = mulberry32(seed);
        bench.network.fate = () =>
          random() < 0.2 ? [] : random() < 0.2 ? [0, random() * 500] : [random() * 5];
        const replicas: FakeReplica[] = [];
        const held: { user: string; session: Session }[][] = [[], [], []];
        for (let i = 0; i < 3; i++) replicas.push(await bench.replica());
        for (const one of steps) {
          if (one.do === 'wait') await clock.advance(one.ms);
          else {
            const at = replicas[one.at] as FakeReplica;
            const mine = held[one.at] as { user: string; session: Session }[];
            if (one.do === 'open') {
              const user = users[one.user] as string;
              mine.push({ user, session: (await at.open({ user })).session });
            } else if (one.do === 'close') {
              const [gone] = mine.splice(one.which % Math.max(1, mine.length), 1);
              gone?.session.gone();
            } else if (one.do === 'cut') {
              at.transport.down();
              await clock.advance(one.ms);
              at.transport.up();
            } else {
              await at.die();
              held[one.at] = [];
              replicas[one.at] = await bench.replica();
            }
          }
        }
        bench.network.fate = faithful;
        await clock.advance(10_000);
        replicas.forEach((replica, i) => {
          for (const user of users) {
            const elsewhere = held
              .flatMap((list, j) => (j === i ? [] : list))
              .filter((one) => one.user === user);
            assert.equal(replica.peers.sessions(owner(user)), elsewhere.length, `${replica.name} on ${user}`);
          }
        });
      }),
      { numRuns: 60, seed: 20261122 },
    );
  });

  it('lost or not, no stream misses an item', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const bench = replicaBench();
        const random = mulberry32(seed);
        bench.network.fate = () =>
          random() < 0.4 ? [] : random() < 0.3 ? [0, random() * 900] : [random() * 50];
        const replicas = [await bench.replica(), await bench.replica(), await bench.replica()];
        const sinks = [];
        for (const replica of replicas)
          for (const user of users) sinks.push({ user, ...(await replica.open({ user })) });
        const sent = new Map<string, string[]>(users.map((user) => [user, []]));
        for (let i = 0; i < 40; i++) {
          const user = users[Math.floor(random() * users.length)] as string;
          await replicas[i % 3]?.notify(`n-${i}`, { user });
          sent.get(user)?.push(`n-${i}`);
          await bench.ambient.clock.advance(Math.floor(random() * 400));
        }
        bench.network.fate = faithful;
        // a heartbeat of the backplane, not of the stream
        await bench.ambient.clock.advance(2_000);
        for (const { user, sink } of sinks) assert.deepEqual(sink.ids, sent.get(user));
      }),
      { numRuns: 30, seed: 20261122 },
    );
  });
});
