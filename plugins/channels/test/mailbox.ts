import type { ChannelMessage } from '../../../src/core/channel.ts';
import type { Channel } from '../../../src/core/glossary.ts';

/**
 * What became of one request to send: `waiting` (not answered yet), `accepted`, `failed` (for the moment), `refused` (for good)
 * or `aborted` (the caller waited no longer). `captured`: the sandbox kept it, in front of whatever provider.
 */
export type TestOutcome = 'waiting' | 'accepted' | 'failed' | 'refused' | 'aborted' | 'captured';

/** One request to send, as the test provider got it. A delivery that is tried again comes again. */
export interface TestMessage {
  /** Counts up from 1 in each process. */
  readonly number: number;
  readonly atMs: number;
  readonly channel: Channel;
  readonly tenantId: string;
  readonly userId: string;
  readonly notificationId: string;
  readonly destination: string;
  readonly title: string;
  readonly body: string;
  readonly type: string;
  readonly actionUrl: string;
  /** The delivery's id: the same at every try. */
  readonly idempotencyKey: string;
  readonly outcome: TestOutcome;
}

/** What a mailbox takes of a message; the number and the outcome are its own. */
export type NewTestMessage = Omit<TestMessage, 'number' | 'outcome'>;

/** A message as a mailbox takes it, with the words of its channel where it has its own. */
export function letterOf(
  channel: Channel,
  { tenantId, userId, destination, content, rendered }: ChannelMessage,
  idempotencyKey: string,
  atMs: number,
): NewTestMessage {
  const { notificationId, title, body, type, actionUrl = '' } = content;
  return {
    ...{ atMs, channel, tenantId, userId, notificationId, destination, type, actionUrl, idempotencyKey },
    title: rendered?.subject || title,
    body: rendered?.body || body,
  };
}

/** What has changed in a mailbox since somebody looked. */
export interface MailboxChanges {
  /** For the next look. */
  readonly cursor: string;
  /** Messages below this number are gone. */
  readonly oldest: number;
  /** Those that are new or have a new outcome, newest first. */
  readonly messages: readonly TestMessage[];
}

export interface MailboxLimits {
  readonly messages: number;
  /** Of all texts together. The newest message stays, whatever its size. */
  readonly characters: number;
}

const defaultLimits: MailboxLimits = { messages: 200, characters: 4_000_000 };

interface Kept {
  message: TestMessage;
  readonly characters: number;
  /** The change that this message was part of last. */
  changedAt: number;
}

/** The last messages that test providers were given, in a bounded number of characters. */
export class TestMailbox {
  readonly #limits: MailboxLimits;
  /** Tells the cursors of this process from those of the one before. */
  readonly #run: string;
  /** Oldest first. */
  readonly #kept = new Map<number, Kept>();
  #characters = 0;
  #last = 0;
  #changes = 0;

  /** @param run differs from start to start */
  constructor(run: string, limits: MailboxLimits = defaultLimits) {
    this.#run = run;
    this.#limits = limits;
  }

  /** @returns says what became of it; harmless once it is gone */
  add(taken: NewTestMessage): (outcome: TestOutcome) => void {
    this.#last += 1;
    const number = this.#last;
    const message: TestMessage = { ...taken, number, outcome: 'waiting' };
    const kept: Kept = { message, characters: charactersOf(taken), changedAt: this.#changed() };
    this.#kept.set(number, kept);
    this.#characters += kept.characters;
    this.#makeRoom();
    return (outcome) => {
      kept.message = { ...message, outcome };
      kept.changedAt = this.#changed();
    };
  }

  /** @param cursor of the last look; '' or an unknown one for all there is */
  changesSince(cursor: string): MailboxChanges {
    const [run, since] = cursor.split('.');
    const after = run === this.#run && since !== undefined ? Number(since) : 0;
    const [oldest = this.#last + 1] = this.#kept.keys();
    const messages = [...this.#kept.values()]
      // not a number: not one of our cursors
      .filter(({ changedAt }) => Number.isNaN(after) || changedAt > after)
      .map(({ message }) => message)
      .reverse();
    return { cursor: `${this.#run}.${this.#changes}`, oldest, messages };
  }

  /** Forgets all messages. */
  clear(): void {
    this.#kept.clear();
    this.#characters = 0;
  }

  #changed(): number {
    this.#changes += 1;
    return this.#changes;
  }

  #makeRoom(): void {
    for (const [number, { characters }] of this.#kept) {
      const { messages, characters: most } = this.#limits;
      const fits = this.#kept.size <= messages && this.#characters <= most;
      if (fits || this.#kept.size === 1) return;
      this.#kept.delete(number);
      this.#characters -= characters;
    }
  }
}

const charactersOf = (message: NewTestMessage): number =>
  Object.values(message).reduce<number>((sum, value) => sum + String(value).length, 0);
