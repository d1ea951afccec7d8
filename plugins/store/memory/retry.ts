import type { Delivery } from '../../../src/core/glossary.ts';
import type { Retry } from '../../../src/core/outbox.ts';
import type { MemoryOutbox } from './outbox.ts';
import { replaceDelivery } from './row-deliveries.ts';
import type { Tables } from './tables.ts';

/** Makes deliveries due again that have failed for good, see Outbox.retryDeliveries. @returns how many */
export function retryDeliveries(tables: Tables, retry: Retry): number {
  const { outbox, inboxes } = tables;
  const chosen = tables
    .rowsOf(retry.tenantId)
    .flatMap((row) =>
      row.deliveries
        .filter((delivery) => mayRetry(outbox, delivery, retry))
        .map((delivery) => ({ row, delivery })),
    );
  const spacingMs = Math.min(retry.spacingMs, Math.floor(retry.longestMs / chosen.length));
  chosen.forEach(({ row, delivery }, i) => {
    const dueAtMs = retry.atMs + BigInt(i * spacingMs);
    const again = { ...delivery, status: 'pending' as const, reason: '', dueAtMs, firstDueAtMs: dueAtMs };
    const inbox = inboxes.get(row.owner);
    if (inbox !== undefined) replaceDelivery(inbox, row, again);
    outbox.settle(again);
  });
  return chosen.length;
}

function mayRetry(outbox: MemoryOutbox, delivery: Delivery, retry: Retry): boolean {
  const { status, channel, provider, destination } = delivery;
  if (status !== 'failed' || destination === '' || provider === '') return false;
  if ('ids' in retry) return retry.ids.some((id) => id.toLowerCase() === delivery.id);
  const failedAtMs = outbox.settledAtMs(delivery.id);
  return (
    channel === retry.channel &&
    (retry.provider === '' || retry.provider === provider) &&
    failedAtMs >= retry.sinceMs &&
    (retry.untilMs === 0n || failedAtMs < retry.untilMs)
  );
}
