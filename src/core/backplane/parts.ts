import { encodeMessage, Malformed, type Message, readMessage } from './messages.ts';

/** What a part carries, in bytes: in base64, and with what is around it, it fits into a text of 4 KiB. */
const partBytes = 2_880;
/** A message in more parts than the longest hint has is nobody's. */
const mostParts = 128;

export type Part = Extract<Message, { kind: 'part' }>;

/** A message that does not fit into one text, in parts that do. They are to be said one after the other. */
export function inParts(message: Message): Part[] {
  const bytes = Buffer.from(encodeMessage(message));
  const of = Math.ceil(bytes.length / partBytes);
  return Array.from({ length: of }, (_, at) => ({
    kind: 'part',
    at,
    of,
    // no character of base64 is escaped in JSON
    bytes: bytes.toString('base64', at * partBytes, (at + 1) * partBytes),
  }));
}

/** Puts together again what peers say in parts: one message of each at a time, since they say one after the other. */
export class PartsOfPeers {
  readonly #begun = new Map<string, Part[]>();

  /**
   * @returns the message, with its last part; undefined before, and where a part is missing
   * @throws Malformed where what they make is no message
   */
  heard(peer: string, part: Part): Message | undefined {
    if (part.at === 0) this.#begun.set(peer, []);
    const parts = this.#begun.get(peer);
    if (parts === undefined) return undefined;
    if (part.at !== parts.length || part.of > mostParts) {
      this.forget(peer);
      return undefined;
    }
    parts.push(part);
    if (parts.length < part.of) return undefined;
    this.forget(peer);
    const text = Buffer.concat(parts.map(({ bytes }) => Buffer.from(bytes, 'base64'))).toString();
    const message = readMessage(parsed(text));
    return message?.kind === 'part' ? undefined : message;
  }

  /** What a peer has begun to say is not heard to its end, or the peer is gone. */
  forget(peer: string): void {
    this.#begun.delete(peer);
  }
}

/** @throws Malformed, since JSON.parse would quote the text */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Malformed();
  }
}
