import type { Ambient } from '../ambient.ts';
import type { ChannelProvider } from '../channel.ts';
import type { Delivery, Notification } from '../glossary.ts';
import { type AttemptResult, attemptDelivery } from './attempt.ts';
import { Circuit, type CircuitSettings } from './circuit.ts';
import { type PlaceLimits, Places } from './places.ts';
import { signOf } from './sign.ts';
import type { Span } from './spans.ts';
import { TokenBucket } from './token-bucket.ts';

/** What one provider is asked at most. */
export interface LaneLimits {
  /** Sends a second; undefined: as fast as they come. */
  readonly rate: number | undefined;
  /** Attempts under way at once. */
  readonly concurrency: number;
  /** An attempt that is not answered by then is aborted and counts as a transient failure, in milliseconds. */
  readonly timeoutMs: number;
}

/** What an operator sees of a provider's health. */
export interface LaneObserver {
  /** A provider is away or rejects our credentials: nothing is sent by it but a probe from time to time. Said once. */
  providerDown(down: {
    readonly channel: string;
    readonly provider: string;
    readonly reason: string;
    readonly probeInMs: number;
  }): void;
  /** It has answered again. */
  providerUp(up: { readonly channel: string; readonly provider: string }): void;
}

/** Whether something that waits in a lane is still to be attempted. */
export interface Wish {
  /** No other lane is asked where this one makes no attempt. */
  readonly isOnlyWay: boolean;
  /** Asked while it waits: what is not wanted takes nobody's turn. */
  readonly isWanted: () => boolean;
  /** Told that no attempt is made for now: its server is slow, and enough wait for it. @param afterMs in milliseconds */
  putOff(afterMs: number): void;
  /** Asked when its turn has come. */
  mayBegin(): Promise<boolean>;
  /** Told that its attempt begins. */
  begins(provider: string): void;
}

/** The way to one provider: so many at once, so many a second, and none while it is down. */
export class Lane {
  readonly #provider: ChannelProvider;
  readonly #timeoutMs: number;
  readonly #ambient: Pick<Ambient, 'clock'>;
  readonly #observer: LaneObserver;
  readonly #places: Places;
  /** Undefined: the provider is many servers. */
  readonly #circuit: Circuit | undefined;

  constructor(
    provider: ChannelProvider,
    settings: {
      readonly limits: LaneLimits;
      readonly places: PlaceLimits;
      readonly circuit: CircuitSettings;
    },
    ambient: Pick<Ambient, 'clock'>,
    observer: LaneObserver,
  ) {
    const { limits, places, circuit } = settings;
    const { rate, timeoutMs } = limits;
    const { clock } = ambient;
    this.#provider = provider;
    this.#timeoutMs = timeoutMs;
    this.#ambient = ambient;
    this.#observer = observer;
    const bucket = rate === undefined ? undefined : new TokenBucket(rate, clock);
    this.#places = new Places(
      places,
      clock,
      // nobody takes a turn to be refused
      bucket && ((isWanted) => bucket.turn(() => isWanted() && !this.#isShut)),
    );
    this.#circuit = provider.servers === undefined ? new Circuit(circuit, clock) : undefined;
  }

  /** See ChannelProvider. */
  takes(destination: string): boolean {
    return this.#provider.takes?.(destination) ?? true;
  }

  /** How many attempts may begin now, as far as the provider's health goes. */
  get places(): number {
    return this.#circuit?.places ?? Number.POSITIVE_INFINITY;
  }

  /** How many wait for slow servers. */
  get slowWaiting(): number {
    return this.#places.slowWaiting;
  }

  /** When its provider is probed next; undefined while that is up. */
  get probeAtMs(): number | undefined {
    return this.#circuit?.isOpen ? this.#circuit.probeAtMs : undefined;
  }

  /** When its provider was down, since a time. */
  downSince(sinceMs: number): readonly Span[] {
    return this.#circuit?.openSince(sinceMs) ?? [];
  }

  /**
   * One attempt, as soon as there is a place and its turn has come.
   * @param signal aborts it once it has begun
   * @returns undefined where none was made: it is not wanted any more, or the provider is down. Never rejects
   */
  async attempt(
    notification: Notification,
    delivery: Delivery,
    wish: Wish,
    signal: AbortSignal,
  ): Promise<AttemptResult | undefined> {
    if (this.#isShut) return undefined;
    const { isOnlyWay, isWanted } = wish;
    const server = this.#provider.servers?.of(delivery.destination) ?? '';
    const place = await this.#places.take({ tenantId: notification.tenantId, server, isOnlyWay, isWanted });
    if (place === undefined) return undefined;
    if ('afterMs' in place) {
      wish.putOff(place.afterMs);
      return undefined;
    }
    try {
      if (!(await wish.mayBegin())) return undefined;
      const leave = this.#circuit === undefined ? neverRefused : this.#circuit.begin();
      if (leave === undefined) return undefined;
      wish.begins(this.#provider.name);
      place.begin();
      const result = await attemptDelivery(this.#provider, notification, delivery, this.#ambient, {
        timeoutMs: this.#timeoutMs,
        signal,
      });
      // what the sandbox keeps, the provider never saw
      const sign = result.diverted === 'sandbox_captured' ? 'none' : signOf(result.failure);
      const news = this.#circuit?.end(leave, delivery.id, sign);
      if (news !== undefined) this.#tell(news, result);
      return result;
    } finally {
      place.giveBack();
    }
  }

  get #isShut(): boolean {
    return this.places === 0;
  }

  #tell(news: 'opened' | 'closed', { failure }: AttemptResult): void {
    const { channel, name: provider } = this.#provider;
    if (news === 'closed') {
      this.#observer.providerUp({ channel, provider });
      return;
    }
    this.#observer.providerDown({
      channel,
      provider,
      reason: failure?.code ?? '',
      probeInMs: (this.probeAtMs ?? 0) - this.#ambient.clock.now(),
    });
  }
}

const neverRefused = { isProbe: false };
