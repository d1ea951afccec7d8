import { ask, describe } from '../calls.js';
import { enumWord, make, setText } from '../dom.js';
import { clockTime, dueWords } from '../times.js';

/** Shows what the delivery log says. */
export async function readAttempts(letter) {
  if (letter.isReading) return;
  letter.isReading = true;
  try {
    const query = new URLSearchParams({ tenant: letter.tenantId });
    const { delivery } = await ask('GET', `/dev/deliveries/${letter.key}?${query}`);
    letter.isPending = delivery.status === 'DELIVERY_STATUS_PENDING';
    const status = enumWord(delivery.status, 'DELIVERY_STATUS_');
    const reason = delivery.reason ? ` (${delivery.reason})` : '';
    letter.status.dataset.status = status;
    setText(letter.status, `Now ${status}${reason}${dueWords(delivery)}.`);
    const lines = delivery.attempts.map(({ startedAtMs, durationMs, status: outcome, reason: why, detail }) =>
      [
        clockTime.format(new Date(Number(startedAtMs))),
        `${enumWord(outcome, 'DELIVERY_STATUS_')}${why ? ` (${why})` : ''} after ${durationMs} ms`,
        detail,
      ]
        .filter(Boolean)
        .join(' · '),
    );
    if (lines.join('\n') !== letter.lines)
      letter.attempts.replaceChildren(...lines.map((line) => make('li', {}, line)));
    letter.lines = lines.join('\n');
  } catch (error) {
    letter.isPending = false;
    setText(
      letter.status,
      error.code === 'not_found' ? 'The store has no such delivery any more.' : describe(error),
    );
  } finally {
    letter.isReading = false;
  }
}
