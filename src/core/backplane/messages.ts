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
  /** One of the parts of a message that does not fit into a text; the next one follows at once. */
  | {
      readonly kind: 'part';
      /** Which one, from 0 on. */
      readonly at: number;
      readonly of: number;
      /** In base64. */
      readonly bytes: string;
    }
  /** The sender wants to know whom somebody holds; '' asks everybody. */
  | { readonly kind: 'hello'; readonly to: string };

export const encodeMessage = (message: Message): string => JSON.stringify(message);

/** What a message threw that is not as it should be. It has no stack: a message costs the same whatever is in it. */
export class Malformed {
  readonly message = 'a message has a field that is missing or of the wrong type';
}
const malformed = new Malformed();

/**
 * Checks every field, since another version or somebody else may have sent it, and takes only the known ones.
 * @param value parsed JSON
 * @returns undefined for a kind of message that this version does not know
 * @throws Malformed where a field is missing or of the wrong type
 */
export function readMessage(value: unknown): Message | undefined {
  const given = fieldsOf(value);
  switch (given.kind) {
    case 'due':
      return { kind: 'due' };
    case 'item':
    case 'erased':
      return { kind: given.kind, owner: readOwner(given.owner), position: readCount(given.position) };
    case 'inbox':
      return {
        kind: 'inbox',
        owner: readOwner(given.owner),
        change: readInboxNews(given.change),
      };
    case 'hint':
      return {
        kind: 'hint',
        owners: listOf(given.owners).map((owner) => readOwner(owner)),
        hint: readHint(given.hint),
      };
    case 'ack':
      return {
        kind: 'ack',
        owner: readOwner(given.owner),
        sessionId: readText(given.sessionId),
        idempotencyKey: readText(given.idempotencyKey),
      };
    case 'taken':
      return { kind: 'taken', ids: readTexts(given.ids) };
    case 'presence':
      return {
        kind: 'presence',
        users: listOf(given.users).map((user) => readHeld(user)),
        ...(given.first === true && { first: true }),
        ...(given.last === true && { last: true }),
      };
    case 'hello':
      return { kind: 'hello', to: readText(given.to) };
    case 'part': {
      const { at, of, bytes } = given;
      return { kind: 'part', at: readCount(at), of: readCount(of), bytes: readText(bytes) };
    }
    default:
      return undefined;
  }
}

function readText(value: unknown): string {
  if (typeof value !== 'string') throw malformed;
  return value;
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

const readTexts = (value: unknown): readonly string[] => listOf(value).map((one) => readText(one));

function readOwner(value: unknown): UserKey {
  const { tenantId, userId } = fieldsOf(value);
  return { tenantId: readText(tenantId), userId: readText(userId) };
}

function readHeld(value: unknown): readonly [string, number] {
  const [key, count] = listOf(value);
  return [readText(key), readCount(count)];
}

function readHint(value: unknown): Hint {
  const { idempotencyKey, subjectRef, subjectType } = fieldsOf(value);
  return {
    idempotencyKey: readText(idempotencyKey),
    subjectRef: readText(subjectRef),
    subjectType: readText(subjectType),
  };
}

/** What has been updated is never sent: other replicas read it from the store. */
function readInboxNews(value: unknown): InboxNews {
  const { summary, readIds, unreadIds, removedIds, readUpToPosition } = fieldsOf(value);
  const { unreadCount, unseenCount, version } = fieldsOf(summary);
  return {
    summary: {
      unreadCount: readCount(unreadCount),
      unseenCount: readCount(unseenCount),
      version: readCount(version),
    },
    ...(readIds !== undefined && { readIds: readTexts(readIds) }),
    ...(unreadIds !== undefined && { unreadIds: readTexts(unreadIds) }),
    ...(removedIds !== undefined && { removedIds: readTexts(removedIds) }),
    ...(readUpToPosition !== undefined && { readUpToPosition: readCount(readUpToPosition) }),
  };
}
