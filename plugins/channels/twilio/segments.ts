/** How a text travels as SMS. */
export interface Segments {
  readonly encoding: 'GSM-7' | 'UCS-2';
  /** What Twilio charges for. */
  readonly count: number;
}

/** 3GPP TS 23.038 §6.2.1: the default alphabet, and what takes an escape before it. */
const gsm = new Set(
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
);
const gsmExtension = new Set('\f^{}\\[~]|€');

/**
 * Counts the parts that a text is sent in: 160 characters of GSM-7 or 70 of UCS-2 in one, 153 or 67 in each of several (3GPP TS 23.040
 * §9.2.3.24.1), and no character is split. Twilio may send fewer, where a messaging service replaces characters.
 */
export function segmentsOf(text: string): Segments {
  const isGsm = [...text].every((character) => gsm.has(character) || gsmExtension.has(character));
  const size = (character: string) => (isGsm ? (gsmExtension.has(character) ? 2 : 1) : character.length);
  const [alone, each] = isGsm ? [160, 153] : [70, 67];
  let total = 0;
  let count = 1;
  let used = 0;
  for (const character of text) {
    const units = size(character);
    total += units;
    if (used + units > each) {
      count += 1;
      used = 0;
    }
    used += units;
  }
  return { encoding: isGsm ? 'GSM-7' : 'UCS-2', count: total <= alone ? 1 : count };
}
