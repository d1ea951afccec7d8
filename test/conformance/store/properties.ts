import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { DeliveryStatus, Notification, UserKey } from '../../../src/core/glossary.ts';
import { wireStatus } from '../../../src/core/status.ts';
import { deliveryOf, type Ground, isNotFound } from './ground.ts';
import { type ChangeKind, ModelInbox, type ModelItem } from './model.ts';

type Command =
  | {
      do: 'create';
      key: number;
      channels: 'in_app' | 'email' | 'both' | 'suppressed';
      type: string;
      lifetimeS: number;
    }
  | { do: ChangeKind; pick: number }
  | { do: 'read_up_to' | 'seen_up_to'; back: number }
  | { do: 'outcome'; pick: number; status: DeliveryStatus }
  | { do: 'pass'; seconds: number }
  | { do: 'list'; limit: number; unreadOnly: boolean; archived: boolean; types: string[]; email: boolean }
  | { do: 'stream'; limit: number; back: number; takenAgoS: number | undefined };

const types = ['a', 'b'];
const pick = fc.nat({ max: 30 });
const status = fc.constantFrom<DeliveryStatus>('pending', 'delivered', 'acked', 'failed', 'suppressed');

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      key: fc.nat({ max: 20 }),
      channels: fc.constantFrom('in_app', 'in_app', 'both', 'email', 'suppressed'),
      type: fc.constantFrom(...types),
      lifetimeS: fc.constantFrom(0, 0, 1, 2, 3),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom<ChangeKind>('read', 'unread', 'archive', 'unarchive', 'delete'),
      pick,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('read_up_to' as const, 'seen_up_to' as const),
      back: fc.integer({ min: -2, max: 12 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('outcome' as const), pick, status }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 2 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('list' as const),
      limit: fc.integer({ min: 1, max: 4 }),
      unreadOnly: fc.boolean(),
      archived: fc.boolean(),
      types: fc.subarray(types),
      email: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('stream' as const),
      limit: fc.integer({ min: 1, max: 4 }),
      back: fc.integer({ min: 0, max: 12 }),
      takenAgoS: fc.constantFrom(undefined, 0, 1, 3),
    }),
  },
);

/** Any sequence of calls, against a model that is too simple to be wrong. */
export function properties(ground: Ground, runs: number): void {
  describe('properties', () => {
    it('lists, counts, positions and streams are what a simple model says, after any sequence of calls', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (commands) => {
          await new Replay(ground, ground.user()).run(commands);
        }),
        { numRuns: runs },
      );
    });

    it('pages show every item once, newest first, whatever the size of the page and however items came', async () => {
      const batches = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 });
      await fc.assert(
        fc.asyncProperty(batches, fc.integer({ min: 1, max: 12 }), async (sizes, limit) => {
          const owner = ground.user();
          const ids: string[] = [];
          for (const size of sizes) ids.push(...(await ground.addMany(owner, size)).map(({ id }) => id));
          assert.deepEqual(await ground.listAll(owner, { limit }), ids.toReversed());
          assert.deepEqual(await ground.sinceAll(owner, { limit }), ids);
        }),
        { numRuns: runs },
      );
    });

    it('a status is read if the item is read, else the best of its deliveries, after any outcomes in any order', async () => {
      const order = ['suppressed', 'failed', 'pending', 'delivered', 'acked'];
      const written = fc.array(fc.record({ delivery: fc.nat({ max: 2 }), status }), { maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(written, fc.boolean(), async (outcomes, isRead) => {
          const owner = ground.user();
          const channels = ['email', 'sms', 'webhook'] as const;
          const added = await ground.add(owner, {
            deliveries: channels.map((channel) => ground.email({ channel })),
          });
          if (isRead) await ground.read(owner, added);
          const expected: DeliveryStatus[] = ['pending', 'pending', 'pending'];
          for (const { delivery, status } of outcomes) {
            const now = expected[delivery];
            if (now === 'pending' || (now === 'delivered' && status === 'acked')) expected[delivery] = status;
            await ground.store.recordOutcomes([
              ground.outcome(added, channels[delivery] ?? 'email', { status }),
            ]);
          }
          const stored = await ground.store.getNotification(owner, added.id);
          assert.deepEqual(
            channels.map((channel) => deliveryOf(stored, channel).status),
            expected,
          );
          const best = expected.toSorted((a, b) => order.indexOf(b) - order.indexOf(a))[0];
          assert.equal(wireStatus(stored), isRead ? 'read' : best);
        }),
        { numRuns: runs },
      );
    });
  });
}

/** Runs commands against the store and the model, and compares them after each. */
class Replay {
  readonly #ground: Ground;
  readonly #owner: UserKey;
  readonly #model = new ModelInbox();
  /** As the store first answered them. */
  readonly #created = new Map<string, Notification>();
  #first = 0;
  #version = 0;

  constructor(ground: Ground, owner: UserKey) {
    this.#ground = ground;
    this.#owner = owner;
  }

  async run(commands: readonly Command[]): Promise<void> {
    this.#first = (await this.#ground.store.inboxSummary(this.#owner)).newestPosition;
    for (const command of commands) {
      const { store } = this.#ground;
      let changed = this.#model.expire(this.#ground.now);
      changed = (await this.#do(command)) || changed;
      changed = this.#model.expire(this.#ground.now) || changed;
      const summary = await store.inboxSummary(this.#owner);
      assert.equal(summary.unreadCount, this.#model.unread.length, 'unread count');
      assert.equal(summary.unseenCount, this.#model.unseenCount, 'unseen count');
      assert.equal(summary.newestPosition, this.#first + this.#model.newest, 'newest position');
      if (changed) assert.ok(summary.version > this.#version, 'the version grows with a change');
      else assert.equal(summary.version, this.#version, 'the version stays without one');
      this.#version = summary.version;
    }
    await this.#compareItems();
    for (const archived of [false, true])
      for (const unreadOnly of [false, true])
        await this.#do({ do: 'list', limit: 3, unreadOnly, archived, types: [], email: false });
  }

  /** @returns whether the inbox changed */
  async #do(command: Command): Promise<boolean> {
    switch (command.do) {
      case 'create':
        return this.#create(command);
      case 'outcome': {
        const item = this.#pick(command.pick);
        const created = item === undefined ? undefined : this.#created.get(item.id);
        if (item === undefined || created === undefined || item.inApp === undefined) return false;
        await this.#ground.take(created, { status: command.status });
        return this.#model.outcome(item, command.status, this.#ground.now);
      }
      case 'pass':
        await this.#ground.ambient.clock.advance(command.seconds * 1_000);
        return false;
      case 'list':
        await this.#list(command);
        return false;
      case 'stream':
        await this.#stream(command);
        return false;
      case 'seen_up_to': {
        const position = this.#model.newest - command.back;
        const expected = this.#model.see(position);
        const done = await this.#ground.change(this.#owner, {
          kind: 'seen_up_to',
          position: this.#first + position,
        });
        assert.equal(done.changed, expected ? 1 : 0);
        return expected;
      }
      case 'read_up_to': {
        const position = this.#model.newest - command.back;
        const expected = this.#model.unread.filter((item) => item.n <= position);
        const { kind, atMs } = { kind: 'read_up_to', atMs: this.#ground.now } as const;
        const done = await this.#ground.change(this.#owner, { kind, position: this.#first + position, atMs });
        for (const item of expected) item.read = true;
        assert.deepEqual([...(done.ids ?? [])].sort(), expected.map(({ id }) => id).sort());
        assert.equal(done.changed, expected.length);
        return expected.length > 0;
      }
      default:
        return this.#change(command.do, command.pick);
    }
  }

  async #create(command: Extract<Command, { do: 'create' }>): Promise<boolean> {
    const { inApp, email } = { inApp: this.#ground.inApp(this.#owner), email: this.#ground.email() };
    const deliveries = {
      in_app: [inApp],
      email: [email],
      both: [inApp, email],
      suppressed: [{ ...inApp, status: 'suppressed' as const }],
    }[command.channels];
    const expiresAtMs = command.lifetimeS === 0 ? 0n : this.#ground.now + BigInt(command.lifetimeS * 1_000);
    const key = `key-${command.key}`;
    const row = this.#ground.draft(this.#owner, {
      key,
      content: { type: command.type, expiresAtMs },
      deliveries,
    });
    const { notification, created } = await this.#ground.createOne(row);
    const known = this.#model.items.find((item) => item.key === key);
    assert.equal(created, known === undefined);
    assert.equal(notification.id, known?.id ?? row.id);
    if (known !== undefined) return false;
    const item = this.#model.add({
      key,
      id: row.id,
      type: command.type,
      inApp:
        command.channels === 'email'
          ? undefined
          : command.channels === 'suppressed'
            ? 'suppressed'
            : 'pending',
      hasEmail: command.channels === 'email' || command.channels === 'both',
      expiresAtMs,
    });
    this.#created.set(row.id, notification);
    assert.equal(notification.position, item.n === 0 ? 0 : this.#first + item.n);
    return item.n !== 0;
  }

  async #change(kind: ChangeKind, index: number): Promise<boolean> {
    const item = this.#pick(index);
    if (item === undefined) return false;
    const { id } = item;
    const atMs = this.#ground.now;
    const answer = this.#ground.change(
      this.#owner,
      kind === 'unread' || kind === 'unarchive' ? { kind, id } : { kind, id, atMs },
    );
    const expected = this.#model.change(item, kind);
    if (expected === 'not_found') {
      await isNotFound(answer);
      return false;
    }
    const done = await answer;
    assert.deepEqual([done.changed, done.ids], expected ? [1, [id]] : [0, []]);
    return expected;
  }

  async #list(command: Extract<Command, { do: 'list' }>): Promise<void> {
    const { limit, unreadOnly, archived } = command;
    const expected = this.#model.shown.filter(
      (item) =>
        (archived || !item.archived) &&
        (!unreadOnly || (item.inApp !== undefined && !item.read)) &&
        (command.types.length === 0 || command.types.includes(item.type)) &&
        (!command.email || item.hasEmail),
    );
    const query = {
      limit,
      unreadOnly,
      archived,
      types: command.types,
      channels: command.email ? (['email'] as const) : [],
    };
    const ids = await this.#ground.listAll(this.#owner, query);
    assert.deepEqual(ids, expected.map(({ id }) => id).reverse());
  }

  async #stream(command: Extract<Command, { do: 'stream' }>): Promise<void> {
    const { limit, takenAgoS } = command;
    const from = Math.max(0, this.#model.newest - command.back);
    const untakenAtMs = takenAgoS === undefined ? undefined : this.#ground.now - BigInt(takenAgoS * 1_000);
    const expected = this.#model.streamed(from, untakenAtMs).map(({ id }) => id);
    const ids = await this.#ground.sinceAll(this.#owner, { after: this.#first + from, limit, untakenAtMs });
    assert.deepEqual(ids, expected);
  }

  async #compareItems(): Promise<void> {
    for (const item of this.#model.items) {
      if (!this.#model.shown.includes(item)) {
        await isNotFound(this.#ground.store.getNotification(this.#owner, item.id));
        continue;
      }
      const stored = await this.#ground.store.getNotification(this.#owner, item.id);
      assert.equal(stored.position, this.#first + item.n);
      assert.equal(stored.readAtMs !== 0n, item.read);
      assert.equal(stored.archivedAtMs !== 0n, item.archived);
      assert.equal(stored.seen, item.n <= this.#model.seen);
      if (item.inApp !== undefined) assert.equal(deliveryOf(stored, 'in_app').status, item.inApp);
    }
  }

  #pick(index: number): ModelItem | undefined {
    const { items } = this.#model;
    return items.length === 0 ? undefined : items[index % items.length];
  }
}
