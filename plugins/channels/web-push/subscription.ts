import { ECDH } from 'node:crypto';
import { z } from 'zod';
import { codes, DeliveryError } from '../../../src/core/channel.ts';

/** Where a browser takes its messages (W3C Push API, PushSubscription.toJSON). */
export interface Subscription {
  /** A URL that the browser's push service chose: connect to it through the egress guard only. */
  readonly endpoint: string;
  readonly keys: {
    /** The browser's public key: a P-256 point, base64url. */
    readonly p256dh: string;
    /** 16 bytes, base64url. */
    readonly auth: string;
  };
}

const shape = z.object({
  endpoint: z.string().min(1),
  keys: z.object({
    p256dh: z.string().refine((key) => isPoint(key)),
    auth: z.string().refine((secret) => Buffer.from(secret, 'base64url').length === 16),
  }),
});

/**
 * Reads a destination of the channel.
 * @param text the PushSubscription as JSON, as a page registers it
 * @throws DeliveryError invalid_destination, which names what is wrong and quotes nothing
 */
export function subscriptionOf(text: string): Subscription {
  const parsed = shape.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const members = [...new Set(parsed.error.issues.map(({ path }) => path.join('.')))].filter(Boolean);
  const what = members.length === 0 ? 'it is no JSON object' : `it has no usable ${members.join(' and ')}`;
  throw new DeliveryError(codes.invalidDestination, `the destination is no PushSubscription: ${what}`, {
    retryable: false,
  });
}

/** The endpoint of a destination, without a look at its keys, which takes a hundred times as long; '' where there is none. */
export function endpointOf(text: string): string {
  const value = jsonOf(text);
  const isObject = typeof value === 'object' && value !== null && 'endpoint' in value;
  return isObject && typeof value.endpoint === 'string' ? value.endpoint : '';
}

/** Whether a key is a point of the curve: anything else cannot be encrypted for. */
function isPoint(key: string): boolean {
  const bytes = Buffer.from(key, 'base64url');
  if (bytes.length !== 65) return false;
  try {
    ECDH.convertKey(bytes, 'prime256v1');
    return true;
  } catch {
    return false;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
