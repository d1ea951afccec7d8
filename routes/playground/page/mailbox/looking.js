import { backoff } from '../backoff.js';
import { ask } from '../calls.js';
import { shorten } from '../dom.js';
import { channelLabel, hasMailbox } from '../send/channels.js';
import { announce } from '../telling.js';
import { renderMail } from './list.js';
import { mailbox, outcomes } from './mailbox.js';
import { renderOutages } from './outages.js';

const lookEveryMs = 1_000;

let timer;
let isLooking = false;
let failures = 0;

/** Asks what is new, and again a moment later. A tab that nobody sees asks for nothing. */
export async function lookAtMailbox() {
  if (!hasMailbox || isLooking) return;
  clearTimeout(timer);
  isLooking = true;
  try {
    if (!document.hidden) {
      const query = new URLSearchParams({ after: mailbox.cursor });
      takeMail(await ask('GET', `/dev/test-provider?${query}`));
      failures = 0;
    }
  } catch {
    // the stream says that the server is away
    failures += 1;
  } finally {
    isLooking = false;
    timer = setTimeout(lookAtMailbox, failures > 0 ? backoff(failures) : lookEveryMs);
  }
}

function takeMail({ cursor, oldest, messages, channels }) {
  // another process answers: its numbers begin anew
  const isSame = cursor.split('.')[0] === mailbox.cursor.split('.')[0];
  const isFirst = mailbox.cursor === '';
  if (!isSame) mailbox.messages.clear();
  mailbox.cursor = cursor;
  for (const message of messages) mailbox.messages.set(message.number, message);
  for (const number of mailbox.messages.keys()) if (number < oldest) mailbox.messages.delete(number);
  if (JSON.stringify(mailbox.channels) !== JSON.stringify(channels)) {
    mailbox.channels = channels;
    renderOutages();
  }
  if (!isFirst)
    for (const { channel, destination, outcome } of messages)
      if (outcome !== 'waiting')
        announce(`${channelLabel(channel)} to ${shorten(destination, 60)}: ${outcomes[outcome].word}`);
  renderMail();
}
