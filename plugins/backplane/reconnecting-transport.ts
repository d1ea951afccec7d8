import type { Ambient } from '../../src/core/ambient.ts';
import type { Transport, TransportEvents } from '../../src/core/backplane/transport.ts';

/** Pauses before connecting again, in milliseconds. */
const firstPauseMs = 100;
const longestPauseMs = 2_000;

/** One connection of a transport, from when it takes texts until it ends. */
export interface Connection {
  send(texts: readonly string[]): Promise<void>;
  /** Ends it without waiting for anybody. */
  destroy(): void;
}

/**
 * Makes a connection.
 * @param over called once it has ended by itself; what it says before the promise resolves is the same as a rejection
 */
export type Connect = (
  received: (text: string) => void,
  over: (error: unknown) => void,
) => Promise<Connection>;

/** What one kind of transport is. */
export interface TransportKind {
  readonly name: string;
  readonly textBytes: number;
  /** A first connection that fails is said to be lost, and tried again; else opening throws. */
  readonly startsWithout: boolean;
  readonly connect: Connect;
}

/** A transport over one connection, which is made anew whenever it has ended. */
export class ReconnectingTransport implements Transport {
  readonly name: string;
  readonly textBytes: number;
  readonly #startsWithout: boolean;
  readonly #connect: Connect;
  readonly #ambient: Pick<Ambient, 'clock' | 'random'>;
  #events: TransportEvents | undefined;
  #connection: Connection | undefined;
  #isClosed = false;

  constructor(kind: TransportKind, ambient: Pick<Ambient, 'clock' | 'random'>) {
    this.name = kind.name;
    this.textBytes = kind.textBytes;
    this.#startsWithout = kind.startsWithout;
    this.#connect = kind.connect;
    this.#ambient = ambient;
  }

  async open(events: TransportEvents): Promise<void> {
    this.#events = events;
    try {
      await this.#start();
    } catch (error) {
      if (!this.#startsWithout) throw error;
      this.#lost(error);
    }
  }

  async send(texts: readonly string[]): Promise<void> {
    if (this.#connection === undefined) throw new Error('not connected');
    await this.#connection.send(texts);
  }

  renew(reason: Error): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    connection.destroy();
    this.#lost(reason);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  async #start(): Promise<void> {
    let connection: Connection | undefined;
    let ended: { readonly error: unknown } | undefined;
    connection = await this.#connect(
      (text) => this.#events?.received(text),
      (error) => {
        ended ??= { error };
        if (connection !== undefined && this.#connection === connection) {
          this.#connection = undefined;
          this.#lost(error);
        }
      },
    );
    if (ended !== undefined) {
      connection.destroy();
      throw (ended as { readonly error: unknown }).error;
    }
    if (this.#isClosed) return connection.destroy();
    this.#connection = connection;
    this.#events?.connected();
  }

  #lost(error: unknown): void {
    if (this.#isClosed) return;
    this.#events?.lost(error);
    void this.#restart();
  }

  async #restart(): Promise<void> {
    for (let waitMs = firstPauseMs; !this.#isClosed; waitMs = Math.min(longestPauseMs, waitMs * 2)) {
      await this.#pause(waitMs);
      try {
        if (!this.#isClosed) await this.#start();
        return;
      } catch (error) {
        // the reason may be another one by now
        if (!this.#isClosed) this.#events?.stillLost(error);
      }
    }
  }

  /** At least half of it, so that replicas that were cut off together do not come back together. */
  #pause(longestMs: number): Promise<void> {
    const { clock, random } = this.#ambient;
    return new Promise((resolve) => clock.after(longestMs * (0.5 + random() / 2), resolve));
  }
}
