import { type KeyObject, sign } from 'node:crypto';

/**
 * A JWT in compact form (RFC 7515 §3.1), as push services want it of a sender.
 * @param alg ES256 with a P-256 key, RS256 with an RSA one
 * @param claims times in seconds
 */
export function signedJwt(
  alg: 'ES256' | 'RS256',
  key: KeyObject,
  header: Readonly<Record<string, string>>,
  claims: Readonly<Record<string, string | number>>,
): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg, typ: 'JWT', ...header })}.${part(claims)}`;
  // RFC 7518 §3.4: the two numbers one after the other, not DER. RSA has no such choice and ignores it
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}
