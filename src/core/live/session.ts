import type { Clock } from '../ambient.ts';
import type { EpochMs, InboxSummary, Notification, UserKey } from '../glossary.ts';
import type { Store } from '../store.ts';
import { endings } from './endings.ts';
import type { EndReason, InboxEvent, InboxNews, ItemEvent, LiveEvent } from './events.ts';
import { bufferLimitBytes, type LiveObserver, type SessionInfo, stallTimeoutMs } from './settings.ts';
import type { StreamSink } from './sink.ts';
import type { StoreReads } from './store-reads.ts';
import { beginningOf, type StreamStart } from './stream-start.ts';

/** What a session needs of the hub it belongs to. */
export interface SessionHost {
  readonly store: Pick<Store, 'inboxSummary' | 'notificationsSince'>;
  readonly reads: Pick<StoreReads, 'after' | 'untaken' | 'summary' | 'inTurn'>;
  readonly clock: Clock;
  readonly observer: LiveObserver;
  heartbeatEvent(inboxVersion: number): LiveEvent;
  /** The bytes of an item that no stream had taken before have left. */
  taken(notification: Notification): void;
  /** Lets work go on by itself; what goes wrong there ends this session only. */
  run(session: Session, work: Promise<void>): void;
  /** Offers a session the hints that it could not be sent before. */
  resumeHints(session: Session): void;
  closed(session: Session, reason: string): void;
}

/** An inbox change that names nothing. */
const countsAlone: Partial<InboxNews> = {};

/** What runs when a session ends: a list, since an array would keep room for more, ten thousand times. */
interface CleanUp {
  readonly task: () => void;
  readonly before: CleanUp | undefined;
}

/**
 * One live stream.
 *
 *     starting ──first heartbeat──▶ catching up ──nothing left──▶ live
 *                                        ▲                          │ a gap in the positions
 *                                        │◀─────────────────────────┤
 *                                        └──────drained── blocked ◀─┘ the socket does not drain
 *     any state ──end, gone, cut──▶ ended
 *
 * It keeps no queue: an item is written directly only when its position is the next one, and everything else is
 * read from the store after the last position sent. So there is no gap and no repeat, and memory is bounded.
 */
export class Session implements SessionInfo {
  readonly id: string;
  readonly owner: UserKey;
  readonly deviceType: string;
  readonly #hub: SessionHost;
  readonly #sink: StreamSink;
  #state: 'starting' | 'catching_up' | 'live' | 'blocked' | 'ended' = 'starting';
  /** Everything streamed up to here was sent, or had been taken before this stream opened. */
  #sent = 0;
  /** The newest position this session has heard of. */
  #announced = 0;
  #version = 0;
  /** The counts that this client was told last. */
  #told: InboxNews['summary'] | undefined;
  /** What changed in the inbox and could not be told yet; its counts are asked for. Undefined: nothing. */
  #untold: Partial<InboxNews> | undefined;
  #cleanUp: CleanUp | undefined;
  /** Ends the wait for the socket to drain. */
  #unblock: (() => void) | undefined;

  constructor(hub: SessionHost, sink: StreamSink, id: string, owner: UserKey, deviceType: string) {
    this.#hub = hub;
    this.#sink = sink;
    this.id = id;
    this.owner = owner;
    this.deviceType = deviceType;
  }

  get tenantId(): string {
    return this.owner.tenantId;
  }

  get userId(): string {
    return this.owner.userId;
  }

  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Runs when the session ends, however it ends. */
  onEnd(task: () => void): void {
    this.#cleanUp = { task, before: this.#cleanUp };
  }

  /**
   * First heartbeat, replay, inbox, and then live. Resolves when the session is live or has ended.
   * @param openedAtMs what a stream took before this time is not replayed to an `untaken` start
   */
  async run(start: StreamStart, openedAtMs: EpochMs): Promise<void> {
    const { store, reads } = this.#hub;
    // one whose client has given up meanwhile has no need of it
    const beginning = await reads.inTurn(async () =>
      this.ended ? undefined : await beginningOf(store, this.owner, start, openedAtMs),
    );
    if (beginning === undefined || this.ended) return;
    this.#sent = beginning.position;
    this.#state = 'catching_up';
    this.#send(this.#hub.heartbeatEvent(beginning.summary.version));
    if (beginning.isReset) this.#send({ kind: 'reset' });
    this.#hub.resumeHints(this);
    await this.#catchUp(beginning.untakenAtMs);
    if (this.ended) return;
    this.#untold = countsAlone;
    await this.#goLive();
  }

  /**
   * A new position of this user; with the item, where it is one to stream.
   * @param version of the inbox with the item
   */
  announce(position: number, event: ItemEvent | undefined, version = Number.POSITIVE_INFINITY): void {
    if (position > this.#announced) this.#announced = position;
    if (this.#state !== 'live' || position <= this.#sent) return;
    // a change that the client was told before may have been one of this item, which the store has as it is now
    const isLatest = version > this.#version;
    if (isLatest && position === this.#sent + 1 && !this.#isBlocked()) {
      if (event === undefined) this.#sent = position;
      else this.#sendItem(event);
      return;
    }
    this.#recover();
  }

  inboxChanged(change: InboxNews): void {
    if (this.ended) return;
    if (this.#state === 'starting') return; // the inbox event after the replay has it
    if (this.#state !== 'live' || this.#isBlocked()) {
      // what is being read may be from before the change
      this.#tellLater(this.#state === 'catching_up' ? change : countsAlone);
    } else {
      const { version } = change.summary;
      // it was overtaken, by another change or by an item that its counts do not have yet: they are asked for
      if (version <= this.#version) this.#untold = countsAlone;
      this.#send({ kind: 'inbox', change });
    }
    if (this.#untold !== undefined) this.#recover();
  }

  /** Something may have been stored up to a position, by another replica. */
  hear(position: number): void {
    if (position > this.#announced) this.#announced = position;
    if (this.#state === 'live' && position > this.#sent) this.#recover();
  }

  /** What the store says of the inbox: whatever this session was not told, it is now. */
  check(summary: InboxSummary): void {
    this.hear(summary.newestPosition);
    if (this.#state === 'live' && summary.version > this.#version) this.inboxChanged({ summary });
  }

  /** Everything streamed up to here was sent. */
  get sentPosition(): number {
    return this.#sent;
  }

  /** The inbox's version as far as the client has been told. */
  get inboxVersion(): number {
    return this.#version;
  }

  heartbeat(event: LiveEvent): void {
    if (this.#state !== 'live' && this.#state !== 'catching_up') return;
    if (this.#isBlocked()) this.#recover();
    else this.#send(event);
  }

  /**
   * Sends what somebody else keeps: after the first heartbeat, and not to a reader that is slow.
   * @returns whether it was sent; if not, `resumeHints` is called when it can be
   */
  offer(event: LiveEvent): boolean {
    if (this.#state !== 'catching_up' && this.#state !== 'live') return false;
    if (this.#isBlocked()) {
      this.#recover();
      return false;
    }
    this.#send(event);
    return true;
  }

  /**
   * Says `end` and ends the stream cleanly.
   * @param error how RPC says why, where there is more to tell than the reason
   */
  end(reason: EndReason, reconnect: boolean, error = endings[reason]): void {
    if (this.ended) return;
    try {
      this.#send({ kind: 'end', reason, reconnect });
      this.#sink.finish(error);
    } catch (fault) {
      // what cannot be written cannot be ended cleanly either
      this.#hub.observer.failed('stream', fault);
      this.#sink.destroy();
    }
    this.#close(reason);
  }

  /**
   * The inbox was erased: what this stream has sent is nowhere any more. The client is told to reset, and opens another stream.
   * @param position the first one of the inbox as it is now, or 0, which is from its start; the next stream goes on from there
   */
  erased(position: number): void {
    if (this.ended) return;
    if (this.#state !== 'starting') {
      this.#sent = position;
      this.#send({ kind: 'reset' });
    }
    this.end('erased', true);
  }

  /** The peer has closed the stream. */
  gone(): void {
    this.#close('gone');
  }

  #close(reason: string): void {
    if (this.ended) return;
    this.#state = 'ended';
    this.#unblock?.();
    for (let next = this.#cleanUp; next !== undefined; next = next.before) next.task();
    this.#cleanUp = undefined;
    this.#hub.closed(this, reason);
  }

  #isBlocked(): boolean {
    return this.#sink.bufferedBytes() > bufferLimitBytes;
  }

  #send(given: LiveEvent, written?: () => void): void {
    const event = given.kind === 'inbox' ? this.#inOrder(given) : given;
    // not the greater one: a replay counts items up that the version had already
    if (event.kind === 'inbox') this.#version = event.change.summary.version;
    else if (event.kind === 'heartbeat') this.#version = event.inboxVersion;
    // each item that appears is one version
    else if (event.kind === 'notification') this.#version += 1;
    this.#hub.observer.sent(event.kind);
    const position = this.#state === 'starting' ? undefined : this.#sent;
    this.#sink.send(event, this.id, position, written);
  }

  /** Calls that overtake each other are told of in any order: what changed is still news, their counts are not. */
  #inOrder(event: InboxEvent): InboxEvent {
    const { change } = event;
    if (this.#told === undefined || change.summary.version >= this.#told.version) {
      this.#told = change.summary;
      return event;
    }
    return { ...event, change: { ...change, summary: this.#told } };
  }

  #sendItem(event: ItemEvent): void {
    const { notification } = event;
    this.#sent = notification.position;
    this.#send(event, event.first ? () => this.#hub.taken(notification) : undefined);
  }

  /** Leaves `live` to read on from the last position, once the socket has drained. */
  #recover(): void {
    if (this.#state !== 'live') return; // it is at it already
    this.#state = 'catching_up';
    this.#hub.run(this, this.#goLive());
  }

  /** Of several changes the counts alone are told: the client fetches the inbox. */
  #tellLater(change: Partial<InboxNews>): void {
    this.#untold = this.#untold === undefined ? change : countsAlone;
  }

  async #goLive(): Promise<void> {
    do {
      if (this.#announced > this.#sent || this.#isBlocked()) await this.#catchUp(undefined);
      if (this.ended) return;
      const untold = this.#untold;
      if (untold !== undefined) {
        this.#untold = undefined;
        const summary = await this.#hub.reads.summary(this.owner);
        if (this.ended) return;
        this.#send({ kind: 'inbox', change: { ...untold, summary } });
      }
    } while (this.#announced > this.#sent || this.#isBlocked() || this.#untold !== undefined);
    this.#state = 'live';
    this.#hub.resumeHints(this);
  }

  async #catchUp(untakenAtMs: EpochMs | undefined): Promise<void> {
    for (;;) {
      if (this.ended) return;
      if (this.#isBlocked()) await this.#drained();
      if (this.ended) return;
      const announced = this.#announced;
      const isLast = await this.#sendPage(untakenAtMs);
      if (!isLast) continue;
      // what was announced before the store was read and is not in it is nowhere: looking again would find nothing, for ever
      if (this.#announced === announced) this.#announced = Math.min(announced, this.#sent);
      if (this.#announced <= this.#sent) return;
    }
  }

  /**
   * Sends what the store has next. What does not fit in the socket is dropped, and read again once it has drained: kept, it
   * would cost memory for as long as the reader is slow.
   * @returns whether that was all
   */
  async #sendPage(untakenAtMs: EpochMs | undefined): Promise<boolean> {
    const { reads } = this.#hub;
    const page =
      untakenAtMs === undefined
        ? await reads.after(this.owner, this.#sent)
        : await reads.untaken(this.owner, this.#sent, untakenAtMs);
    // the user was erased without a word to us, and written to since
    if (page.isOfAnother) this.erased(0);
    if (this.ended) return true;
    for (const event of page.events) {
      if (this.#isBlocked()) return false;
      this.#sendItem(event);
    }
    this.#sent = Math.max(this.#sent, page.through);
    return !page.more;
  }

  /** Waits until the socket has taken everything; a reader that takes nothing for too long is cut. */
  #drained(): Promise<void> {
    this.#state = 'blocked';
    // as long as it takes, nothing is kept for it
    if (this.#untold !== undefined) this.#untold = countsAlone;
    this.#hub.observer.slow(this, false);
    return new Promise((resolve) => {
      let waitOn = this.#cutIfStalled();
      this.#unblock = () => {
        this.#unblock = undefined;
        this.#sink.onProgress(undefined);
        waitOn();
        if (this.#state === 'blocked') this.#state = 'catching_up';
        resolve();
      };
      this.#sink.onProgress(() => {
        if (this.#sink.bufferedBytes() === 0) return this.#unblock?.();
        waitOn();
        waitOn = this.#cutIfStalled();
      });
    });
  }

  /** @returns takes it back, for a reader that has moved */
  #cutIfStalled(): () => void {
    return this.#hub.clock.after(stallTimeoutMs, () => {
      this.#hub.observer.slow(this, true);
      this.#sink.destroy();
      this.#close('slow');
    });
  }
}
