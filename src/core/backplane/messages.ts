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

/** One text of a transport: who says it, its number among all of that sender, and the messages. */
export interface Envelope {
  readonly from: string;
  /** 0: none was sent before; a heartbeat repeats the last one. */
  readonly number: number;
  readonly messages: readonly Message[];
}

export const encodeEnvelope = (from: string, number: number, messages: readonly string[]): string =>
  `[${JSON.stringify(from)},${number},[${messages.join(',')}]]`;

export const encodeMessage = (message: Message): string => JSON.stringify(message);

/** @returns undefined for a text that no replica of this version sends */
export function decodeEnvelope(text: string): Envelope | undefined {
  try {
    const [from, number, messages] = JSON.parse(text) as [unknown, unknown, unknown];
    if (typeof from !== 'string' || typeof number !== 'number' || !Array.isArray(messages)) return undefined;
    return { from, number, messages: messages as Message[] };
  } catch {
    return undefined;
  }
}
