import type { Clock } from '../ambient.ts';
import type { UserKey } from '../glossary.ts';
import type { Hint, InboxNews } from '../live/events.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Peers } from '../live/peers.ts';
import { AckAllowance } from './ack-allowance.ts';
import type { Backplane } from './backplane.ts';
import type { Message } from './messages.ts';
import { inParts, PartsOfPeers } from './parts.ts';
import { Presence, type PresenceKey } from './presence.ts';

/** Users of one presence message, and users of one hint. */
const usersAtATime = 100;
const ownersAtATime = 20;
/** Lists of everybody are sent at most this often, in milliseconds: all who asked meanwhile get the same one. */
const tellSpacingMs = 100;
/** After this long what was told has been heard, in milliseconds. */
const heardMs = 1_000;

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
  /** Other replicas of which it is not known whom they hold. */
  readonly #asked = new Set<string>();
  #due: (() => void) | undefined;
  #cancelWatch: (() => void) | undefined;
  /** What others say in parts. */
  readonly #parts = new PartsOfPeers();
  readonly #acks: AckAllowance;
  #telling: (() => void) | undefined;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #checking: (() => void) | undefined;
  /** Another list of everybody has been sent since the look at the store was set. */
  #checkAgain = false;

  /** @param checkMs how often the store is looked at while the backplane is away, in milliseconds */
  constructor(backplane: Backplane, presenceKey: PresenceKey, clock: Clock, checkMs: number) {
    this.#backplane = backplane;
    this.#presence = new Presence(presenceKey);
    this.#presenceKey = presenceKey;
    this.#clock = clock;
    this.#checkMs = checkMs;
    this.#acks = new AckAllowance(clock);
  }

  /** Connects, with a hub to tell, and what to call when another replica leaves work to others. */
  async open(hub: LiveHub, due: () => void): Promise<void> {
    this.#hub = hub;
    this.#due = due;
    this.#watch();
    await this.#backplane.open({
      message: (message, from) => this.#heard(message, from),
      peerFound: (peer) => this.#ask(peer),
      peerLost: (peer) => {
        this.#asked.delete(peer);
        this.#presence.forget(peer);
        this.#parts.forget(peer);
      },
      missed: (from) => {
        hub.checkAll();
        if (from === undefined) return;
        this.#parts.forget(from);
        // it may have been a session that opened or closed
        this.#presence.doubt(from);
        this.#ask(from);
      },
    });
  }

  async close(): Promise<void> {
    this.#cancelWatch?.();
    this.#telling?.();
    this.#checking?.();
    this.#acks.close();
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
    if (this.sessions(owner) > 0) this.#say({ kind: 'item', owner: keyOf(owner), position });
  }

  inboxChanged(owner: UserKey, change: InboxNews): void {
    if (this.sessions(owner) === 0) return;
    const { updated, ...rest } = change;
    const key = keyOf(owner);
    // other replicas read from the store what has been updated
    if (updated === undefined && this.#backplane.send({ kind: 'inbox', owner: key, change: rest })) return;
    this.#say({ kind: 'inbox', owner: key, change: { summary: change.summary } });
  }

  userErased(owner: UserKey, position: number): void {
    if (this.sessions(owner) > 0) this.#say({ kind: 'erased', owner: keyOf(owner), position });
  }

  hint(owners: readonly UserKey[], hint: Hint): number {
    let sessions = 0;
    const held: UserKey[] = [];
    for (const owner of owners) {
      const count = this.sessions(owner);
      if (count === 0) continue;
      sessions += count;
      held.push(keyOf(owner));
    }
    for (let from = 0; from < held.length; from += ownersAtATime)
      this.#say({ kind: 'hint', owners: held.slice(from, from + ownersAtATime), hint });
    return sessions;
  }

  acknowledged(owner: UserKey, sessionId: string, idempotencyKey: string): void {
    // whoever holds the session may not have been heard to hold it yet
    if (this.#backplane.peers > 0 && this.#acks.take(owner))
      this.#say({ kind: 'ack', owner: keyOf(owner), sessionId, idempotencyKey });
  }

  taken(ids: readonly string[]): void {
    if (this.#backplane.peers === 0) return;
    for (let from = 0; from < ids.length; from += usersAtATime)
      this.#backplane.send({ kind: 'taken', ids: ids.slice(from, from + usersAtATime) });
  }

  /** Says something whatever its length: ids of every size that is taken, and characters that JSON escapes, need more than a text. */
  #say(message: Message): void {
    if (this.#backplane.send(message)) return;
    for (const part of inParts(message)) this.#backplane.send(part);
  }

  /** While nothing can be heard, the store is looked at instead. Who has not answered is asked again. */
  #watch(): void {
    this.#cancelWatch = this.#clock.after(this.#checkMs, () => {
      this.#watch();
      if (!this.#backplane.isConnected) this.#hub?.checkAll();
      else for (const peer of this.#asked) this.#ask(peer);
    });
  }

  /** Asks a replica for all that it holds, until it has said so: a question may be lost, and an answer too. */
  #ask(peer: string): void {
    this.#asked.add(peer);
    this.#backplane.send({ kind: 'hello', to: peer });
  }

  #count(owner: UserKey, step: number): void {
    const key = this.#presenceKey(owner);
    const count = (this.#held.get(key) ?? 0) + step;
    if (count > 0) this.#held.set(key, count);
    else this.#held.delete(key);
    // who comes later asks
    if (this.#backplane.peers > 0) this.#backplane.send({ kind: 'presence', users: [[key, count]] });
  }

  /** One who asks did not know whom we hold, and may have kept to itself what they should have been told. */
  #answer(): void {
    const waitMs = Math.max(0, this.#toldAtMs + tellSpacingMs - this.#clock.elapsed());
    this.#telling ??= this.#clock.after(waitMs, () => {
      this.#telling = undefined;
      this.#toldAtMs = this.#clock.elapsed();
      this.#tellAll();
      this.#checkOnceHeard();
    });
  }

  /** Looks at the store when what was told has been heard. Who asks meanwhile does not put that off. */
  #checkOnceHeard(): void {
    if (this.#checking !== undefined) {
      this.#checkAgain = true;
      return;
    }
    this.#checking = this.#clock.after(heardMs, () => {
      this.#checking = undefined;
      this.#hub?.checkAll();
      if (!this.#checkAgain) return;
      this.#checkAgain = false;
      this.#checkOnceHeard();
    });
  }

  #tellAll(): void {
    const users = [...this.#held];
    for (let from = 0; from === 0 || from < users.length; from += usersAtATime)
      this.#backplane.send({
        kind: 'presence',
        users: users.slice(from, from + usersAtATime),
        ...(from === 0 && { first: true }),
        ...(from + usersAtATime >= users.length && { last: true }),
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
      case 'erased':
        hub.heardErased(message.owner, message.position);
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
      case 'part': {
        const whole = this.#parts.heard(from, message);
        if (whole) this.#heard(whole, from);
        break;
      }
      case 'presence':
        if (this.#presence.heard(from, message)) this.#asked.delete(from);
        break;
      case 'hello':
        if (message.to === '' || message.to === this.#backplane.id) this.#answer();
    }
  }
}

const keyOf = ({ tenantId, userId }: UserKey): UserKey => ({ tenantId, userId });
