import type { UserKey } from '../glossary.ts';
import type { Hint, InboxNews } from '../live/events.ts';

/** What replicas say to each other. */
export type Message =
  /** Deliveries are due that the sender does not attempt itself. */
  | { readonly kind: 'due' }
  | { readonly kind: 'item'; readonly owner: UserKey; readonly position: number }
  | { readonly kind: 'inbox'; readonly owner: UserKey; readonly change: InboxNews }
  | { readonly kind: 'erased'; readonly owner: UserKey; readonly position: number }
  | { readonly kind: 'hint'; readonly owners: readonly UserKey[]; readonly hint: Hint }
  | {
      readonly kind: 'ack';
      readonly owner: UserKey;
      readonly sessionId: string;
      readonly idempotencyKey: string;
    }
  | { readonly kind: 'taken'; readonly ids: readonly string[] }
  /**
   * Users, by their hash, whose number of sessions at the sender is this now. A list of all of them comes in parts, of which
   * one is the `first` and one the `last`.
   */
  | {
      readonly kind: 'presence';
      readonly users: readonly (readonly [string, number])[];
      readonly first?: true;
      readonly last?: true;
    }
  /** The sender wants to know whom somebody holds; '' asks everybody. */
  | { readonly kind: 'hello'; readonly to: string };

/** A character takes at most this many bytes in JSON for each that it takes in UTF-8: `\u0001`. */
const longestEscape = 6;

/**
 * A message as JSON. Ids may be full of characters that JSON escapes: one that grows too long by that has its texts in base64, in
 * which ids of the allowed length always fit.
 * @param maxBytes of UTF-8
 * @returns undefined when it is longer in either form
 */
export function encodeMessage(message: Message, maxBytes: number): string | undefined {
  const json = JSON.stringify(message);
  const bytes = Buffer.byteLength(json);
  if (bytes <= maxBytes) return json;
  if (bytes > longestEscape * maxBytes) return undefined;
  const inBase64 = JSON.stringify({ kind: 'base64', message }, (key, value: unknown) =>
    typeof value === 'string' && key !== 'kind' ? Buffer.from(value).toString('base64') : value,
  );
  return inBase64.length <= maxBytes ? inBase64 : undefined;
}

/**
 * Checks every field, since another version or somebody else may have sent it, and takes only the known ones.
 * @param value parsed JSON
 * @returns undefined for a kind of message that this version does not know
 * @throws Malformed where a field is missing or of the wrong type
 */
export const readMessage = (value: unknown): Message | undefined => read(value, plainText);

/** What a message threw that is not as it should be. It has no stack: a message costs the same whatever is in it. */
export class Malformed {
  readonly message = 'a message has a field that is missing or of the wrong type';
}
const malformed = new Malformed();

/** Takes a text as it was written. */
type ReadText = (value: unknown) => string;

const plainText: ReadText = (value) => {
  if (typeof value !== 'string') throw malformed;
  return value;
};

const base64Text: ReadText = (value) => Buffer.from(plainText(value), 'base64').toString();

function read(value: unknown, text: ReadText): Message | undefined {
  const given = fieldsOf(value);
  switch (given.kind) {
    case 'due':
      return { kind: 'due' };
    case 'item':
    case 'erased':
      return { kind: given.kind, owner: readOwner(given.owner, text), position: readCount(given.position) };
    case 'inbox':
      return {
        kind: 'inbox',
        owner: readOwner(given.owner, text),
        change: readInboxNews(given.change, text),
      };
    case 'hint':
      return {
        kind: 'hint',
        owners: listOf(given.owners).map((owner) => readOwner(owner, text)),
        hint: readHint(given.hint, text),
      };
    case 'ack':
      return {
        kind: 'ack',
        owner: readOwner(given.owner, text),
        sessionId: text(given.sessionId),
        idempotencyKey: text(given.idempotencyKey),
      };
    case 'taken':
      return { kind: 'taken', ids: readTexts(given.ids, text) };
    case 'presence':
      return {
        kind: 'presence',
        users: listOf(given.users).map((user) => readHeld(user, text)),
        ...(given.first === true && { first: true }),
        ...(given.last === true && { last: true }),
      };
    case 'hello':
      return { kind: 'hello', to: text(given.to) };
    case 'base64':
      if (text === base64Text) throw malformed;
      return read(given.message, base64Text);
    default:
      return undefined;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw malformed;
  return value as Fields;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed;
  return value;
}

function readCount(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw malformed;
  return value as number;
}

const readTexts = (value: unknown, text: ReadText): readonly string[] => listOf(value).map(text);

function readOwner(value: unknown, text: ReadText): UserKey {
  const { tenantId, userId } = fieldsOf(value);
  return { tenantId: text(tenantId), userId: text(userId) };
}

function readHeld(value: unknown, text: ReadText): readonly [string, number] {
  const [key, count] = listOf(value);
  return [text(key), readCount(count)];
}

function readHint(value: unknown, text: ReadText): Hint {
  const { idempotencyKey, subjectRef, subjectType } = fieldsOf(value);
  return {
    idempotencyKey: text(idempotencyKey),
    subjectRef: text(subjectRef),
    subjectType: text(subjectType),
  };
}

/** What has been updated is never sent: other replicas read it from the store. */
function readInboxNews(value: unknown, text: ReadText): InboxNews {
  const { summary, readIds, unreadIds, removedIds, readUpToPosition } = fieldsOf(value);
  const { unreadCount, unseenCount, version } = fieldsOf(summary);
  return {
    summary: {
      unreadCount: readCount(unreadCount),
      unseenCount: readCount(unseenCount),
      version: readCount(version),
    },
    ...(readIds !== undefined && { readIds: readTexts(readIds, text) }),
    ...(unreadIds !== undefined && { unreadIds: readTexts(unreadIds, text) }),
    ...(removedIds !== undefined && { removedIds: readTexts(removedIds, text) }),
    ...(readUpToPosition !== undefined && { readUpToPosition: readCount(readUpToPosition) }),
  };
}
