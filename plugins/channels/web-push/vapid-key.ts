import { createPrivateKey } from 'node:crypto';
import type { Clock } from '../../../src/core/ambient.ts';
import { signedJwt } from '../push/signed-jwt.ts';

export interface VapidSettings {
  /** A P-256 point, uncompressed, base64url. */
  readonly publicKey: string;
  /** 32 bytes, base64url. */
  readonly privateKey: string;
  /** Who a push service may write to: a mailto: or https: URL. */
  readonly contact: string | undefined;
}

const hourMs = 3_600_000;
/** RFC 8292 §2: at most a day. Half of one leaves room for clocks that differ. */
const validMs = 12 * hourMs;
/** Apple asks for no new token more often than every hour. */
const renewAfterMs = 6 * hourMs;
/** A handful of push services serve all browsers; this many are somebody's inventions. */
const originsKept = 256;

/**
 * Proves to push services whose messages these are (VAPID, RFC 8292). A token is signed once for each push service and kept.
 */
export class VapidKey {
  readonly #settings: VapidSettings;
  readonly #key: ReturnType<typeof createPrivateKey>;
  readonly #clock: Clock;
  readonly #headers = new Map<string, { readonly header: string; readonly madeAtMs: number }>();

  constructor(settings: VapidSettings, clock: Clock) {
    const point = Buffer.from(settings.publicKey, 'base64url');
    this.#settings = settings;
    this.#clock = clock;
    this.#key = createPrivateKey({
      format: 'jwk',
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: point.subarray(1, 33).toString('base64url'),
        y: point.subarray(33).toString('base64url'),
        d: settings.privateKey,
      },
    });
  }

  /** The Authorization header for a push service. @param origin scheme, host, and port where it is not the usual one */
  authorization(origin: string): string {
    const nowMs = this.#clock.now();
    const kept = this.#headers.get(origin);
    if (kept !== undefined && nowMs >= kept.madeAtMs && nowMs < kept.madeAtMs + renewAfterMs)
      return kept.header;
    const { publicKey, contact } = this.#settings;
    const token = signedJwt(
      'ES256',
      this.#key,
      {},
      {
        aud: origin,
        exp: Math.floor((nowMs + validMs) / 1000),
        ...(contact !== undefined && { sub: contact }),
      },
    );
    const header = `vapid t=${token}, k=${publicKey}`;
    this.#headers.delete(origin);
    this.#headers.set(origin, { header, madeAtMs: nowMs });
    const [oldest] = this.#headers.keys();
    if (this.#headers.size > originsKept && oldest !== undefined) this.#headers.delete(oldest);
    return header;
  }
}
