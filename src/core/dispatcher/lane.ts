import pLimit from 'p-limit';
import type { Ambient } from '../ambient.ts';
import type { ChannelProvider } from '../channel.ts';
import type { Delivery, Notification } from '../glossary.ts';
import { type AttemptResult, attemptDelivery } from './attempt.ts';
import { Circuit, type CircuitSettings } from './circuit.ts';
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
  /** Asked while it waits: what is not wanted takes nobody's turn. */
  isWanted(): boolean;
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
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #bucket: TokenBucket | undefined;
  /** Undefined: the provider is many servers. */
  readonly #circuit: Circuit | undefined;

  constructor(
    provider: ChannelProvider,
    { rate, concurrency, timeoutMs }: LaneLimits,
    circuit: CircuitSettings,
    ambient: Pick<Ambient, 'clock'>,
    observer: LaneObserver,
  ) {
    const { clock } = ambient;
    this.#provider = provider;
    this.#timeoutMs = timeoutMs;
    this.#ambient = ambient;
    this.#observer = observer;
    this.#limit = pLimit(concurrency);
    this.#bucket = rate === undefined ? undefined : new TokenBucket(rate, clock);
    this.#circuit = provider.isManyServers === true ? undefined : new Circuit(circuit, clock);
  }

  /** See ChannelProvider. */
  takes(destination: string): boolean {
    return this.#provider.takes?.(destination) ?? true;
  }

  /** How many attempts may begin now, as far as the provider's health goes. */
  get places(): number {
    return this.#circuit?.places ?? Number.POSITIVE_INFINITY;
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
    const attempt = async (): Promise<AttemptResult | undefined> => {
      // nobody takes a turn to be refused
      if (!this.#isShut) await this.#bucket?.turn(() => wish.isWanted() && !this.#isShut);
      if (!(await wish.mayBegin())) return undefined;
      const leave = this.#circuit === undefined ? neverRefused : this.#circuit.begin();
      if (leave === undefined) return undefined;
      wish.begins(this.#provider.name);
      const result = await attemptDelivery(this.#provider, notification, delivery, this.#ambient, {
        timeoutMs: this.#timeoutMs,
        signal,
      });
      // what the sandbox keeps, the provider never saw
      const sign = result.diverted === 'sandbox_captured' ? 'none' : signOf(result.failure);
      const news = this.#circuit?.end(leave, delivery.id, sign);
      if (news !== undefined) this.#tell(news, result);
      return result;
    };
    return this.#limit(attempt);
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
