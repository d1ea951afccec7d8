/** How many deliveries are shown at first. */
export const shownAtFirst = 8;

/** The test provider's messages, as far as they are known here. */
export const mailbox = {
  cursor: '',
  /** What the test provider was given, by number. */
  messages: new Map(),
  /** What the next messages meet, by channel. */
  channels: {},
  /** How many deliveries are shown. */
  most: shownAtFirst,
};

/** What may become of a message. */
export const outcomes = {
  waiting: { word: 'no answer yet', tone: 'warn' },
  accepted: { word: 'accepted', tone: 'good' },
  failed: { word: 'failed for now', tone: 'warn' },
  refused: { word: 'refused', tone: 'bad' },
  aborted: { word: 'given up waiting', tone: 'warn' },
  captured: { word: 'kept by the sandbox', tone: 'good' },
};

/** One entry for each delivery, the newest first: its last message, and how often it came. A retry moves nothing. */
export function deliveriesInMailbox() {
  const byKey = new Map();
  for (const message of [...mailbox.messages.values()].sort((a, b) => a.number - b.number)) {
    const known = byKey.get(message.idempotencyKey);
    if (known === undefined) byKey.set(message.idempotencyKey, { message, tries: 1 });
    else Object.assign(known, { message, tries: known.tries + 1 });
  }
  return [...byKey.values()].reverse();
}
