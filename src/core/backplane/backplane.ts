import type { Ambient } from '../ambient.ts';
import { decodeEnvelope, encodeEnvelope, encodeMessage, type Message } from './messages.ts';
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
  failed(what: string, error: unknown): void;
}

/** Who listens. */
export interface BackplaneEvents {
  message(message: Message, from: string): void;
  /** A replica was heard for the first time, or again. */
  peerFound(peer: string): void;
  peerLost(peer: string): void;
  /** Something that was said may not have been heard here. */
  missed(): void;
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
  #sending = false;
  #cancelFlush: (() => void) | undefined;
  #cancelBeat: (() => void) | undefined;
  #isConnected = false;
  #isClosed = false;

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
    });
    this.#beat();
  }

  /** Says something to all other replicas, soon. What does not fit into a text of the transport is not said. */
  send(message: Message): void {
    if (this.#isClosed) return;
    const text = encodeMessage(message);
    if (Buffer.byteLength(text) > this.#transport.textBytes - envelopeBytes) {
      this.#observer.failed('send a message that is too long', undefined);
      return;
    }
    this.#messages.push(text);
    this.#cancelFlush ??= this.#ambient.clock.after(this.#settings.gatherMs, () => this.#flush());
  }

  async close(): Promise<void> {
    this.#flush();
    this.#isClosed = true;
    this.#cancelBeat?.();
    await this.#drain();
    await this.#transport.close();
  }

  #connected(): void {
    this.#isConnected = true;
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

  async #drain(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#waiting.length > 0 && this.#isConnected)
        await this.#transport.send(this.#waiting.splice(0, textsAtATime));
    } catch (error) {
      this.#observer.failed('send to the other replicas', error);
    } finally {
      this.#sending = false;
    }
  }

  #receive(text: string): void {
    const envelope = decodeEnvelope(text);
    if (envelope === undefined || envelope.from === this.#id) return;
    const { from, number, messages } = envelope;
    const nowMs = this.#ambient.clock.now();
    const peer = this.#peers.get(from);
    if (peer === undefined) {
      this.#peers.set(from, { lastNumber: number, heardAtMs: nowMs });
      this.#events?.peerFound(from);
    } else {
      const expected = messages.length > 0 ? peer.lastNumber + 1 : peer.lastNumber;
      if (number > expected) this.#events?.missed();
      peer.lastNumber = Math.max(peer.lastNumber, number);
      peer.heardAtMs = nowMs;
    }
    for (const message of messages) this.#events?.message(message, from);
  }

  /** Says that we are there, and looks who still is. */
  #beat(): void {
    if (this.#isClosed) return;
    this.#cancelBeat = this.#ambient.clock.after(this.#settings.heartbeatMs, () => this.#beat());
    this.#waiting.push(encodeEnvelope(this.#id, this.#number, []));
    void this.#drain();
    const nowMs = this.#ambient.clock.now();
    for (const [id, { heardAtMs }] of this.#peers)
      if (nowMs - heardAtMs > this.#settings.peerTimeoutMs) {
        this.#peers.delete(id);
        this.#events?.peerLost(id);
        // it may have died between storing and saying so
        this.#events?.missed();
      }
  }
}

/** What an envelope takes around its messages, in bytes. */
const envelopeBytes = 80;
/** Texts of one call of the transport. */
const textsAtATime = 64;
