import { NotifyError } from '../errors.ts';
import type { Receipt } from './receipt.ts';

/** What a provider has posted to this service. */
export interface Callback {
  /** Path and query, as they came. */
  readonly target: string;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

/** Knows a provider's callbacks. A capability of its ChannelProvider. */
export interface ReceiptReader {
  /**
   * Makes sure that the provider says it, and that it says it now, before anything else.
   * @returns what there is to record; callbacks tell many things that are not
   * @throws NotifyError unauthenticated: it is not signed; permission_denied: the signature is wrong, or too old; invalid_argument: it
   *   is signed and cannot be read; unavailable: it cannot be checked at the moment
   */
  read(callback: Callback): Promise<readonly Receipt[]>;
}

/** The header of a callback; '' where there is none, or several. */
export function headerOf({ headers }: Callback, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}

/** A callback without the signature that its provider puts there. */
export const unsigned = (where: string): NotifyError =>
  new NotifyError('unauthenticated', `the callback is not signed: it has no ${where}`);

/** A callback whose signature says nothing. */
export const refused = (why: string): NotifyError => new NotifyError('permission_denied', why);

/** A callback that the provider has signed, of another form than it documents. */
export const unreadable = (form: string): NotifyError =>
  new NotifyError('invalid_argument', `the callback is not ${form}`);

/** How far in the future a provider's clock may be, in milliseconds. */
const clockSkewMs = 300_000;

/**
 * Keeps out callbacks that somebody has kept.
 * @param signedAtMs what the signature covers
 * @param nowMs this machine's time
 * @param forMs how old one may be, in milliseconds
 * @throws NotifyError permission_denied
 */
export function checkAge(signedAtMs: number, nowMs: number, forMs: number): void {
  if (nowMs - signedAtMs <= forMs && signedAtMs - nowMs <= clockSkewMs) return;
  throw refused("the callback's time is not now; is this server's clock right?");
}
