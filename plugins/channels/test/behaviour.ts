import { parseDuration } from '../../../src/config.ts';

/** What becomes of a message that the test provider is given. Times are in milliseconds. */
export type Behaviour =
  | { readonly kind: 'accept' }
  /** Not taken for the moment. */
  | { readonly kind: 'fail'; readonly retryAfterMs: number | undefined }
  /** Not taken, for good. */
  | { readonly kind: 'refuse' }
  /** Not taken, since there is no such destination any more; a push token is forgotten then, an address is dead. */
  | { readonly kind: 'gone' }
  /** Never answered. */
  | { readonly kind: 'stall' }
  /** Taken, after a while. */
  | { readonly kind: 'slow'; readonly delayMs: number };

/** How long `slow` takes where it does not say. */
const usualDelayMs = 2_000;

/** The longest time that a word may name. */
const longestMs = 86_400_000;

const times = String.raw`(?:\d{1,9}(?:\.\d{1,3})?(?:ms|s|m|h))+`;
const words = `(accept|refuse|gone|stall|fail|slow)((?<=fail|slow)${times})?`;
const word = new RegExp(`^${words}$`, 'i');
/** A word in an address ends where letters and digits do: +failures is somebody's name. */
const wordInAddress = new RegExp(String.raw`\+${words}(?![a-z0-9])`, 'i');

/**
 * What a word asks for: `accept`, `fail`, `fail30s` (to be tried again in 30 s), `refuse`, `gone`, `stall`, `slow`, `slow500ms`.
 * @returns undefined for a text that is no such word
 */
export function behaviourOf(text: string): Behaviour | undefined {
  return behaviourFrom(word.exec(text));
}

/** What a destination asks for by a word after a plus: `alice+refuse@example.com`, `+15550100+fail30s`. */
export function behaviourIn(destination: string): Behaviour | undefined {
  return behaviourFrom(wordInAddress.exec(destination));
}

function behaviourFrom(match: RegExpExecArray | null): Behaviour | undefined {
  if (match === null) return undefined;
  const kind = match[1]?.toLowerCase() as Behaviour['kind'];
  const ms = match[2] === undefined ? undefined : Math.min(parseDuration(match[2].toLowerCase()), longestMs);
  if (kind === 'fail') return { kind, retryAfterMs: ms };
  if (kind === 'slow') return { kind, delayMs: ms ?? usualDelayMs };
  return { kind };
}
