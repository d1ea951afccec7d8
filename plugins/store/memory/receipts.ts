import type { Receipt, ReceivedDelivery } from '../../../src/core/receipts/receipt.ts';
import { afterReceipt, isKept } from '../deliveries.ts';
import { isRepeated } from '../losses.ts';
import { deliveryOf, replaceDelivery } from './row-deliveries.ts';
import type { Tables } from './tables.ts';

/** See ReceiptLog. */
export function recordReceipt({ inboxes, outbox }: Tables, receipt: Receipt): ReceivedDelivery | undefined {
  const deliveryId = receipt.deliveryId.toLowerCase();
  const ref = outbox.find(deliveryId);
  if (ref?.tenantId !== receipt.tenantId || ref.id !== receipt.id.toLowerCase()) return undefined;
  const inbox = inboxes.get(ref);
  const row = inbox?.row(ref.id);
  const before = row && deliveryOf(row, deliveryId);
  if (inbox === undefined || row === undefined || before?.channel !== receipt.channel) return undefined;
  const known = { destination: before.destination };
  if (isRepeated(outbox.receipts(deliveryId), receipt)) return known;
  const isUnderWay = outbox.isLeased(deliveryId);
  if (isUnderWay && before.status === 'pending' && receipt.kind === 'lost') {
    outbox.withhold(deliveryId, receipt);
    return known;
  }
  const after = afterReceipt(before, receipt, isUnderWay);
  if (after !== before) replaceDelivery(inbox, row, after);
  if (isKept(before, after)) outbox.receive(after, receipt, after.status !== before.status);
  return known;
}
