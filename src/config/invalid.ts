/**
 * A text is no value of its type. The message says what would be right and may be shown to anybody: whoever
 * throws it for a secret's text leaves the text out.
 */
export class InvalidValue extends Error {
  override readonly name = 'InvalidValue';
}

const quotedCharacters = 40;

/** The text in quotes, for a message; a long one is cut. Never for a secret. */
export function quote(text: string): string {
  return JSON.stringify(text.length > quotedCharacters ? `${text.slice(0, quotedCharacters)}…` : text);
}
