import type { Delivery } from '../../src/core/glossary.ts';
import type { Outcome } from '../../src/core/outbox.ts';
import type { KeptReceipt, Receipt } from '../../src/core/receipts/receipt.ts';

/** What a receipt said is lost while an attempt was under way: it waits for the outcome, see ReceiptLog. */
export type Loss = Pick<KeptReceipt, 'provider' | 'providerMessageId' | 'reason'>;

/** A message as its provider knows it; '' where the id is not known. */
type Message = Pick<Delivery, 'provider' | 'providerMessageId'>;

/** Whether a loss may be of a message: it is, unless both say which they mean. */
export function mayBeOf(loss: Pick<Loss, 'provider' | 'providerMessageId'>, message: Message): boolean {
  if (loss.provider !== message.provider) return false;
  const { providerMessageId: said = '' } = loss;
  return said === '' || message.providerMessageId === '' || said === message.providerMessageId;
}

/** Of the losses that waited for an outcome, in their order, the one that decides it; undefined: none does. */
export function decisiveLoss(losses: readonly Loss[], outcome: Outcome): Loss | undefined {
  if (outcome.status !== 'delivered') return losses[0];
  const { providerMessageId, attempts } = outcome;
  const taken = { provider: attempts.at(-1)?.provider ?? '', providerMessageId };
  return losses.find((loss) => mayBeOf(loss, taken));
}

/** Whether the log has a loss already: of the message that it names, which a provider may say again at another time, or word for word. */
export function isRepeated(
  log: readonly KeptReceipt[],
  { providerMessageId = '', ...receipt }: Receipt,
): boolean {
  if (receipt.kind !== 'lost') return false;
  return log.some((kept) => {
    if (kept.kind !== 'lost' || kept.provider !== receipt.provider) return false;
    if ((kept.providerMessageId ?? '') !== providerMessageId) return false;
    if (providerMessageId !== '') return true;
    return kept.atMs === receipt.atMs && kept.reason === receipt.reason && kept.detail === receipt.detail;
  });
}
