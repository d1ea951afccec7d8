import { make, setText, shorten, textShown } from '../dom.js';
import { tenant } from '../identity.js';
import { channelLabel } from '../send/channels.js';
import { absoluteTime, secondsTime } from '../times.js';
import { readAttempts } from './attempts.js';
import { outcomes } from './mailbox.js';

/** The elements of one delivery. They stay while it is shown. */
export function makeLetter({ channel, destination, userId, tenantId, title, body, idempotencyKey }) {
  const letter = {
    key: idempotencyKey,
    tenantId,
    tag: make('span', { className: 'tag', data: { testid: 'mail-outcome' } }),
    time: make('time', {}),
    summary: make('summary', { className: 'attempts-summary' }),
    status: make('p', { data: { testid: 'mail-status' } }),
    attempts: make('ol', { data: { testid: 'mail-attempts' } }),
    isPending: true,
  };
  const whose = tenantId === tenant ? userId : `${userId} of ${tenantId}`;
  letter.details = make(
    'details',
    { className: 'attempts', data: { testid: 'mail-details' } },
    letter.summary,
    letter.status,
    letter.attempts,
  );
  letter.element = make(
    'li',
    { className: 'mail', data: { testid: 'mail', channel, key: idempotencyKey } },
    make(
      'div',
      { className: 'mail-head' },
      letter.tag,
      make(
        'span',
        { className: 'mail-to' },
        `${channelLabel(channel)} to `,
        make('span', { data: { testid: 'mail-destination' } }, shorten(destination, 200)),
      ),
      letter.time,
    ),
    make('h3', { className: 'item-title', data: { testid: 'mail-title' } }, title || '(no title)'),
    make('p', { className: 'item-text', data: { testid: 'mail-body' } }, shorten(body, textShown)),
    make(
      'p',
      { className: 'meta' },
      make('span', {}, whose),
      make('span', { className: 'mono', title: 'The idempotency key: the delivery’s id' }, idempotencyKey),
    ),
    letter.details,
  );
  letter.details.addEventListener('toggle', () => letter.details.open && readAttempts(letter));
  return letter;
}

/** @param tries how often the message came */
export function updateLetter(letter, message, tries) {
  const { word, tone } = outcomes[message.outcome] ?? { word: message.outcome, tone: 'warn' };
  letter.element.dataset.outcome = message.outcome;
  letter.element.dataset.tries = String(tries);
  letter.tag.dataset.tone = tone;
  setText(letter.tag, word);
  const at = new Date(message.atMs);
  letter.time.dateTime = at.toISOString();
  letter.time.title = absoluteTime.format(at);
  setText(letter.time, secondsTime.format(at));
  setText(letter.summary, tries === 1 ? 'Attempts' : `Attempts: ${tries}`);
  const state = `${message.number} ${message.outcome}`;
  if (letter.details.open && (letter.isPending || state !== letter.state)) readAttempts(letter);
  letter.state = state;
}
