import type { ChannelProvider } from '../channel.ts';
import type { Channel } from '../glossary.ts';
import type { CircuitSettings } from './circuit.ts';
import type { LaneLimits } from './lane.ts';
import type { PlaceLimits } from './places.ts';

/** How deliveries are tried again. Times are in milliseconds. */
export interface RetrySettings {
  /** The longest first pause; it doubles with each attempt. */
  readonly baseMs: number;
  /** The longest pause at all. */
  readonly maxMs: number;
  /** How long a delivery is tried, from when it was due first. */
  readonly forMs: Readonly<Partial<Record<Channel, number>>>;
}

/** A number for each provider of a channel, and those that have one of their own by name. */
export interface ByProvider {
  readonly every: number | undefined;
  readonly named: Readonly<Record<string, number>>;
}

/** See LaneLimits. Each provider of the channel keeps to them on its own. */
export type SendLimits = { readonly [K in keyof LaneLimits]?: ByProvider | undefined };

/** What servers get of what they share. */
export interface ServerSettings {
  /** One that keeps an attempt waiting for so long is slow, until it answers in time. In milliseconds. */
  readonly slowAfterMs: number;
  /**
   * As a fraction: how much of a lane's places one server gets that is slow, or not known yet; and how many of the deliveries that a
   * channel may hold wait for a slow one.
   */
  readonly share: number;
}

/** The numbers of the dispatcher. Times are in milliseconds. */
export interface DispatcherSettings {
  readonly retry: RetrySettings;
  /** What an operator says of providers, in the place of what follows and of their own usual rates. */
  readonly limits: Readonly<Partial<Record<Channel, SendLimits>>>;
  readonly circuit: CircuitSettings;
  readonly servers: ServerSettings;
  /** How long nobody else is given what this process holds, unless it renews. Longer than an attempt takes. */
  readonly leaseMs: number;
  /** An attempt that a provider has not answered by then is aborted and counts as a transient failure. */
  readonly attemptTimeoutMs: number;
  /** Attempts under way at once, per provider. */
  readonly attemptsPerProvider: number;
  /** Deliveries of a channel that are claimed until this process holds so many, under way or waiting for it. */
  readonly heldPerChannel: number;
  /** How often the store is asked what is due when nothing else says so. */
  readonly pollMs: number;
  /** Items that appear, come back or expire, at a time. */
  readonly itemsPerPoll: number;
  /** For so long after a start, and after the store was away, leases that have run out are left to their holders. */
  readonly graceMs: number;
  /** A delivery whose attempts ended so many processes is set aside. */
  readonly crashLimit: number;
}

/** What the configuration has no word for. */
export const dispatcherDefaults: Omit<DispatcherSettings, 'retry'> = {
  limits: {},
  circuit: { failures: 5, pauseMs: 5_000, longestPauseMs: 60_000 },
  servers: { slowAfterMs: 2_000, share: 1 / 4 },
  leaseMs: 45_000,
  attemptTimeoutMs: 30_000,
  attemptsPerProvider: 32,
  heldPerChannel: 256,
  pollMs: 1_000,
  itemsPerPoll: 500,
  graceMs: 10_000,
  crashLimit: 3,
};

/** The number of one provider; undefined: nobody said one. */
export const numberOf = (numbers: ByProvider | undefined, provider: string): number | undefined =>
  numbers?.named[provider] ?? numbers?.every;

/** What a provider is asked at most. */
export function limitsOf(
  settings: DispatcherSettings,
  { channel, name, usualRate }: Pick<ChannelProvider, 'channel' | 'name' | 'usualRate'>,
): LaneLimits {
  const { rate, concurrency, timeoutMs } = settings.limits[channel] ?? {};
  return {
    rate: numberOf(rate, name) ?? usualRate,
    concurrency: numberOf(concurrency, name) ?? settings.attemptsPerProvider,
    timeoutMs: numberOf(timeoutMs, name) ?? settings.attemptTimeoutMs,
  };
}

/**
 * How a provider's lane gives out its places.
 * @param isAlone whether its channel has no other: then nothing else is kept waiting by what it holds
 */
export function placesOf(
  settings: DispatcherSettings,
  provider: Pick<ChannelProvider, 'channel' | 'name' | 'usualRate' | 'servers'>,
  isAlone: boolean,
): PlaceLimits {
  const { servers: parts, heldPerChannel } = settings;
  const { servers } = provider;
  const { concurrency: total } = limitsOf(settings, provider);
  return {
    total,
    share: servers === undefined ? total : Math.min(shareOf(total, parts), servers.atOnce),
    atOnce: servers?.atOnce ?? total,
    slowLine: shareOf(heldPerChannel, parts),
    slowAfterMs: servers === undefined && isAlone ? undefined : parts.slowAfterMs,
  };
}

/** One at least. */
export const shareOf = (whole: number, { share }: ServerSettings): number =>
  Math.max(1, Math.floor(whole * share));
