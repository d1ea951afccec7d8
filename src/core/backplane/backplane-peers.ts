import type { Clock } from '../ambient.ts';
import type { UserKey } from '../glossary.ts';
import type { Hint, InboxNews } from '../live/events.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Peers } from '../live/peers.ts';
import type { Backplane } from './backplane.ts';
import type { Message } from './messages.ts';
import { Presence, type PresenceKey } from './presence.ts';

/** Users of one presence message, and users of one hint. */
const usersAtATime = 100;
const ownersAtATime = 20;
/** An inbox change with more than this is told by its counts alone, in characters. */
const longestNews = 3_000;

/**
 * A hub's peers over a backplane. Nothing is said of users whom no other replica holds; a session that opened in that moment
 * looks at the store a little later.
 */
export class BackplanePeers implements Peers {
  readonly #backplane: Backplane;
  readonly #presence: Presence;
  readonly #presenceKey: PresenceKey;
  /** Our own sessions, by presence key. */
  readonly #held = new Map<string, number>();
  #hub: LiveHub | undefined;
  readonly #clock: Clock;
  readonly #checkMs: number;
  #due: (() => void) | undefined;
  #cancelWatch: (() => void) | undefined;

  /** @param checkMs how often the store is looked at while the backplane is away, in milliseconds */
  constructor(backplane: Backplane, presenceKey: PresenceKey, clock: Clock, checkMs: number) {
    this.#backplane = backplane;
    this.#presence = new Presence(presenceKey);
    this.#presenceKey = presenceKey;
    this.#clock = clock;
    this.#checkMs = checkMs;
  }

  /** Connects, with a hub to tell, and what to call when another replica leaves work to others. */
  async open(hub: LiveHub, due: () => void): Promise<void> {
    this.#hub = hub;
    this.#due = due;
    this.#watch();
    await this.#backplane.open({
      message: (message, from) => this.#heard(message, from),
      peerFound: (peer) => this.#backplane.send({ kind: 'hello', to: peer }),
      peerLost: (peer) => this.#presence.forget(peer),
      missed: () => hub.checkAll(),
    });
  }

  async close(): Promise<void> {
    this.#cancelWatch?.();
    await this.#backplane.close();
  }

  /** Deliveries are due that this replica does not attempt itself. */
  workLeft(): void {
    if (this.#backplane.peers > 0) this.#backplane.send({ kind: 'due' });
  }

  sessions(owner: UserKey): number {
    return this.#presence.sessions(owner);
  }

  opened(owner: UserKey): void {
    this.#count(owner, 1);
  }

  closed(owner: UserKey): void {
    this.#count(owner, -1);
  }

  itemStored(owner: UserKey, position: number): void {
    if (this.sessions(owner) > 0) this.#backplane.send({ kind: 'item', owner: keyOf(owner), position });
  }

  inboxChanged(owner: UserKey, change: InboxNews): void {
    if (this.sessions(owner) === 0) return;
    const { updated, ...rest } = change;
    // other replicas read from the store what has been updated
    const isShort = updated === undefined && JSON.stringify(rest).length <= longestNews;
    const news = isShort ? rest : { summary: change.summary };
    this.#backplane.send({ kind: 'inbox', owner: keyOf(owner), change: news });
  }

  hint(owners: readonly UserKey[], hint: Hint): void {
    const held = owners.filter((owner) => this.sessions(owner) > 0).map(keyOf);
    for (let from = 0; from < held.length; from += ownersAtATime)
      this.#backplane.send({ kind: 'hint', owners: held.slice(from, from + ownersAtATime), hint });
  }

  acknowledged(owner: UserKey, sessionId: string, idempotencyKey: string): void {
    if (this.sessions(owner) > 0)
      this.#backplane.send({ kind: 'ack', owner: keyOf(owner), sessionId, idempotencyKey });
  }

  taken(ids: readonly string[]): void {
    if (this.#backplane.peers === 0) return;
    for (let from = 0; from < ids.length; from += usersAtATime)
      this.#backplane.send({ kind: 'taken', ids: ids.slice(from, from + usersAtATime) });
  }

  /** While nothing can be heard, the store is looked at instead. */
  #watch(): void {
    this.#cancelWatch = this.#clock.after(this.#checkMs, () => {
      this.#watch();
      if (!this.#backplane.isConnected) this.#hub?.checkAll();
    });
  }

  #count(owner: UserKey, step: number): void {
    const key = this.#presenceKey(owner);
    const count = (this.#held.get(key) ?? 0) + step;
    if (count > 0) this.#held.set(key, count);
    else this.#held.delete(key);
    // who comes later asks
    if (this.#backplane.peers > 0)
      this.#backplane.send({ kind: 'presence', users: [[key, count]], fresh: false });
  }

  /** Everything that we hold, for one who does not know. */
  #tellAll(): void {
    const users = [...this.#held];
    for (let from = 0; from === 0 || from < users.length; from += usersAtATime)
      this.#backplane.send({
        kind: 'presence',
        users: users.slice(from, from + usersAtATime),
        fresh: from === 0,
      });
  }

  #heard(message: Message, from: string): void {
    const hub = this.#hub;
    if (hub === undefined) return;
    switch (message.kind) {
      case 'due':
        this.#due?.();
        break;
      case 'item':
        hub.heardItem(message.owner, message.position);
        break;
      case 'inbox':
        hub.heardInbox(message.owner, message.change);
        break;
      case 'hint':
        hub.heardHint(message.owners, message.hint);
        break;
      case 'ack':
        hub.heardAck(message.owner, message.sessionId, message.idempotencyKey);
        break;
      case 'taken':
        hub.heardTaken(message.ids);
        break;
      case 'presence':
        this.#presence.heard(from, message.users, message.fresh);
        break;
      case 'hello':
        if (message.to === '' || message.to === this.#backplane.id) this.#tellAll();
    }
  }
}

const keyOf = ({ tenantId, userId }: UserKey): UserKey => ({ tenantId, userId });
