import { isUuid } from '../ambient.ts';
import type { Receipt } from './receipt.ts';

/** Which delivery a message is of. It travels with the message, and comes back with what the provider says of it. */
export type Tagged = Pick<Receipt, 'tenantId' | 'id' | 'deliveryId'>;

/** A delivery's tags: texts of letters, digits, - and _, which every provider takes and no proxy rewrites. */
export interface Tags {
  /** base64url of its UTF-8. */
  readonly tenant: string;
  readonly item: string;
  readonly delivery: string;
}

export const tagsOf = ({ tenantId, id, deliveryId }: Tagged): Tags => ({
  tenant: Buffer.from(tenantId, 'utf8').toString('base64url'),
  item: id,
  delivery: deliveryId,
});

/** The delivery of some tags; undefined where they are not ours. */
export function readTags({ tenant, item, delivery }: Record<keyof Tags, unknown>): Tagged | undefined {
  if (typeof tenant !== 'string' || typeof item !== 'string' || typeof delivery !== 'string')
    return undefined;
  const tenantId = Buffer.from(tenant, 'base64url').toString('utf8');
  if (tenantId === '' || Buffer.from(tenantId, 'utf8').toString('base64url') !== tenant) return undefined;
  if (tenantId.includes('\0') || !isUuid(item) || !isUuid(delivery)) return undefined;
  return { tenantId, id: item, deliveryId: delivery };
}
