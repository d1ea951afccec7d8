import { isUuid } from '../ambient.ts';
import type { Receipt } from './receipt.ts';

/** Which delivery a message is of. It travels with the message, and comes back with what the provider says of it. */
export type Marked = Pick<Receipt, 'tenantId' | 'id' | 'deliveryId'>;

/** A delivery's marks: texts of letters, digits, - and _, which every provider takes and no proxy rewrites. */
export interface Marks {
  /** base64url of its UTF-8. */
  readonly tenant: string;
  readonly item: string;
  readonly delivery: string;
}

export const marksOf = ({ tenantId, id, deliveryId }: Marked): Marks => ({
  tenant: Buffer.from(tenantId, 'utf8').toString('base64url'),
  item: id,
  delivery: deliveryId,
});

/** The delivery of some marks; undefined where they are not ours. */
export function readMarks({ tenant, item, delivery }: Record<keyof Marks, unknown>): Marked | undefined {
  if (typeof tenant !== 'string' || typeof item !== 'string' || typeof delivery !== 'string')
    return undefined;
  const tenantId = Buffer.from(tenant, 'base64url').toString('utf8');
  if (tenantId === '' || Buffer.from(tenantId, 'utf8').toString('base64url') !== tenant) return undefined;
  if (tenantId.includes('\0') || !isUuid(item) || !isUuid(delivery)) return undefined;
  return { tenantId, id: item, deliveryId: delivery };
}
