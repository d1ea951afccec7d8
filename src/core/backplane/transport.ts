/** A way to carry texts between the replicas of one service. What it loses costs delay, never a notification. */
export interface Transport {
  /** As in logs: postgres, redis. */
  readonly name: string;
  /** The longest text it takes, in bytes of UTF-8. */
  readonly textBytes: number;
  /** Connects, and stays connected by itself from then on. */
  open(events: TransportEvents): Promise<void>;
  /** Hands texts to every replica, the sender too, which so knows that it is heard and hears. @throws when it cannot */
  send(texts: readonly string[]): Promise<void>;
  /** Gives up the connection, over which nothing comes any more, and makes a new one. It is said to be lost. */
  renew(reason: Error): void;
  close(): Promise<void>;
}

export interface TransportEvents {
  received(text: string): void;
  /** It is connected, for the first time or again; what was sent meanwhile is lost. */
  connected(): void;
  lost(error: unknown): void;
  /** Another attempt to connect has failed since. */
  stillLost(error: unknown): void;
}
