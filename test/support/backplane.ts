import { createHash } from 'node:crypto';
import { Backplane, backplaneDefaults } from '../../src/core/backplane/backplane.ts';
import { BackplanePeers } from '../../src/core/backplane/backplane-peers.ts';
import type { Transport, TransportEvents } from '../../src/core/backplane/transport.ts';
import type { UserKey } from '../../src/core/glossary.ts';
import type { Store } from '../../src/core/store.ts';
import { userKey } from '../../src/core/user-key.ts';
import { type FakeAmbient, fakeAmbient } from './ambient.ts';
import { type LiveBench, liveBench } from './live.ts';

/** What becomes of a text on its way to one replica: how often it arrives, and how much later each time, in milliseconds. */
export type Fate = (text: string, from: string, to: string) => readonly number[];

/** Everything arrives, once and at once. */
export const faithful: Fate = () => [0];

/** A network of replicas in memory, which drops, delays and repeats as a test says. */
export class FakeNetwork {
  readonly ambient: FakeAmbient;
  readonly #ends = new Map<string, FakeTransport>();
  fate: Fate = faithful;
  /** Texts that were handed over, by replica. */
  readonly sent: { from: string; text: string }[] = [];

  constructor(ambient: FakeAmbient) {
    this.ambient = ambient;
  }

  transport(name: string): FakeTransport {
    const end = new FakeTransport(this, name);
    this.#ends.set(name, end);
    return end;
  }

  carry(text: string, from: string): void {
    this.sent.push({ from, text });
    for (const [to, end] of this.#ends)
      for (const delayMs of this.fate(text, from, to))
        this.ambient.clock.after(Math.round(delayMs), () => end.take(text));
  }
}

export class FakeTransport implements Transport {
  readonly name: string;
  readonly textBytes = 4_096;
  readonly #network: FakeNetwork;
  #events: TransportEvents | undefined;
  #isUp = false;
  /** How often it was given up because nothing came back. */
  renewals = 0;

  constructor(network: FakeNetwork, name: string) {
    this.#network = network;
    this.name = name;
  }

  async open(events: TransportEvents): Promise<void> {
    this.#events = events;
    this.up();
  }

  async send(texts: readonly string[]): Promise<void> {
    if (!this.#isUp) throw new Error('not connected');
    for (const text of texts) this.#network.carry(text, this.name);
  }

  renew(reason: Error): void {
    this.renewals += 1;
    this.down(reason);
  }

  async close(): Promise<void> {
    this.#isUp = false;
    this.#events = undefined;
  }

  up(): void {
    this.#isUp = true;
    this.#events?.connected();
  }

  down(reason = new Error('lost')): void {
    this.#isUp = false;
    this.#events?.lost(reason);
  }

  take(text: string): void {
    if (this.#isUp) this.#events?.received(text);
  }
}

/** A replica in memory: hub, peers and transport. */
export interface FakeReplica extends LiveBench {
  readonly name: string;
  readonly peers: BackplanePeers;
  readonly backplane: Backplane;
  readonly transport: FakeTransport;
  /** What the backplane said. */
  readonly said: string[];
  close(): Promise<void>;
  /** Ends without a word. */
  die(): Promise<void>;
}

/** Short, however long the names are. */
const presenceKey = (owner: UserKey): string => createHash('sha1').update(userKey(owner)).digest('base64url');

/** Some replicas on one store and one clock. */
export function replicaBench(wrap: (store: Store) => Store = (s) => s) {
  const ambient = fakeAmbient();
  const network = new FakeNetwork(ambient);
  let store: Store | undefined;
  let count = 0;
  return {
    ambient,
    network,
    async replica(): Promise<FakeReplica> {
      count += 1;
      const name = `r${count}`;
      const transport = network.transport(name);
      const said: string[] = [];
      const backplane = new Backplane(transport, ambient, backplaneDefaults, {
        connected: () => said.push('connected'),
        lost: () => said.push('lost'),
        stillLost: () => said.push('still lost'),
        failed: (what) => said.push(`failed ${what}`),
      });
      const peers = new BackplanePeers(backplane, presenceKey, ambient.clock, 1_000);
      const live = liveBench({}, (own) => (store ??= wrap(own)), { ambient, peers });
      await peers.open(live.hub, () => {});
      return {
        ...live,
        name,
        peers,
        backplane,
        transport,
        said,
        close: () => peers.close(),
        async die() {
          transport.down();
          await peers.close();
        },
      };
    },
  };
}
