import { Malformed, type Message, readMessage } from './messages.ts';

/** One text of a transport: who says it, its number among all of that sender, and the messages. */
export interface Envelope {
  readonly from: string;
  /** 0: none was sent before; a heartbeat repeats the last one. */
  readonly number: number;
  /** Those that this version knows. */
  readonly messages: readonly Message[];
  /** It says that its sender is there, and nothing else. */
  readonly isHeartbeat: boolean;
  /** How many messages are not as they should be. */
  readonly malformed: number;
}

/** What an envelope takes around its messages, in bytes, at most. */
export const envelopeBytes = 80;

/** A replica's id is a UUID; this is for what others send. */
const longestSender = 64;

/** @param messages each as JSON */
export const encodeEnvelope = (from: string, number: number, messages: readonly string[]): string =>
  `[${JSON.stringify(from)},${number},[${messages.join(',')}]]`;

/** @returns undefined for a text that no replica sends */
export function decodeEnvelope(text: string): Envelope | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts)) return undefined;
  const [from, number, given] = parts as readonly unknown[];
  if (typeof from !== 'string' || from === '' || from.length > longestSender) return undefined;
  if (!Number.isSafeInteger(number) || (number as number) < 0 || !Array.isArray(given)) return undefined;
  const messages: Message[] = [];
  let malformed = 0;
  for (const one of given as readonly unknown[])
    try {
      const message = readMessage(one);
      if (message !== undefined) messages.push(message);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      malformed += 1;
    }
  return { from, number: number as number, messages, isHeartbeat: given.length === 0, malformed };
}
