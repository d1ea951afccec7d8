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
