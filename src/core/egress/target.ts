import { codes } from '../channel.ts';
import type { AddressRules } from './address.ts';
import { EgressRefused } from './refused.ts';

/** How many connections one server that somebody else chose gets at once. */
export const connectionsPerServer = 8;

export interface EgressRules {
  readonly addresses: AddressRules;
  /** Whether plain http will do, for addresses that the operator made an exception for. */
  readonly allowHttp: boolean;
}

/**
 * Reads a URL that somebody else chose. The addresses behind a host name are checked when it is connected to.
 * @throws EgressRefused
 */
export function egressTarget(text: string, { addresses, allowHttp }: EgressRules): URL {
  // a parser drops some of these without a word (WHATWG URL §4.4), and then the URL is another than was signed
  if (/[\p{Cc}\s]/u.test(text)) throw invalid('has spaces or control characters in it');
  const url = URL.parse(text);
  if (url === null) throw invalid('is no absolute URL');
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:')) throw invalid('must be https');
  if (url.username !== '' || url.password !== '') throw invalid('must not hold a user or a password');
  const literal = literalAddress(url.hostname);
  if (literal !== undefined && !mayConnect(addresses, literal, url.protocol))
    throw EgressRefused.privateAddress();
  return url;
}

/** Whether an address may be connected to. @param protocol as in a URL */
export function mayConnect(addresses: AddressRules, address: string, protocol: string): boolean {
  const reach = addresses.reachOf(address);
  return protocol === 'http:' ? reach === 'allowed' : reach !== 'private';
}

/** The address that a URL's host is, if it is none to look up; a URL has IPv4 in its usual form by now. */
function literalAddress(hostname: string): string | undefined {
  if (hostname.startsWith('[')) return hostname.slice(1, -1);
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(hostname) ? hostname : undefined;
}

const invalid = (what: string): EgressRefused =>
  new EgressRefused(codes.invalidDestination, `the destination ${what}`);
