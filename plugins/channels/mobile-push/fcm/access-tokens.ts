import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../../../src/core/ambient.ts';
import { codes, DeliveryError } from '../../../../src/core/channel.ts';
import { type Answer, exchange } from '../../http/exchange.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import { signedJwt } from '../../push/signed-jwt.ts';

/** What of a Google service account's file is needed. */
export interface ServiceAccount {
  readonly clientEmail: string;
  /** PEM. */
  readonly privateKey: string;
  readonly tokenUri: string | undefined;
}

interface AccessToken {
  readonly text: string;
  readonly renewAtMs: number;
}

const googleTokenUri = 'https://oauth2.googleapis.com/token';
const scope = 'https://www.googleapis.com/auth/firebase.messaging';
const jwtGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const assertionSeconds = 3_600;
/** A token is renewed this long before it ends. */
const earlyMs = 300_000;
/** The time limit of a renewal, which serves many attempts and so ends with none of them. */
const timeoutMs = 10_000;

/**
 * Access tokens of a service account (RFC 7523 §2.1; developers.google.com/identity/protocols/oauth2/service-account). One is kept
 * until it ends, and asked for once however many attempts wait for it.
 *
 * By hand, because google-auth-library 10 asks Google whatever `token_uri` says, and its errors carry the signed assertion.
 */
export class AccessTokens {
  readonly #account: ServiceAccount;
  readonly #key: KeyObject;
  readonly #http: Dispatcher;
  readonly #clock: Clock;
  #current: AccessToken | undefined;
  #renewal: Promise<AccessToken> | undefined;

  constructor(account: ServiceAccount, http: Dispatcher, clock: Clock) {
    this.#account = account;
    this.#key = createPrivateKey(account.privateKey);
    this.#http = http;
    this.#clock = clock;
  }

  /** @throws DeliveryError */
  async get(signal: AbortSignal): Promise<string> {
    if (signal.aborted) throw interrupted();
    if (this.#current !== undefined && this.#clock.now() < this.#current.renewAtMs) return this.#current.text;
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = () => reject(interrupted());
    signal.addEventListener('abort', abort, { once: true });
    try {
      return (await Promise.race([this.#renewal, aborted])).text;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Forgets a token that was not accepted, unless it has been replaced meanwhile. */
  drop(text: string): void {
    if (this.#current?.text === text) this.#current = undefined;
  }

  async #renew(): Promise<AccessToken> {
    const { clientEmail, tokenUri = googleTokenUri } = this.#account;
    const nowMs = this.#clock.now();
    const iat = Math.floor(nowMs / 1000);
    const claims = { iss: clientEmail, scope, aud: tokenUri, iat, exp: iat + assertionSeconds };
    const assertion = signedJwt('RS256', this.#key, {}, claims);
    const late = new AbortController();
    const cancel = this.#clock.after(timeoutMs, () => late.abort());
    try {
      const answer = await exchange(this.#http, {
        url: new URL(tokenUri),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ grant_type: jwtGrant, assertion }).toString(),
        signal: late.signal,
      });
      const { token, seconds } = tokenOf(answer, this.#clock.now());
      const lifeMs = seconds * 1000;
      // a token that lives for less than that is kept for half of its life
      const renewAtMs = nowMs + Math.max(lifeMs - earlyMs, lifeMs / 2);
      this.#current = { text: token, renewAtMs };
      return this.#current;
    } finally {
      cancel();
    }
  }
}

/** @throws DeliveryError; what the answer says is not quoted */
function tokenOf(answer: Answer, nowMs: number): { token: string; seconds: number } {
  const { status, headers, body } = answer;
  if (status === 200) {
    const { access_token: token, expires_in: seconds } = objectOf(body);
    if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token))
      return { token, seconds: typeof seconds === 'number' && seconds > 0 ? seconds : assertionSeconds };
    throw new DeliveryError('no_access_token', 'the token endpoint answered without an access token', {
      retryable: true,
    });
  }
  if (status >= 500 || status === 408 || status === 429) {
    const after = retryAfterMs(headers, nowMs);
    throw new DeliveryError(`http_${status}`, `the token endpoint answered ${status}`, {
      retryable: true,
      ...(after !== undefined && { retryAfterMs: after }),
    });
  }
  throw new DeliveryError(
    codes.credentialsRejected,
    `the token endpoint answered ${status}: it does not accept the service account, or this machine's clock is wrong`,
    { retryable: true },
  );
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const interrupted = () =>
  new DeliveryError(codes.interrupted, 'the attempt was aborted before the answer came', { retryable: true });
