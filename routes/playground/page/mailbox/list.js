import { ask, describe } from '../calls.js';
import { arrange, byId, setText } from '../dom.js';
import { showNote } from '../telling.js';
import { makeLetter, updateLetter } from './letter.js';
import { deliveriesInMailbox, mailbox, shownAtFirst } from './mailbox.js';

/** The elements of the deliveries that are shown, by idempotency key. */
const letters = new Map();

/** Shows what has come. */
export function renderMail() {
  const all = deliveriesInMailbox();
  const shown = all.slice(0, mailbox.most);
  const keys = new Set(shown.map(({ message }) => message.idempotencyKey));
  for (const [key, letter] of letters) {
    if (keys.has(key)) continue;
    if (letter.element.contains(document.activeElement)) byId('mailbox-heading').focus();
    letter.element.remove();
    letters.delete(key);
  }
  const elements = shown.map(({ message, tries }) => {
    const letter = letters.get(message.idempotencyKey) ?? makeLetter(message);
    letters.set(message.idempotencyKey, letter);
    updateLetter(letter, message, tries);
    return letter.element;
  });
  arrange(byId('mail'), elements);
  const badge = byId('mail-count');
  badge.dataset.count = String(all.length);
  setText(badge, String(all.length));
  byId('mail-none').hidden = all.length > 0;
  byId('mail-more').hidden = all.length <= shown.length;
}

export function setUpMailList() {
  byId('mail-clear').onclick = clear;
  byId('mail-more-button').onclick = () => {
    const before = letters.size;
    mailbox.most += 20;
    renderMail();
    byId('mail').children[before]?.querySelector('summary')?.focus();
  };
}

async function clear() {
  try {
    await ask('DELETE', '/dev/test-provider/messages');
    mailbox.messages.clear();
    mailbox.most = shownAtFirst;
    renderMail();
    byId('mailbox-heading').focus({ preventScroll: true });
  } catch (error) {
    showNote(describe(error));
  }
}
