import type { Channel } from '../../src/core/glossary.ts';

/** Where the fake servers listen, as bases of URLs; SMTP by its port. */
export interface Addresses {
  readonly http: string;
  readonly http2: string;
  readonly smtp: number;
  /** Takes requests, and never answers. */
  readonly hanging: string;
}

/** What a sender is to send. */
export interface Order {
  readonly channel: Channel;
  readonly count: number;
  /** By turns. */
  readonly destinations: readonly string[];
  /** Whether its end is waited for: not where a provider hangs. */
  readonly isMeasured: boolean;
}

/** What became of an order that is measured. */
export interface Sent {
  readonly channel: Channel;
  readonly perSecond: number;
  /** From the call of the provider to its receipt. */
  readonly p99Ms: number;
}

export interface Report {
  readonly sent: readonly Sent[];
  /** The most that was resident, in MiB. */
  readonly rssMib: number;
}
