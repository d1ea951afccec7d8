import { setTimeout as pause } from 'node:timers/promises';
import type { TransportEvents } from '../../src/core/backplane/transport.ts';

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

/** Keeps one connection, making a new one whenever it has ended. */
export class Reconnecting {
  readonly #connect: Connect;
  #events: TransportEvents | undefined;
  #connection: Connection | undefined;
  #isClosed = false;

  constructor(connect: Connect) {
    this.#connect = connect;
  }

  /** @param isPatient a first connection that fails is said to be lost, and tried again; else it is thrown */
  async open(events: TransportEvents, isPatient: boolean): Promise<void> {
    this.#events = events;
    try {
      await this.#start();
    } catch (error) {
      if (!isPatient) throw error;
      this.#lost(error);
    }
  }

  async send(texts: readonly string[]): Promise<void> {
    if (this.#connection === undefined) throw new Error('not connected');
    await this.#connection.send(texts);
  }

  /** Gives the connection up, which is dead for all that can be told. */
  renew(reason: Error): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    connection.destroy();
    this.#lost(reason);
  }

  close(): void {
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
      await pause(waitMs * (0.5 + Math.random() / 2), undefined, { ref: false });
      try {
        if (!this.#isClosed) await this.#start();
        return;
      } catch (error) {
        // the reason may be another one by now
        if (!this.#isClosed) this.#events?.stillLost(error);
      }
    }
  }
}
