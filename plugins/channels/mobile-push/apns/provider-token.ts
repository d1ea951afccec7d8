import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Clock } from '../../../../src/core/ambient.ts';
import { signedJwt } from '../../push/signed-jwt.ts';

export interface ApnsKey {
  /** PEM, as Apple's .p8 file has it. */
  readonly keyP8: string;
  readonly keyId: string;
  readonly teamId: string;
}

const minuteMs = 60_000;
/** Apple refuses a token after an hour, and new ones more often than every 20 minutes (TooManyProviderTokenUpdates). */
const renewAfterMs = 45 * minuteMs;
const shortestMs = 20 * minuteMs;

/** The token that proves a team's key to APNs ("Establishing a token-based connection to APNs"). One is kept for 45 minutes. */
export class ProviderToken {
  readonly #settings: ApnsKey;
  readonly #key: KeyObject;
  readonly #clock: Clock;
  #current: { readonly text: string; readonly madeAtMs: number } | undefined;

  constructor(settings: ApnsKey, clock: Clock) {
    this.#settings = settings;
    this.#key = createPrivateKey(settings.keyP8);
    this.#clock = clock;
  }

  get(): string {
    const nowMs = this.#clock.now();
    const { text, madeAtMs } = this.#current ?? { text: '', madeAtMs: Number.POSITIVE_INFINITY };
    if (nowMs >= madeAtMs && nowMs < madeAtMs + renewAfterMs) return text;
    const { keyId: kid, teamId: iss } = this.#settings;
    const token = signedJwt('ES256', this.#key, { kid }, { iss, iat: Math.floor(nowMs / 1000) });
    this.#current = { text: token, madeAtMs: nowMs };
    return token;
  }

  /**
   * Takes note that APNs calls a token expired.
   * @returns whether there is another now: one that is younger than 20 minutes stays, since then a clock is wrong
   */
  expired(text: string): boolean {
    if (this.#current === undefined || this.#current.text !== text) return true;
    if (this.#clock.now() < this.#current.madeAtMs + shortestMs) return false;
    this.#current = undefined;
    return true;
  }
}
