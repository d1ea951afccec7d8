import type { Outcome } from '../../../src/core/outbox.ts';
import { afterOutcome } from '../deliveries.ts';
import { deliveryOf, replaceDelivery } from './row-deliveries.ts';
import type { Tables } from './tables.ts';

/** See Outbox.recordOutcomes. Nothing expires before: what a stream took in time is recorded a moment later. */
export function recordOutcome({ inboxes, outbox }: Tables, outcome: Outcome): boolean {
  if (!outbox.mayWrite(outcome)) return false;
  const inbox = inboxes.get(outcome);
  const row = inbox?.row(outcome.id);
  const before = row && deliveryOf(row, outcome.deliveryId);
  if (inbox === undefined || row === undefined || before === undefined) return false;
  const after = afterOutcome(before, outcome, outbox.losses(outcome.deliveryId));
  if (after === before) return false;
  replaceDelivery(inbox, row, after);
  outbox.settle(after, outcome.attempts, outcome.atMs);
  return true;
}
