/** Types of credentials. Nothing here quotes what it reads, and no cause is kept: causes quote too. */
import { createECDH, createPrivateKey, createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { InvalidValue } from './invalid.ts';
import { parsePostgresDsn } from './postgres-dsn.ts';
import { fromText, split, url } from './types.ts';

/** A Postgres URL, or libpq's keywords and values, as it was written. */
export const postgresDsn = fromText((value) => {
  parsePostgresDsn(value);
  return value;
});

/**
 * One or two Standard Webhooks secrets, comma separated; the second is the one that is being rotated out or
 * in.
 */
export const webhookSecrets = fromText((value): readonly string[] => {
  const secrets = split(value);
  for (const secret of secrets) {
    const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
    const bytes = Buffer.from(base64, 'base64').length;
    if (bytes < 24 || bytes > 64) {
      throw new InvalidValue(
        'must be whsec_ and the base64 of 24 to 64 bytes; make one with: ' +
          'echo "whsec_$(openssl rand -base64 32)"',
      );
    }
  }
  if (secrets.length > 2) throw new InvalidValue('has more than two secrets; remove the oldest');
  return secrets;
});

/** Public keys of SendGrid's event webhook: P-256, base64 of their SPKI, comma separated. */
export const sendGridWebhookKeys = fromText((value): readonly string[] => {
  const keys = split(value);
  for (const key of keys)
    if (!isP256Spki(key))
      throw new InvalidValue('must be the verification key that SendGrid shows, which begins with MFkwEwYH');
  return keys;
});

function isP256Spki(key: string): boolean {
  try {
    const { asymmetricKeyDetails } = createPublicKey({
      key: Buffer.from(key, 'base64'),
      format: 'der',
      type: 'spki',
    });
    return asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch {
    return false;
  }
}

/** A P-256 public point, uncompressed: 65 bytes, 87 base64url characters. */
export const vapidPublicKey = base64url(65);
/** A P-256 private key: 32 bytes, 43 base64url characters. */
export const vapidPrivateKey = base64url(32);

/** Whether the two belong together; a push service answers 403 to every message if they do not. */
export function isVapidPair(publicKey: string, privateKey: string): boolean {
  const ecdh = createECDH('prime256v1');
  try {
    ecdh.setPrivateKey(Buffer.from(privateKey, 'base64url'));
  } catch {
    return false;
  }
  return ecdh.getPublicKey('base64url') === publicKey;
}

/**
 * Who a push service may write to (RFC 8292 §2.1), as a mailto: or https: URL. A bare address becomes
 * mailto:.
 */
export const vapidContact = fromText((value) => {
  const contact = /^[^\s@:/]+@[^\s@:/]+$/.test(value) ? `mailto:${value}` : value;
  if (/^mailto:[^\s@]+@[^\s@]+$/i.test(contact) || url('https').safeParse(contact).success) return contact;
  throw new InvalidValue('must be an address such as ops@example.com, a mailto: or an https: URL');
});

const member = z.string().min(1);
const serviceAccount = z.object({
  client_email: member,
  private_key: member,
  project_id: member.optional(),
  token_uri: z.url({ protocol: /^https?$/ }).optional(),
});

/** A Google service account's JSON file. */
export const fcmCredentials = fromText((value) => {
  const parsed = serviceAccount.safeParse(jsonOf(value));
  if (!parsed.success) {
    const members = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.')))].filter(Boolean);
    const wrong = members.length === 0 ? 'is no JSON object' : `lacks a usable ${members.join(' and ')}`;
    throw new InvalidValue(`${wrong}; use the service account's JSON file as Google made it`);
  }
  const { client_email, private_key, project_id, token_uri } = parsed.data;
  return {
    clientEmail: client_email,
    /** PEM. */
    privateKey: pem(private_key, 'rsa', 'private_key'),
    projectId: project_id,
    /** Where access tokens are asked for; Google's own when undefined. */
    tokenUri: token_uri,
  };
});

/** The project that a service account belongs to, if its file says. */
export function projectIdOf(credentials: string): string | undefined {
  const parsed = z.object({ project_id: member }).safeParse(jsonOf(credentials));
  return parsed.data?.project_id;
}

/** The text of a .p8 file; its line breaks may be written as \n. */
export const apnsKey = fromText((value) => pem(value.replaceAll('\\n', '\n'), 'ec', 'the .p8 file'));

function base64url(bytes: number): z.ZodType<string, string> {
  return fromText((value) => {
    if (/^[A-Za-z0-9_-]+$/.test(value) && Buffer.from(value, 'base64url').length === bytes) return value;
    throw new InvalidValue(`must be ${bytes} bytes as base64url without =; make a pair with: npm run vapid`);
  });
}

function pem(value: string, type: 'ec' | 'rsa', what: string): string {
  try {
    if (createPrivateKey(value).asymmetricKeyType === type) return value;
  } catch {
    // said below
  }
  throw new InvalidValue(
    `${what} is no readable ${type.toUpperCase()} private key in PEM; are its line breaks still there?`,
  );
}

function jsonOf(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
