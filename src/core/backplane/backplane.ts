import type { Ambient } from '../ambient.ts';
import { decodeEnvelope, encodeEnvelope, envelopeBytes } from './envelope.ts';
import { encodeMessage, type Message } from './messages.ts';
import type { Transport } from './transport.ts';

/** Times are in milliseconds. */
export interface BackplaneSettings {
  /** How long messages gather before they are sent together. */
  readonly gatherMs: number;
  /** How often a replica that has nothing to say says that it is there. */
  readonly heartbeatMs: number;
  /** A peer that has said nothing for so long is gone. */
  readonly peerTimeoutMs: number;
  /** Texts that wait while the transport is away or slow; beyond, the oldest are lost. */
  readonly waitingTexts: number;
}

export const backplaneDefaults: BackplaneSettings = {
  gatherMs: 2,
  heartbeatMs: 1_000,
  peerTimeoutMs: 3_500,
  waitingTexts: 10_000,
};

export interface BackplaneObserver {
  connected(): void;
  lost(error: unknown): void;
  /** The transport has tried again, and is not connected. */
  stillLost(error: unknown): void;
  failed(what: string, error: unknown): void;
}

/** Who listens. */
export interface BackplaneEvents {
  message(message: Message, from: string): void;
  /** A replica was heard for the first time, or again. */
  peerFound(peer: string): void;
  peerLost(peer: string): void;
  /** Something that was said may not have been heard here. @param from by whom, where that is known and it is still there */
  missed(from?: string): void;
}

interface Peer {
  lastNumber: number;
  heardAtMs: number;
}

/**
 * Messages between replicas: gathered for a moment, packed into texts, numbered by their sender. So a receiver knows when it has
 * missed one, at the latest with the sender's next heartbeat; and a sender that falls silent is gone.
 */
export class Backplane {
  readonly #transport: Transport;
  readonly #ambient: Ambient;
  readonly #settings: BackplaneSettings;
  readonly #observer: BackplaneObserver;
  readonly #id: string;
  readonly #peers = new Map<string, Peer>();
  #events: BackplaneEvents | undefined;
  #messages: string[] = [];
  #waiting: string[] = [];
  #number = 0;
  #sending: Promise<void> | undefined;
  #cancelFlush: (() => void) | undefined;
  #cancelBeat: (() => void) | undefined;
  #isConnected = false;
  #isClosed = false;
  /** When this replica last heard itself, or connected; as all times here by the clock that nobody sets. */
  #echoAtMs = 0;
  #beatAtMs = 0;

  constructor(
    transport: Transport,
    ambient: Ambient,
    settings: BackplaneSettings,
    observer: BackplaneObserver,
  ) {
    this.#transport = transport;
    this.#ambient = ambient;
    this.#settings = settings;
    this.#observer = observer;
    this.#id = ambient.ids.random();
  }

  get id(): string {
    return this.#id;
  }

  /** Whether messages go out and come in. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** How many other replicas are there. */
  get peers(): number {
    return this.#peers.size;
  }

  async open(events: BackplaneEvents): Promise<void> {
    this.#events = events;
    await this.#transport.open({
      received: (text) => this.#receive(text),
      connected: () => this.#connected(),
      lost: (error) => {
        this.#isConnected = false;
        this.#observer.lost(error);
      },
      stillLost: (error) => this.#observer.stillLost(error),
    });
    this.#beatAtMs = this.#ambient.clock.elapsed();
    this.#beat();
  }

  /**
   * Says something to all other replicas, soon.
   * @returns false: it does not fit into a text of the transport, and is not said
   */
  send(message: Message): boolean {
    if (this.#isClosed) return true;
    const text = encodeMessage(message);
    if (Buffer.byteLength(text) > this.#transport.textBytes - envelopeBytes) return false;
    this.#messages.push(text);
    this.#cancelFlush ??= this.#ambient.clock.after(this.#settings.gatherMs, () => this.#flush());
    return true;
  }

  async close(): Promise<void> {
    this.#flush();
    this.#isClosed = true;
    this.#cancelBeat?.();
    const tooLate = new Promise<void>((resolve) => {
      this.#ambient.clock.after(this.#settings.heartbeatMs, resolve);
    });
    await Promise.race([this.#drain(), tooLate]);
    this.#isConnected = false;
    await this.#transport.close();
  }

  #connected(): void {
    this.#isConnected = true;
    this.#echoAtMs = this.#ambient.clock.elapsed();
    this.#observer.connected();
    this.send({ kind: 'hello', to: '' });
    this.#events?.missed();
  }

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    let size = 0;
    let packed: string[] = [];
    const pack = () => {
      if (packed.length > 0) this.#waiting.push(encodeEnvelope(this.#id, ++this.#number, packed));
      packed = [];
      size = 0;
    };
    for (const message of this.#messages) {
      const bytes = Buffer.byteLength(message) + 1;
      if (size + bytes > this.#transport.textBytes - envelopeBytes) pack();
      packed.push(message);
      size += bytes;
    }
    pack();
    this.#messages = [];
    // what is lost here is missed by its number
    if (this.#waiting.length > this.#settings.waitingTexts)
      this.#waiting.splice(0, this.#waiting.length - this.#settings.waitingTexts);
    void this.#drain();
  }

  /** @returns when everything has been handed over, or could not be */
  #drain(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async #sendAll(): Promise<void> {
    try {
      while (this.#waiting.length > 0 && this.#isConnected)
        await this.#transport.send(this.#waiting.splice(0, textsAtATime));
    } catch (error) {
      // what is lost here is missed by its number
      this.#observer.failed('send to the other replicas', error);
    }
  }

  #receive(text: string): void {
    const envelope = decodeEnvelope(text);
    if (envelope === undefined) return;
    const { from, number, messages, isHeartbeat, malformed } = envelope;
    const nowMs = this.#ambient.clock.elapsed();
    if (from === this.#id) {
      this.#echoAtMs = nowMs;
      return;
    }
    const peer = this.#peers.get(from);
    if (peer === undefined) {
      this.#peers.set(from, { lastNumber: number, heardAtMs: nowMs });
      this.#events?.peerFound(from);
      // one that was taken for dead, or that spoke before it was heard here
      this.#events?.missed();
    } else {
      const expected = isHeartbeat ? peer.lastNumber : peer.lastNumber + 1;
      // a repeat, or one that was overtaken: that was missed, and what it says may be void by now. Nor does it show that its sender
      // lives: where somebody else has said a greater number in its name, it is dropped, and found again by its own
      if (number < expected) return;
      if (number > expected) this.#events?.missed(from);
      peer.heardAtMs = nowMs;
      peer.lastNumber = number;
    }
    if (malformed > 0)
      this.#observer.failed('understand another replica', new Error(`${malformed} malformed messages`));
    for (const message of messages)
      try {
        this.#events?.message(message, from);
      } catch (error) {
        this.#observer.failed('understand another replica', error);
      }
  }

  /** Says that we are there, and looks who still is. */
  #beat(): void {
    if (this.#isClosed) return;
    const { heartbeatMs, peerTimeoutMs } = this.#settings;
    this.#cancelBeat = this.#ambient.clock.after(heartbeatMs, () => this.#beat());
    if (this.#isConnected) {
      if (this.#waiting.length === 0) this.#waiting.push(encodeEnvelope(this.#id, this.#number, []));
      // more may wait here than a heartbeat: what a failed call of the transport left
      void this.#drain();
    }
    const nowMs = this.#ambient.clock.elapsed();
    const wasAsleep = nowMs - this.#beatAtMs > 2 * heartbeatMs;
    this.#beatAtMs = nowMs;
    // a process that stood still has not read yet what came meanwhile: nobody is judged by that
    if (wasAsleep) return;
    this.#dropSilent(nowMs - peerTimeoutMs);
    if (this.#isConnected && this.#echoAtMs < nowMs - peerTimeoutMs)
      this.#transport.renew(new Error('nothing that was sent came back'));
  }

  /** @param sinceMs who was last heard before this is gone */
  #dropSilent(sinceMs: number): void {
    for (const [id, { heardAtMs }] of this.#peers)
      if (heardAtMs < sinceMs) {
        this.#peers.delete(id);
        this.#events?.peerLost(id);
        // it may have died between storing and saying so
        this.#events?.missed();
      }
  }
}

/** Texts of one call of the transport. */
const textsAtATime = 64;
