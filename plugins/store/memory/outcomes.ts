import type { Delivery } from '../../../src/core/glossary.ts';
import type { Outcome } from '../../../src/core/outbox.ts';
import type { Receipt, ReceivedDelivery } from '../../../src/core/receipts/receipt.ts';
import { afterOutcome, afterReceipt, isKept } from '../deliveries.ts';
import type { Row } from './row.ts';
import type { Tables } from './tables.ts';
import type { UserInbox } from './user-inbox.ts';

/** See Outbox.recordOutcomes. Nothing expires before: what a stream took in time is recorded a moment later. */
export function recordOutcome({ inboxes, outbox }: Tables, outcome: Outcome): boolean {
  if (!outbox.mayWrite(outcome)) return false;
  const inbox = inboxes.get(outcome);
  const row = inbox?.row(outcome.id);
  const before = row && deliveryOf(row, outcome.deliveryId);
  if (inbox === undefined || row === undefined || before === undefined) return false;
  const after = afterOutcome(before, outcome);
  if (after === before) return false;
  replaceDelivery(inbox, row, after);
  outbox.settle(after, outcome.attempts, outcome.atMs);
  return true;
}

/** See ReceiptLog. */
export function recordReceipt({ inboxes, outbox }: Tables, receipt: Receipt): ReceivedDelivery | undefined {
  const deliveryId = receipt.deliveryId.toLowerCase();
  const ref = outbox.find(deliveryId);
  if (ref?.tenantId !== receipt.tenantId || ref.id !== receipt.id.toLowerCase()) return undefined;
  const inbox = inboxes.get(ref);
  const row = inbox?.row(ref.id);
  const before = row && deliveryOf(row, deliveryId);
  if (inbox === undefined || row === undefined || before?.channel !== receipt.channel) return undefined;
  const after = afterReceipt(before, receipt);
  if (after !== before) replaceDelivery(inbox, row, after);
  if (isKept(before, after)) outbox.receive(after, receipt, after.status !== before.status);
  return { destination: before.destination };
}

const deliveryOf = (row: Row, deliveryId: string): Delivery | undefined =>
  row.deliveries.find((delivery) => delivery.id === deliveryId);

/** Replaces one delivery of a row. */
export function replaceDelivery(inbox: UserInbox, row: Row, delivery: Delivery): void {
  inbox.setDeliveries(
    row,
    row.deliveries.map((other) => (other.id === delivery.id ? delivery : other)),
  );
}
