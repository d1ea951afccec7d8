import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Place, type PlaceLimits, Places } from '../../../src/core/dispatcher/places.ts';
import { fakeClock } from '../../support/ambient.ts';

const slowAfterMs = 2_000;
/** A lane with one server alone. */
const one = (total: number): PlaceLimits => ({
  total,
  share: total,
  atOnce: total,
  slowLine: 1_000,
  slowAfterMs: undefined,
});
/** A lane with many servers. */
const many = (total: number, over: Partial<PlaceLimits> = {}): PlaceLimits => ({
  total,
  share: Math.max(1, Math.floor(total / 4)),
  atOnce: total,
  slowAfterMs,
  slowLine: 1_000,
  ...over,
});

interface Asked {
  readonly number: number;
  readonly tenant: string;
  readonly server: string;
  isWanted: boolean;
  place?: Place;
}

/** A lane whose attempts begin as soon as they have a place, and end when a test says so. */
function lane(limits: PlaceLimits, turn?: ConstructorParameters<typeof Places>[2]) {
  const clock = fakeClock();
  const places = new Places(limits, clock, turn);
  const waiting: Asked[] = [];
  const holding: Asked[] = [];
  const begun: Asked[] = [];
  const putOff: Asked[] = [];
  let count = 0;
  const without = (list: Asked[], asked: Asked) => list.splice(list.indexOf(asked), 1);
  return {
    clock,
    places,
    waiting,
    holding,
    begun,
    putOff,
    async ask(tenant: string, server = '', times = 1, isOnlyWay = true): Promise<void> {
      for (let i = 0; i < times; i++) {
        const asked: Asked = { number: ++count, tenant, server, isWanted: true };
        waiting.push(asked);
        const taken = places.take({ tenantId: tenant, server, isOnlyWay, isWanted: () => asked.isWanted });
        void Promise.resolve(taken).then((place) => {
          without(waiting, asked);
          if (place === undefined || 'afterMs' in place) return putOff.push(asked);
          place.begin();
          begun.push(asked);
          return holding.push(Object.assign(asked, { place }));
        });
      }
      await clock.advance(0);
    },
    async end(asked: Asked | undefined): Promise<void> {
      if (asked === undefined) return;
      without(holding, asked);
      asked.place?.giveBack();
      await clock.advance(0);
    },
    /** Of those that have a place; of all that wait with `waiting`. */
    of: (tenant: string, list: readonly Asked[] = holding) => list.filter((asked) => asked.tenant === tenant),
    at: (server: string, list: readonly Asked[] = holding) => list.filter((asked) => asked.server === server),
  };
}
type Lane = ReturnType<typeof lane>;

const tenants = ['a', 'b', 'c', 'd'];
const servers = ['s', 't', 'u', 'v', 'w'];
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant('ask' as const),
      tenant: fc.constantFrom(...tenants),
      server: fc.constantFrom(...servers),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('end' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('abandon' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('stall' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
const pick = <T>(list: readonly T[], which: number): T | undefined => list[which % Math.max(1, list.length)];
const steps = fc.array(step, { maxLength: 60 });
const total = fc.integer({ min: 1, max: 12 });
const shape = fc.record({ total, atOnce: total, slowLine: fc.constantFrom(2, 5, 1_000) });
type Shape = typeof shape extends fc.Arbitrary<infer S> ? S : never;
const limitsOf = ({ total, atOnce, slowLine }: Shape) =>
  many(total, { atOnce, share: Math.min(atOnce, many(total).share), slowLine });

/** What is to be known of a server: whether it keeps attempts waiting, or has answered in time. */
class Seen {
  readonly late = new Set<Asked>();
  pace = 'unknown';

  stall(holding: readonly Asked[]): void {
    for (const asked of holding) this.late.add(asked);
    if (holding.length > 0) this.pace = 'slow';
  }

  end(asked: Asked): void {
    if (!this.late.delete(asked) && this.late.size === 0) this.pace = 'prompt';
  }
}

/** Goes through some steps. @param check looks after each: at those that have got a place by it, and what is known of servers */
async function walk(
  on: Lane,
  all: readonly Step[],
  nameOf: (server: string) => string,
  check: (got: readonly Asked[], seen: ReadonlyMap<string, Seen>, next: Step) => void = () => {},
): Promise<void> {
  const seen = new Map([...servers, ''].map((name) => [name, new Seen()]));
  for (const next of all) {
    const before = on.begun.length;
    if (next.what === 'ask') await on.ask(next.tenant, nameOf(next.server), next.times);
    if (next.what === 'abandon') Object.assign(pick(on.waiting, next.which) ?? {}, { isWanted: false });
    if (next.what === 'stall') {
      for (const [name, server] of seen) server.stall(on.at(name));
      await on.clock.advance(slowAfterMs);
    }
    const ended = next.what === 'end' ? pick(on.holding, next.which) : undefined;
    if (ended !== undefined) {
      seen.get(ended.server)?.end(ended);
      await on.end(ended);
    }
    check(on.begun.slice(before), seen, next);
    // of those that nothing is sent to only the slow ones are remembered
    for (const [name, server] of seen)
      if (server.pace === 'prompt' && on.at(name).length === 0 && on.at(name, on.waiting).length === 0)
        server.pace = 'unknown';
  }
}

describe('the places of a lane, whatever comes and goes', () => {
  it('are never more than there are, nor more at one server than it may have, and go to who wants one', async () => {
    await fc.assert(
      fc.asyncProperty(shape, steps, async (shape, all) => {
        const limits = limitsOf(shape);
        const on = lane(limits);
        await walk(
          on,
          all,
          (name) => name,
          (got, seen) => {
            assert.ok(on.holding.length <= shape.total);
            for (const { server, isWanted } of got) {
              assert.ok(isWanted);
              const most = seen.get(server)?.pace === 'prompt' ? shape.atOnce : limits.share;
              assert.ok(on.at(server).length <= Math.max(1, most), server);
            }
          },
        );
      }),
      { numRuns: 300 },
    );
  });

  it('are free only while what waits is for servers that may have no more', async () => {
    await fc.assert(
      fc.asyncProperty(shape, steps, async (shape, all) => {
        const limits = limitsOf(shape);
        const on = lane(limits);
        await walk(
          on,
          all,
          (name) => name,
          (_, seen) => {
            if (on.holding.length === shape.total) return;
            const slow = on.holding.filter(({ server }) => seen.get(server)?.pace === 'slow').length;
            for (const { server } of on.waiting.filter(({ isWanted }) => isWanted)) {
              const pace = seen.get(server)?.pace;
              const isFull = on.at(server).length >= (pace === 'prompt' ? shape.atOnce : limits.share);
              const leavesToOthers = pace === 'slow' && slow >= shape.total - limits.share;
              assert.ok(isFull || leavesToOthers, `${server} is ${pace}`);
            }
          },
        );
      }),
      { numRuns: 300 },
    );
  });

  it('are never free while something waits, where there is one server alone', async () => {
    await fc.assert(
      fc.asyncProperty(total, steps, async (total, all) => {
        const on = lane(one(total));
        await walk(
          on,
          all,
          () => '',
          () => assert.ok(on.holding.length === total || on.waiting.every(({ isWanted }) => !isWanted)),
        );
      }),
    );
  });

  it('go to none that has more than another that waits, where there is one server alone', async () => {
    await fc.assert(
      fc.asyncProperty(total, steps, async (total, all) => {
        const on = lane(one(total));
        await walk(
          on,
          all,
          () => '',
          ([got], _, { what }) => {
            if (what !== 'end' || got === undefined) return;
            const had = on.of(got.tenant).length - 1;
            for (const { tenant, isWanted } of on.waiting)
              assert.ok(!isWanted || on.of(tenant).length >= had || tenant === got.tenant);
          },
        );
      }),
    );
  });

  it('go in order to what a tenant has for one server', async () => {
    await fc.assert(
      fc.asyncProperty(shape, steps, async (shape, all) => {
        const on = lane(limitsOf(shape));
        await walk(on, all, (name) => name);
        for (const tenant of tenants)
          for (const server of servers) {
            const numbers = on.at(server, on.of(tenant, on.begun)).map(({ number }) => number);
            assert.deepEqual(
              numbers,
              numbers.toSorted((a, b) => a - b),
            );
          }
      }),
    );
  });

  it('go to everybody in the end who wants one and is not put off', async () => {
    await fc.assert(
      fc.asyncProperty(shape, steps, async (shape, all) => {
        const on = lane(limitsOf(shape));
        await walk(on, all, (name) => name);
        while (on.holding.length > 0) await on.end(on.holding[0]);
        assert.deepEqual(on.waiting, []);
        if (shape.slowLine === 1_000) assert.ok(on.putOff.every(({ isWanted }) => !isWanted));
      }),
    );
  });

  it('come to each tenant that waits before another has had two, however many come meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(total, fc.array(fc.nat(), { maxLength: 60 }), async (total, ends) => {
        const on = lane(one(total));
        for (const tenant of tenants) await on.ask(tenant, '', total);
        await on.ask('late');
        const before = on.begun.length;
        for (const which of ends) {
          if (on.of('late', on.waiting).length === 0) break;
          const ended = pick(on.holding, which);
          await on.end(ended);
          for (const tenant of tenants) await on.ask(tenant);
        }
        const turns = on.begun.slice(before).map(({ tenant }) => tenant);
        assert.equal(new Set(turns).size, turns.length, turns.join());
      }),
    );
  });
});

describe('a tenant that is alone', () => {
  it('has the whole lane', async () => {
    const on = lane(one(32));
    await on.ask('a', '', 100);
    assert.equal(on.holding.length, 32);
  });

  it('has the whole of one with many servers as soon as one has answered, whether to one of them or to all', async () => {
    for (const names of [['s'], servers]) {
      const on = lane(many(32));
      for (const name of names) await on.ask('a', name, 60);
      assert.equal(on.at('s').length, 8);
      for (const name of names) await on.end(on.at(name)[0]);
      assert.equal(on.holding.length, 32);
    }
  });
});

describe('a server that keeps attempts waiting', () => {
  it('has a share of the places from the first on, and others find theirs free', async () => {
    const on = lane(many(32));
    await on.ask('a', 'dead', 200);
    assert.equal(on.holding.length, 8);
    await on.ask('b', 'alive');
    assert.equal(on.of('b').length, 1);
    await on.clock.advance(slowAfterMs);
    await on.end(on.at('dead')[0]);
    assert.equal(on.at('dead').length, 8);
  });

  it('keeps what it had while it was well, and gets no more', async () => {
    const on = lane(many(32));
    await on.ask('a', 's', 200);
    await on.end(on.holding[0]);
    assert.equal(on.holding.length, 32);
    await on.clock.advance(slowAfterMs);
    await on.ask('b', 't');
    for (let i = 0; i < 24; i++) await on.end(on.at('s')[0]);
    assert.equal(on.at('s').length, 8);
    assert.equal(on.of('b').length, 1);
  });

  it('leaves a share to others together with all of its kind, also later', async () => {
    const on = lane(many(32));
    const dead = Array.from({ length: 12 }, (_, i) => `dead-${i}`);
    for (const name of dead) await on.ask('a', name, 8);
    while (on.holding.length > 0) {
      await on.clock.advance(slowAfterMs);
      for (const asked of [...on.holding]) await on.end(asked);
    }
    for (const name of dead) await on.ask('a', name, 8);
    assert.equal(on.holding.length, 24);
    await on.ask('b', 'alive', 8);
    assert.equal(on.of('b').length, 8);
  });

  it('is not kept to that any more when it answers in time', async () => {
    const on = lane(many(32));
    await on.ask('a', 's', 200);
    await on.clock.advance(slowAfterMs);
    for (let i = 0; i < 8; i++) await on.end(on.holding[0]);
    assert.equal(on.holding.length, 8, 'those were late');
    await on.end(on.holding[0]);
    assert.equal(on.holding.length, 32);
  });

  it('is kept to it as long as it has not answered all of them', async () => {
    const on = lane(many(32));
    await on.ask('a', 's', 200);
    const [hangs] = on.holding;
    await on.clock.advance(slowAfterMs);
    for (const asked of on.holding.slice(1)) await on.end(asked);
    for (let i = 0; i < 20; i++) await on.end(on.holding.find((asked) => asked !== hangs));
    assert.equal(on.holding.length, 8);
    await on.end(hangs);
    await on.end(on.holding[0]);
    assert.equal(on.holding.length, 32);
  });

  it('is asked for its tenants in turn, however many places one has elsewhere', async () => {
    const on = lane(many(32));
    await on.ask('busy', 'alive', 200);
    await on.end(on.at('alive')[0]);
    await on.ask('few', 'dead', 100);
    while (on.of('few').length < 8) await on.end(on.of('busy')[0]);
    await on.ask('busy', 'dead');
    await on.end(on.at('dead')[0]);
    await on.end(on.at('dead')[0]);
    await on.end(on.at('alive')[0]);
    assert.equal(on.of('busy', on.at('dead')).length, 1);
  });

  it('has a number wait for it, from each tenant a part, and the rest is put off', async () => {
    const on = lane(many(32, { slowLine: 10 }));
    await on.ask('a', 'dead', 100);
    await on.ask('b', 'dead', 3);
    assert.deepEqual(on.putOff, []);
    await on.clock.advance(slowAfterMs);
    const [a, b] = [on.of('a', on.waiting), on.of('b', on.waiting)];
    assert.equal(b.length, 3);
    assert.deepEqual(
      a.map(({ number }) => number),
      [9, 10, 11, 12, 13],
    );
    await on.ask('a', 'dead', 50);
    await on.ask('b', 'dead', 50);
    const waiting = (tenant: string) => on.of(tenant, on.waiting).length;
    assert.ok(waiting('a') >= 5 && waiting('b') >= 5 && waiting('a') + waiting('b') <= 15);
    await on.ask('c', 'dead', 50);
    assert.equal(waiting('c'), 3);
  });

  it('has three times the number wait for all of its kind, and one of each tenant for each', async () => {
    const on = lane(many(8, { slowLine: 4 }));
    const dead = Array.from({ length: 20 }, (_, i) => `dead-${i}`);
    for (const name of dead) await on.ask('a', name);
    for (let i = 0; i < 20; i++) {
      await on.clock.advance(slowAfterMs);
      await on.end(on.holding[0]);
    }
    for (const name of dead) await on.ask('a', name, 5);
    const lines = dead.map((name) => on.at(name).length + on.at(name, on.waiting).length);
    assert.ok(Math.min(...lines) >= 1, lines.join());
    assert.ok(on.waiting.length <= 3 * 4 + dead.length, `${on.waiting.length} wait`);
    assert.equal(on.places.slowWaiting, on.waiting.length);
  });

  it('has no more wait for all of its kind where they are found to be slow at once', async () => {
    const on = lane(many(80, { share: 2, slowLine: 4 }));
    const dead = Array.from({ length: 20 }, (_, i) => `dead-${i}`);
    for (const name of dead) await on.ask('a', name, 5);
    await on.clock.advance(slowAfterMs);
    assert.ok(on.waiting.length <= 3 * 4 + dead.length, `${on.waiting.length} wait`);
  });

  it('gives back to another of its kind', async () => {
    const on = lane(many(4));
    for (const name of ['s', 't', 'u', 'v']) await on.ask('a', name);
    await on.clock.advance(slowAfterMs);
    await on.ask('a', 'v');
    await on.end(on.at('v')[0]);
    assert.equal(on.at('v').length, 0, 'a share is left to others');
    await on.end(on.at('s')[0]);
    assert.equal(on.at('v').length, 1);
  });

  it('puts off nothing that has another lane to go by', async () => {
    const on = lane(many(32, { slowLine: 10 }));
    await on.ask('a', 'dead', 100, false);
    await on.clock.advance(slowAfterMs);
    assert.deepEqual([on.waiting.length, on.putOff.length], [92, 0]);
  });

  it('counts nothing as waiting that is not wanted any more', async () => {
    const on = lane(many(32, { slowLine: 10 }));
    await on.ask('a', 'dead', 18);
    await on.clock.advance(slowAfterMs);
    for (const asked of on.waiting) asked.isWanted = false;
    await on.ask('a', 'dead', 2);
    assert.deepEqual(
      on.waiting.map(({ number }) => number),
      [19, 20],
    );
  });
});

describe('a lane with a rate', () => {
  it('lets who comes later go before those of one tenant, but for the one whose turn it is', async () => {
    const turns: (() => void)[] = [];
    const on = lane(one(32), () => new Promise<void>((resolve) => turns.push(resolve)));
    const next = async () => {
      turns.shift()?.();
      await on.clock.advance(0);
    };
    await on.ask('a', '', 100);
    await next();
    await next();
    await on.ask('b');
    await next();
    await next();
    assert.deepEqual(
      on.begun.map(({ tenant }) => tenant),
      ['a', 'a', 'a', 'b'],
    );
  });
});
